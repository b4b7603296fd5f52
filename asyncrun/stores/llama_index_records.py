"""What asyncrun knows of a vector store of LlamaIndex: marks, texts and vectors, in a SQLite file, and which nodes there are of now."""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from asyncrun.errors import DamagedStoreError, StorageError, TryLaterError, os_words
from asyncrun.escape import printable
from asyncrun.records import Chunk
from asyncrun.sqlite_files import BUSY_SECONDS, enter_wal, is_busy
from asyncrun.stores.interface import Collection, StoredDocument
from asyncrun.stores.metadata_json import metadata_json

if TYPE_CHECKING:
    from asyncrun.records import Vectors

State = Literal["adding", "current", "leaving"]
_APPLICATION_ID = 0x61724C49
"""arLI: in the header of the file, so that it is not taken for another."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS collections (name TEXT PRIMARY KEY, fingerprint TEXT, dimensions INTEGER, revision TEXT, version INTEGER);
CREATE TABLE IF NOT EXISTS documents (
    ref INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT, source TEXT, doc_id TEXT, mark TEXT, metadata TEXT, chunks INTEGER, state TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS one_of_now ON documents (collection, source, doc_id) WHERE state = 'current';
CREATE TABLE IF NOT EXISTS chunks (
    node_id TEXT PRIMARY KEY, ref INTEGER REFERENCES documents ON DELETE CASCADE, id TEXT, text TEXT, "start" INTEGER, "end" INTEGER,
    vector BLOB, own TEXT);
CREATE INDEX IF NOT EXISTS chunks_of ON chunks (ref);
"""


@dataclass(frozen=True, slots=True)
class KnownCollection:
    """A collection: its space, a word for its content, and a number that grows with each change of the nodes that are there."""

    name: str
    fingerprint: str
    dimensions: int
    revision: str
    version: int


@dataclass(frozen=True, slots=True, eq=False)
class KnownChunk:
    """A chunk of a document of now, and its vector, of unit length or zero; `metadata` are the document's and the chunk's own."""

    id: str
    doc_id: str
    text: str
    metadata: dict[str, Any]
    start: int
    end: int
    vector: Vectors


class Records:
    """The records of the collections of one store, in the file `path`, which the first write makes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._in_use = threading.RLock()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give a transaction that nobody else writes in. Raises StorageError, TryLaterError."""
        with self._transaction("IMMEDIATE", make=True) as connection:
            if connection is None:
                raise StorageError(f"cannot open the store {self._shown}")
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """Give a transaction that sees one state; None where there is no file."""
        with self._transaction("DEFERRED", make=False) as connection:
            yield connection

    def close(self) -> None:
        """Release the file; may be called twice, and the next call of a method opens it again."""
        with self._in_use:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _transaction(self, kind: str, *, make: bool) -> Iterator[sqlite3.Connection | None]:
        with self._in_use, self._reporting():
            if self._connection is None and (make or self._path.exists()):
                self._connection = self._open()
            if self._connection is None:
                yield None
                return
            self._connection.execute(f"BEGIN {kind}")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            [[tables]], [[made_for]] = connection.execute("SELECT count(*) FROM sqlite_schema"), connection.execute("PRAGMA application_id")
            if tables and made_for != _APPLICATION_ID:
                raise StorageError(f"{self._shown} holds something else", hint="Choose another path for the store.")
            enter_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.executescript(f"{_SCHEMA}PRAGMA application_id = {_APPLICATION_ID};")
            if not any(name == "own" for _, name, *_ in connection.execute("PRAGMA table_info(chunks)")):
                connection.execute("ALTER TABLE chunks ADD COLUMN own TEXT")
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as error:
            if is_busy(error):
                raise TryLaterError(f"another process has been writing to {self._shown} for {BUSY_SECONDS:.0f} seconds") from error
            raise DamagedStoreError(f"the store {self._shown} failed: {error}") from error
        except OSError as error:
            raise StorageError(f"cannot open the store {self._shown}: {os_words(error)}") from error

    @property
    def _shown(self) -> str:
        return printable(str(self._path))


def find_collection(connection: sqlite3.Connection, name: str) -> KnownCollection | None:
    """Return a collection, None when it is not there."""
    row = connection.execute("SELECT * FROM collections WHERE name = ?", (name,)).fetchone()
    return KnownCollection(*row) if row else None


def collection_names(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all collections, sorted."""
    return [name for (name,) in connection.execute("SELECT name FROM collections ORDER BY name")]


def insert_collection(connection: sqlite3.Connection, collection: Collection) -> None:
    """Put in a collection without documents."""
    row = (collection.name, collection.fingerprint, collection.dimensions, f"{uuid.uuid4().hex}-0")
    connection.execute("INSERT INTO collections VALUES (?, ?, ?, ?, 0)", row)


def touch(connection: sqlite3.Connection, name: str, *, content: bool) -> None:
    """Say that the nodes of a collection have changed, and with `content` what it holds."""
    connection.execute("UPDATE collections SET version = version + 1 WHERE name = ?", (name,))
    if content:
        known = find_collection(connection, name)
        word, _, number = known.revision.rpartition("-") if known else ("", "", "0")
        connection.execute("UPDATE collections SET revision = ? WHERE name = ?", (f"{word}-{int(number) + 1}", name))


def marks(connection: sqlite3.Connection, name: str, source: str) -> dict[str, str]:
    """Return doc_id -> mark of the documents of now."""
    sql = "SELECT doc_id, mark FROM documents WHERE collection = ? AND source = ? AND state = 'current'"
    return dict(connection.execute(sql, (name, source)).fetchall())


def insert_document(connection: sqlite3.Connection, name: str, source: str, document: StoredDocument) -> tuple[int, list[str]]:
    """Put in a document that is being added; return its number and the ids of its nodes. Raises StorageError for odd metadata."""
    metadata = metadata_json(document.doc_id, document.metadata)
    row = (name, source, document.doc_id, document.mark, metadata, len(document.chunks))
    sql = "INSERT INTO documents (collection, source, doc_id, mark, metadata, chunks, state) VALUES (?, ?, ?, ?, ?, ?, 'adding')"
    ref = connection.execute(sql, row).lastrowid or 0
    ids = [str(uuid.uuid4()) for _ in document.chunks]
    vectors = unit_rows(document.vectors) if ids else ()
    rows = [
        (node_id, ref, document.chunk_id(chunk), chunk.text, chunk.start, chunk.end, vector.astype("<f4").tobytes(), _own(document, chunk))
        for node_id, chunk, vector in zip(ids, document.chunks, vectors, strict=True)
    ]
    connection.executemany("INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return ref, ids


def _own(document: StoredDocument, chunk: Chunk) -> str | None:
    return metadata_json(document.doc_id, chunk.metadata) if chunk.metadata else None


def replace_documents(connection: sqlite3.Connection, name: str, source: str, added: Sequence[tuple[int, str]]) -> None:
    """Make documents that were being added, by number and id, those of now in one step; the ones before them are leaving."""
    leave(connection, name, source, [doc_id for _, doc_id in added])
    connection.executemany("UPDATE documents SET state = 'current' WHERE ref = ?", [(ref,) for ref, _ in added])


def leave(connection: sqlite3.Connection, name: str, source: str, doc_ids: Sequence[str]) -> int:
    """Say that documents are none of now any more; returns how many."""
    sql = "UPDATE documents SET state = 'leaving' WHERE collection = ? AND source = ? AND doc_id = ? AND state = 'current'"
    return sum(connection.execute(sql, (name, source, doc_id)).rowcount for doc_id in doc_ids)


def leave_all(connection: sqlite3.Connection, name: str) -> None:
    """Say that no document of a collection is one of now any more."""
    connection.execute("UPDATE documents SET state = 'leaving' WHERE collection = ? AND state = 'current'", (name,))


def leftovers(connection: sqlite3.Connection, name: str, source: str) -> list[int]:
    """Return the numbers of documents whose nodes are to be deleted: those that are leaving, and those that a kill has left half added."""
    sql = "SELECT ref FROM documents WHERE collection = ? AND source = ? AND state <> 'current'"
    return [ref for (ref,) in connection.execute(sql, (name, source))]


def drop(connection: sqlite3.Connection, refs: Sequence[int]) -> None:
    """Forget documents."""
    connection.executemany("DELETE FROM documents WHERE ref = ?", [(ref,) for ref in refs])


def counts(connection: sqlite3.Connection, name: str) -> tuple[int, int]:
    """Return how many chunks there are of now, and how many others may be among the nodes."""
    sql = "SELECT COALESCE(SUM(chunks) FILTER (WHERE state = 'current'), 0), COALESCE(SUM(chunks) FILTER (WHERE state <> 'current'), 0)"
    now, others = connection.execute(f"{sql} FROM documents WHERE collection = ?", (name,)).fetchone()
    return now, others


def find_chunks(connection: sqlite3.Connection, name: str, node_ids: Sequence[str] | None = None) -> list[KnownChunk]:
    """Return the chunks of now behind ids of nodes, or all of a collection."""
    sql = """SELECT chunks.id, doc_id, text, metadata, own, "start", "end", vector FROM chunks JOIN documents USING (ref)
             WHERE collection = ? AND state = 'current'"""
    if node_ids is None:
        rows = connection.execute(sql, (name,)).fetchall()
    else:
        rows = [row for node in dict.fromkeys(node_ids) for row in connection.execute(f"{sql} AND node_id = ?", (name, node))]
    return [
        KnownChunk(chunk_id, doc_id, text, json.loads(metadata) | json.loads(own or "{}"), start, end, np.frombuffer(vector, "<f4"))
        for chunk_id, doc_id, text, metadata, own, start, end, vector in rows
    ]


def unit_rows(vectors: Vectors) -> Vectors:
    """Return vectors of unit length; one without a length stays as it is.

    >>> unit_rows(np.array([[0, 2], [0, 0]], dtype=np.float32)).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
