"""The kind `ingest`: documents in, their chunks with vectors into a store."""
