"""Rules of the consensus room."""
