"""Readers: a job's input in, items out."""
