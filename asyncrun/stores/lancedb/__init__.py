"""The LanceDB store: a folder of tables, one a collection."""

from asyncrun.stores.lancedb.store import LanceDBStore

__all__ = ["LanceDBStore"]
