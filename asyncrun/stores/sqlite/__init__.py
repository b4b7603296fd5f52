"""The embedded store: one SQLite file, keyword search by FTS5, exact vector search in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]

__getattr__, __dir__ = load_on_use(__name__, {"store": ["SqliteStore"]})
