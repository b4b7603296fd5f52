"""The kind `embed`: items in, one row with its vector for each."""
