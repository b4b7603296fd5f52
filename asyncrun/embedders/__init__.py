"""Embedders: texts in, proven vectors out."""
