"""SQLite for every part that keeps tables: one writer thread, migrations, friendly corruption."""
