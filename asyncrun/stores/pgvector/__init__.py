"""The store in PostgreSQL with pgvector: a table a collection, searched by vector and by words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.stores.pgvector.store import PgVectorStore

__all__ = ["PgVectorStore"]

__getattr__, __dir__ = load_on_use(__name__, {"store": ["PgVectorStore"]})
