"""Kinds: what a job does (embed, ingest, query)."""
