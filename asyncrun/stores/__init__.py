"""Stores: documents with chunks and vectors in, hits out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.records import Hit
    from asyncrun.stores.interface import (
        BrowsableStore,
        Collection,
        CollectionStats,
        FieldStore,
        GenerationStore,
        RepairableStore,
        SearchMode,
        SearchRequest,
        SelectiveStore,
        StoredDocument,
        VectorStore,
    )
    from asyncrun.stores.sqlite import SqliteStore

__all__ = [
    "BrowsableStore",
    "Collection",
    "CollectionStats",
    "FieldStore",
    "GenerationStore",
    "Hit",
    "RepairableStore",
    "SearchMode",
    "SearchRequest",
    "SelectiveStore",
    "SqliteStore",
    "StoredDocument",
    "VectorStore",
]

__getattr__, __dir__ = load_on_use(
    __name__,
    {
        "interface": [
            *("BrowsableStore", "Collection", "CollectionStats", "FieldStore", "GenerationStore", "RepairableStore", "SearchMode"),
            *("SearchRequest", "SelectiveStore", "StoredDocument", "VectorStore"),
        ],
        "sqlite": ["SqliteStore"],
        "sqlite.search": ["Hit"],
    },
    renamed={"Store": "VectorStore"},
)
