"""Stores: documents with chunks and vectors in, hits out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.records import Hit
    from asyncrun.stores.interface import Collection, FieldStore, RepairableStore, SearchMode, SearchRequest, StoredDocument, VectorStore
    from asyncrun.stores.sqlite import SqliteStore

__all__ = [
    "Collection",
    "FieldStore",
    "Hit",
    "RepairableStore",
    "SearchMode",
    "SearchRequest",
    "SqliteStore",
    "StoredDocument",
    "VectorStore",
]

__getattr__, __dir__ = load_on_use(
    __name__,
    {
        "interface": ["Collection", "FieldStore", "RepairableStore", "SearchMode", "SearchRequest", "StoredDocument", "VectorStore"],
        "sqlite": ["SqliteStore"],
        "sqlite.search": ["Hit"],
    },
    renamed={"Store": "VectorStore"},
)
