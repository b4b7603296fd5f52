"""Writers: rows in, one whole file out."""
