"""What is in the SQLite store: what collections hold, counted, and their documents one by one, all of it proved."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing

from asyncrun.stores.interface import Collection, CollectionStats, StoredDocument
from asyncrun.stores.sqlite.checksums import NO_SUMS, MismatchError
from asyncrun.stores.sqlite.collections import CollectionRow, from_bytes
from asyncrun.stores.sqlite.documents import as_put_in
from asyncrun.stores.sqlite.filter_sql import Condition
from asyncrun.stores.sqlite.proof import passing_documents, read_document


def collection_stats(connection: sqlite3.Connection, collection: CollectionRow) -> CollectionStats:
    """Count what a collection holds; its size is that of its texts, its vectors and its word index."""
    from asyncrun.stores.sqlite.vectors import read_order

    passing_documents(connection, collection, Condition("1", ()))
    sql = "SELECT source, count(*) FROM documents WHERE collection = ? GROUP BY source ORDER BY source"
    documents = Counter(dict(connection.execute(sql, (collection.number,)).fetchall()))
    chunks = len(read_order(connection, collection).chunks)
    sql = f"""SELECT (SELECT ifnull(sum(length(CAST(text AS BLOB))), 0) FROM passages_{collection.number:d})
                  + (SELECT ifnull(sum(length(block)), 0) FROM words_{collection.number:d}_data)"""
    size = connection.execute(sql).fetchone()[0] + chunks * collection.dimensions * 4
    return CollectionStats(Collection(collection.name, collection.fingerprint, collection.dimensions), documents, chunks, size)


def stored_documents(connection: sqlite3.Connection, collection: CollectionRow) -> Iterator[tuple[str, StoredDocument]]:
    """Yield the documents of a collection after their sources, in the order of both; the caller holds the transaction.

    Raises MismatchError when one is not what was put in, and at the end when one was missing.
    """
    sums = NO_SUMS
    sql = "SELECT id FROM documents WHERE collection = ? ORDER BY source, doc_id"
    with closing(connection.execute(sql, (collection.number,))) as cursor:
        for (number,) in cursor:
            head, chunks, its_sums = read_document(connection, number)
            sums += its_sums
            yield from_bytes(head.source), as_put_in(head, chunks, collection)
    if sums != collection.sums:
        raise MismatchError(f"documents of collection {collection.name!r} are missing")
