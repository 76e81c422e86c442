"""What is known, as lines: one file for each page. No IO, no widgets."""
