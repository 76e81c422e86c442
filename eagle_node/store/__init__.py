"""SQLite for every part that keeps tables: one writer thread, migrations, friendly corruption.

``database`` one file behind one thread
``tables``   what the parts that keep tables in it have in common
``memory``   for files that nobody fails for
"""
