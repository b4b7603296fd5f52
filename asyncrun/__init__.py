"""asyncrun: embed, ingest and query text in bulk; an asynchronous job engine with LlamaIndex's names."""

__version__ = "0.1.0"
