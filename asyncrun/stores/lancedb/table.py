"""One collection as a table of LanceDB: documents put in and taken out by commits of the table, and its state at one version.

A document's rows come in by one commit of LanceDB, all or none of them; those of its former version go out by the next one. Between the
two, and after a kill there, the newer version counts.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncrun.errors import TryLaterError
from asyncrun.stores.committing import check_document
from asyncrun.stores.interface import StoredDocument
from asyncrun.stores.lancedb.errors import reporting
from asyncrun.stores.lancedb.names import NamedTable
from asyncrun.stores.lancedb.rows import (
    HEAD_COLUMNS,
    DocumentHead,
    DocumentHeads,
    document_rows,
    key_of,
    new_heads,
    read_heads,
    removal_row,
    table_schema,
)

if TYPE_CHECKING:
    from asyncrun.records import Vectors

ALL = (1 << 31) - 1
"""A limit that no table reaches."""
KEPT = datetime.timedelta(hours=1)
"""How long a former version of a table can be read: no search takes longer."""
_HEADS = "ordinal < 0"
"""The rows of documents, and the one of the last removal."""
_KEYS_AT_ONCE = 10_000


class ChunkTable:
    """A collection's table, whose newest version every method sees; all raise StorageError and TryLaterError.

    Args:
        database: LanceDB's connection to the folder.
        named: The table's name, and the space of its vectors.
        shown: What the store is called in an error.
    """

    def __init__(self, database: Any, named: NamedTable, shown: str) -> None:
        self.named = named
        self._shown = shown
        self._database = database
        with self.reporting():
            self._table = database.open_table(named.table)
        self._heads: tuple[int, DocumentHeads] | None = None

    def reporting(self) -> Any:
        """Return a context that raises what LanceDB raises as errors of a store."""
        return reporting(self._shown)

    def heads(self) -> DocumentHeads:
        """Return the documents of now."""
        with self.reporting():
            version = self._table.version
            if self._heads is None or self._heads[0] != version:
                self._heads = (version, heads_of(self._table))
            return self._heads[1]

    def put(self, source: str, documents: Sequence[StoredDocument]) -> None:
        """Put each document, of which there are no two with one id, in the place of its former version.

        Raises ValueError, SpaceMismatchError for vectors that do not fit, before anything is put in.
        """
        for document in documents:
            check_document(document, self.named.dimensions)
        known = self.heads()
        step = known.next_step
        added = new_heads(source, documents, step)
        with self.reporting():
            self._table.add(document_rows(documents, added, self.named.width))
        replaced = [key for key in added if key in known.of_now]
        for condition in _conditions("key", map(repr, replaced)):
            self._delete(f"{condition} AND ref < {step:d}")
        self._remember(2 if replaced else 1, DocumentHeads({**known.of_now, **added}, known.stale, known.removal))

    def remove(self, source: str, doc_ids: Iterable[str]) -> None:
        """Delete documents; one that is not there is passed over."""
        known = self.heads()
        keys = [key for key in dict.fromkeys(key_of(source, doc_id) for doc_id in doc_ids) if key in known.of_now]
        if keys:
            condition = " OR ".join(_conditions("key", map(repr, keys)))
            row = removal_row(known.next_step, self.named.width)
            with self.reporting():
                merge = self._table.merge_insert(["key", "ordinal"]).when_matched_update_all().when_not_matched_insert_all()
                merge.when_not_matched_by_source_delete(condition).execute(row)
            self._heads = None

    def tidy(self) -> None:
        """Delete rows that have been replaced, index the words of new ones, and join small files; former versions are kept an hour."""
        for condition in _conditions("ref", map(str, sorted(self.heads().stale))):
            self._delete(condition)
        with suppress(TryLaterError), self.reporting():  # Whoever writes meanwhile does it when he ends.
            self._table.optimize(cleanup_older_than=KEPT)
        self._heads = None

    def incomplete(self) -> list[DocumentHead]:
        """Return documents that do not have as many chunks as they were put in with; reads the refs of all rows."""
        known = self.heads()
        with self.reporting():
            refs = self._table.search().where("ordinal >= 0").select(["ref"]).limit(ALL).to_arrow().column("ref").to_numpy()
        found = dict(zip(*(part.tolist() for part in np.unique(refs, return_counts=True)), strict=True))
        return [head for head in known.of_now.values() if found.get(head.ref, 0) != head.chunks]

    def at_one_version(self) -> tuple[Any, DocumentHeads]:
        """Return LanceDB's table as it is now and stays, and its documents."""
        with self.reporting():
            table = self._database.open_table(self.named.table)
            version = table.version
            table.checkout(version)
            known = self._heads[1] if self._heads is not None and self._heads[0] == version else heads_of(table)
        return table, known

    def is_at(self, frozen: Any) -> bool:
        """Tell whether the newest version is the one of a table that stays as it was."""
        with self.reporting():
            return bool(self._table.version == frozen.version)

    def _delete(self, condition: str) -> None:
        """Delete rows that nobody sees any more; where others write at the same time they stay, as after a kill."""
        with suppress(TryLaterError), self.reporting():
            self._table.delete(condition)

    def _remember(self, commits: int, heads: DocumentHeads) -> None:
        """Keep what is known after so many commits of our own; others' commits between them are read."""
        with self.reporting():
            version = self._table.version
        self._heads = (version, heads) if self._heads is not None and version == self._heads[0] + commits else None


def create_table(database: Any, named: NamedTable) -> None:
    """Make an empty table with an index of its words: English stems, accents left out, as the SQLite store has it."""
    from lancedb.index import FTS

    table = database.create_table(named.table, schema=table_schema(named.width))
    words = FTS(language="English", stem=True, remove_stop_words=False, ascii_folding=True, lower_case=True, with_position=False)
    table.create_index("text", config=words)


def heads_of(table: Any) -> DocumentHeads:
    """Return what the documents' rows of LanceDB's table say."""
    return read_heads(table.search().where(_HEADS).select(HEAD_COLUMNS).limit(ALL).to_arrow().to_pylist())


def read_rows(table: Any, condition: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of LanceDB's table that meet a condition."""
    rows: list[dict[str, Any]] = table.search().where(condition).select(list(columns)).limit(ALL).to_arrow().to_pylist()
    return rows


def vectors_of(rows: Any, dimensions: int) -> Vectors:
    """Return the vectors of an answer of LanceDB (an Arrow table), of shape (rows, dimensions)."""
    flat = rows.column("vector").combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float32).reshape(-1, dimensions)


def _conditions(column: str, values: Iterable[str]) -> list[str]:
    """Return conditions that hold for the values of a column, some thousands of them each; none for no value."""
    listed = list(values)
    parts = [listed[start : start + _KEYS_AT_ONCE] for start in range(0, len(listed), _KEYS_AT_ONCE)]
    return [f"{column} IN ({', '.join(part)})" for part in parts]
