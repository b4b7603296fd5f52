"""A whole collection as it was at one moment: copied to a temporary file, because a server forgets what has been replaced."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import numpy as np

from asyncrun.errors import TryLaterError
from asyncrun.stores.interface import StoredDocument
from asyncrun.stores.qdrant.collection import PointCollection
from asyncrun.stores.qdrant.points import VECTOR, KnownDocument, chunk_of

_TRIES = 5


def copied_documents(collection: PointCollection, dimensions: int) -> Iterator[tuple[str, StoredDocument]]:
    """Yield each document after its source, in the order of both. Raises TryLaterError when others write all the time."""
    # SQLite's own temporary file: in memory while it is small, on the disk then, and gone with its connection.
    with closing(sqlite3.connect("", check_same_thread=False)) as copy:
        documents = _copy(collection, copy)
        for known in sorted(documents, key=lambda each: (each.source, each.doc_id)):
            rows = copy.execute("SELECT payload, vector FROM chunks WHERE ref = ? ORDER BY ordinal", (known.ref,)).fetchall()
            chunks = [chunk_of(json.loads(payload)) for payload, _ in rows]
            vectors = np.frombuffer(b"".join(vector for _, vector in rows), dtype="<f4").reshape(len(rows), dimensions)
            yield known.source, StoredDocument(known.doc_id, known.mark, chunks, vectors.astype(np.float32), known.metadata)


def incomplete_documents(collection: PointCollection) -> list[KnownDocument]:
    """Return documents that do not have as many chunks as they were put in with; those of a writer at work are not among them."""
    documents = list(collection.documents())
    if collection.count_chunks() >= sum(each.chunks for each in documents):
        return []
    found = Counter(point.payload["ref"] for point in collection.chunks())
    # A document that was replaced meanwhile has other chunks.
    broken = [each for each in documents if found[each.ref] != each.chunks]
    return [each for each in collection.documents() if each in broken]


def _copy(collection: PointCollection, copy: sqlite3.Connection) -> list[KnownDocument]:
    for _ in range(_TRIES):
        before = collection.space()
        documents = list(collection.documents())
        copy.executescript("DROP TABLE IF EXISTS chunks; CREATE TABLE chunks (ref, ordinal, payload, vector, PRIMARY KEY (ref, ordinal))")
        rows = (
            (
                point.payload["ref"],
                point.payload["ordinal"],
                json.dumps(point.payload),
                np.array(point.vector[VECTOR], dtype="<f4").tobytes(),
            )
            for point in collection.chunks()
        )
        copy.executemany("INSERT INTO chunks VALUES (?, ?, ?, ?)", rows)
        if before == collection.space():
            return documents
    raise TryLaterError(f"others write to the collection {collection.name} all the time", hint="Run the same command again later.")
