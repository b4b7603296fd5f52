"""Stores: documents with chunks and vectors in, hits out."""
