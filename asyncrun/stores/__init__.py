"""Stores: documents with chunks and vectors in, hits out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.records import Hit
    from asyncrun.stores.interface import Collection, FieldStore, RepairableStore, SearchMode, SearchRequest, StoredDocument, VectorStore
    from asyncrun.stores.sqlite import SqliteStore

_HOMES = {
    "Collection": "interface",
    "FieldStore": "interface",
    "Hit": "sqlite.search",
    "RepairableStore": "interface",
    "SearchMode": "interface",
    "SearchRequest": "interface",
    "SqliteStore": "sqlite",
    "StoredDocument": "interface",
    "VectorStore": "interface",
}

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

__getattr__ = load_on_use(__name__, _HOMES, renamed={"Store": "VectorStore"})


def __dir__() -> list[str]:
    return sorted(__all__)
