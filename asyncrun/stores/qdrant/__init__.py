"""The Qdrant store: a server's collections, each behind an alias."""

from asyncrun.stores.qdrant.store import QdrantStore

__all__ = ["QdrantStore"]
