"""Chunkers: a document's text in, chunks out."""
