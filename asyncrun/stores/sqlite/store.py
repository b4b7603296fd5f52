"""The embedded store: one SQLite file, keyword search by FTS5, exact vector search in memory.

What holds at every instant, also after a kill: a document has all of its chunks, vectors and index entries, or none of them; the file
changes by transactions alone, and each gives the collection a new revision.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from asyncrun.errors import SpaceMismatchError, UsageError
from asyncrun.escape import printable
from asyncrun.grammar.filter import parse_filter
from asyncrun.records import Hit
from asyncrun.short_help import ShortHelp
from asyncrun.sqlite_files import can_write
from asyncrun.stores.committing import by_transaction, check_document
from asyncrun.stores.interface import Collection, CollectionStats, SearchRequest, StoredDocument
from asyncrun.stores.sqlite.browsing import collection_stats, stored_documents
from asyncrun.stores.sqlite.checksums import NO_SUMS, MismatchError
from asyncrun.stores.sqlite.collections import (
    CollectionRow,
    all_collections,
    as_text,
    drop_collection,
    find_collection,
    insert_collection,
    rename_collections,
    seal_words,
    touch_collection,
    whole_collections,
)
from asyncrun.stores.sqlite.documents import any_has_field, delete_document, insert_documents, metadata_names
from asyncrun.stores.sqlite.file import open_existing_file, open_file, reporting, transaction
from asyncrun.stores.sqlite.search import SqliteSearch


class SqliteStore(metaclass=ShortHelp):
    """Keeps collections in the SQLite file `path`, which the first write makes; see `asyncrun.stores.interface.VectorStore`.

    Searching by vector holds the collection's vectors in memory (4 bytes a number: 310 MB for 200,000 of 384 dimensions), read once
    and again when the collection has changed. Other processes may read and write the same file meanwhile.

    >>> store = SqliteStore(Path("no-such-folder/index.db"))
    >>> store.marks("handbook", "docs")  # no file is there, and none is made
    {}

    Every method raises StorageError when the file cannot be used, TryLaterError when another process keeps it locked.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._connection: sqlite3.Connection | None = None
        self._search = SqliteSearch()
        self._in_use = threading.RLock()
        self._looked = False

    def open_collection(self, collection: Collection) -> None:
        """Make the collection, or check that it has the same space. Raises SpaceMismatchError."""
        with self._writing() as connection:
            known = find_collection(connection, collection.name)
            if known is None:
                insert_collection(connection, collection)
            elif (known.fingerprint, known.dimensions) != (collection.fingerprint, collection.dimensions):
                raise SpaceMismatchError(
                    f"collection {_shown(collection.name)} of {_shown(self._path)} holds vectors of space {_space(known)}, "
                    f"not of {_space(collection)}"
                )

    def marks(self, collection: str, source: str) -> dict[str, str]:
        """Return doc_id -> mark of what is committed; empty when the collection, or the file, is not there."""
        with self._existing(collection) as found:
            if found is None:
                return {}
            connection, known = found
            sql = "SELECT doc_id, mark FROM documents WHERE collection = ? AND source = CAST(? AS TEXT)"
            return dict(connection.execute(sql, (known.number, as_text(source))).fetchall())

    def commit(self, collection: str, source: str, documents: Iterable[StoredDocument]) -> None:
        """Put each document in the place of its former chunks, in transactions of up to 256 documents or some 2,000 chunks.

        Raises UsageError when the collection has not been opened, SpaceMismatchError for vectors of another size, ValueError for
        vectors that are not one finite row a chunk.
        """
        for group in by_transaction(documents):
            with self._writing() as connection:
                known = self._known(connection, collection)
                for document in group:
                    check_document(document, known.dimensions)
                last = {document.doc_id: document for document in group}
                removed = [delete_document(connection, known, source, doc_id) or NO_SUMS for doc_id in last]
                added = insert_documents(connection, known, source, last.values())
                touch_collection(connection, known, known.sums - sum(removed, NO_SUMS) + added)

    def remove(self, collection: str, source: str, doc_ids: Sequence[str]) -> None:
        """Delete documents, in one transaction; one that is not there is passed over."""
        if not doc_ids or self.fingerprint(collection) is None:
            return
        with self._writing() as connection:
            known = self._known(connection, collection)
            removed = [sums for doc_id in doc_ids if (sums := delete_document(connection, known, source, doc_id)) is not None]
            if removed:
                touch_collection(connection, known, known.sums - sum(removed, NO_SUMS))

    def search(self, collection: str, requests: Sequence[SearchRequest]) -> list[list[Hit]]:
        """Return the best hits of each request, all from one state of the collection; equal scores are ordered by chunk id.

        `score`: the cosine, BM25, or the sum of reciprocal ranks. Raises UsageError when nothing was ingested or a filter cannot be
        parsed, SpaceMismatchError for a vector of another size, DamagedStoreError when what the answer hangs on is not what was put in.
        """
        filters = {request.filter: parse_filter(request.filter) for request in requests if request.filter is not None}
        if any(request.mode != "vector" for request in requests):
            self._look_at_words(collection)
        with self._reading() as connection:
            return self._search.search(*self._whole(connection, collection), requests, filters)

    def fingerprint(self, collection: str) -> str | None:
        """Return the space of a collection, None when it is not there."""
        known = self._record(collection)
        return known.fingerprint if known else None

    def has_field(self, collection: str, field: tuple[str, ...]) -> bool:
        """Tell whether a document has something at a path of its metadata; true where there is no document."""
        with self._existing(collection) as found:
            return found is None or any_has_field(*found, field)

    def fields(self, collection: str) -> list[str]:
        """Return the outermost names of all documents' metadata, sorted; reads every document."""
        with self._existing(collection) as found:
            return metadata_names(*found) if found else []

    def revision(self, collection: str) -> str:
        """Return a word that every committed change of the collection replaces; empty when it is not there."""
        known = self._record(collection)
        return known.revision if known else ""

    def collections(self) -> list[Collection]:
        """Return all collections, sorted by name; none where there is no file."""
        with self._reading() as connection:
            rows = all_collections(connection) if connection else []
            return [Collection(row.name, row.fingerprint, row.dimensions) for row in rows]

    def stats(self, collection: str) -> CollectionStats:
        """Count what a collection holds, and prove it: that reads all but its vectors. Raises UsageError when it is not there."""
        with self._reading() as connection:
            return collection_stats(*self._there(connection, collection))

    def documents(self, collection: str) -> Iterator[tuple[str, StoredDocument]]:
        """Yield each document after its source, in the order of both, all from one state: others may write meanwhile, this store too.

        Raises UsageError when the collection is not there, DamagedStoreError when it is not what was put in.
        """
        with self._reading() as connection:
            self._whole(connection, collection)
        return self._stream(collection)

    def _stream(self, collection: str) -> Iterator[tuple[str, StoredDocument]]:
        other = SqliteStore(self._path)
        try:
            with other._reading() as connection:
                yield from stored_documents(*other._whole(connection, collection))
        finally:
            other.close()

    def rename(self, names: Mapping[str, str]) -> None:
        """Give collections other names (former -> new), all in one step; two may change names.

        Raises UsageError where a collection is not there, or a new name belongs to one that keeps it.
        """
        with self._reading() as connection:
            for name in names:
                self._there(connection, name)
        with self._writing() as connection:
            for name in names:
                self._known(connection, name)
            rename_collections(connection, names)

    def drop(self, collection: str) -> None:
        """Delete a collection with all that is in it, in one transaction; one that is not there is passed over."""
        if self.fingerprint(collection) is not None:
            with self._writing() as connection:
                drop_collection(connection, self._known(connection, collection))

    def describe(self) -> str:
        """Return the version of SQLite, and whether the file is there."""
        with self._reading() as connection:
            return f"SQLite {sqlite3.sqlite_version}" + ("" if connection else ", no file yet")

    def repair(self, collection: str) -> str | None:
        """Prove the file and a collection, and keep only what is whole; see `asyncrun.stores.interface.RepairableStore`.

        TryLaterError when another process writes meanwhile.
        """
        from asyncrun.stores.sqlite.repair import repair_file

        with self._in_use:
            self.close()
            return repair_file(self._path, collection) if can_write(self._path) else None

    def seal(self, collection: str, source: str) -> None:
        """Say that the documents of a source are all there, and prove the word index once more if it has changed."""
        known = self._record(collection)
        if known is not None and (known.words is None or source in known.lacking) and can_write(self._path):
            with self._writing() as connection:
                seal_words(connection, self._known(connection, collection), source)

    def close(self) -> None:
        """Release the file and the vectors in memory; may be called twice, and the next call of a method opens the file again.

        Waits for a transaction that another thread is in: SQLite would crash.
        """
        with self._in_use:
            self._search = SqliteSearch()
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _look_at_words(self, collection: str) -> None:
        """Have a word index that a killed writer left, or that one is changing, prove itself, once: it takes as long as indexing does."""
        known = self._record(collection)
        if known is not None and known.words is None and not self._looked:
            self._looked = True
            self.seal(collection, "")

    def _there(self, connection: sqlite3.Connection | None, name: str) -> tuple[sqlite3.Connection, CollectionRow]:
        if connection is None:
            raise UsageError(f"nothing has been ingested: the store {_shown(self._path)} is not there", hint=_INGEST_FIRST)
        return connection, self._known(connection, name)

    def _whole(self, connection: sqlite3.Connection | None, name: str) -> tuple[sqlite3.Connection, CollectionRow]:
        connection, known = self._there(connection, name)
        if known.lacking:
            sources = ", ".join(map(repr, known.lacking))
            raise MismatchError(f"collection {name!r} lacks documents of {sources} that have to be put in again")
        return connection, known

    def _known(self, connection: sqlite3.Connection, name: str) -> CollectionRow:
        known = find_collection(connection, name)
        if known is None:
            others = ", ".join(_shown(other.name) for other in whole_collections(connection)) or "none"
            raise UsageError(f"no collection {_shown(name)} in the store {_shown(self._path)}; it has: {others}", hint=_INGEST_FIRST)
        return known

    def _record(self, name: str) -> CollectionRow | None:
        with self._existing(name) as found:
            return found[1] if found else None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """Give a connection that sees one state of the file, or None when there is no file."""
        with self._in_use, reporting(self._path):
            if self._connection is None:
                self._connection = open_existing_file(self._path)
            if self._connection is None:
                yield None
            else:
                with transaction(self._connection, "DEFERRED"):
                    yield self._connection

    @contextmanager
    def _existing(self, name: str) -> Iterator[tuple[sqlite3.Connection, CollectionRow] | None]:
        """Give a collection with such a connection, or None when it is not there."""
        with self._reading() as connection:
            known = find_collection(connection, name) if connection else None
            yield (connection, known) if connection and known else None

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._in_use, reporting(self._path):
            if self._connection is None:
                self._connection = open_file(self._path)
            with transaction(self._connection, "IMMEDIATE"):
                yield self._connection


_INGEST_FIRST = "Run the ingest job that fills it first, and check `store` and `collection` of the job."


def _space(collection: Collection | CollectionRow) -> str:
    return f"{collection.fingerprint[:8]} ({collection.dimensions} dimensions)"


def _shown(name: object) -> str:
    return repr(name) if isinstance(name, str) else printable(str(name))
