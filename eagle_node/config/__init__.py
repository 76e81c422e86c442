"""One frozen tree: loaded once (flag > environment > file > default), handed down in parts."""
