"""The store in PostgreSQL with pgvector: a table a collection, searched by vector and by words.

What holds at every instant, also after a kill: a document has all of its chunks and its mark, or none of them; each transaction that
changes a collection gives it a new revision, and holds the collection's row from its first statement on, so that chunks get their numbers
in the order in which they are committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from asyncrun.errors import MissingExtraError, SpaceMismatchError, StorageError, UsageError
from asyncrun.grammar.filter import parse_filter
from asyncrun.records import Hit
from asyncrun.short_help import ShortHelp
from asyncrun.stores.committing import by_transaction
from asyncrun.stores.interface import Collection, CollectionStats, SearchRequest, StoredDocument

try:
    from psycopg import sql
except ImportError as error:
    raise MissingExtraError("the store type pgvector needs psycopg", hint="Install it: pip install 'asyncrun[pgvector]'.") from error

from asyncrun.stores.pgvector.connections import Connections
from asyncrun.stores.pgvector.filter_sql import path_sql
from asyncrun.stores.pgvector.indexes import Index, build_indexes, index_words
from asyncrun.stores.pgvector.reading import describe_database, read_documents, table_sizes
from asyncrun.stores.pgvector.rows import delete_documents, insert_documents, refusal, touch
from asyncrun.stores.pgvector.schema import COLLECTIONS, EXTENSION, CollectionTable, Tables, has_vectors, table_name
from asyncrun.stores.pgvector.search import PgSearch
from asyncrun.stores.pgvector.swap import drop_collection, rename_collections

if TYPE_CHECKING:
    from asyncrun.stores.pgvector.connections import Connection

_SEARCHES_AT_ONCE = 8
_INGEST_FIRST = "Run the ingest job that fills it first, and check `store` and `collection` of the job."


class PgVectorStore(metaclass=ShortHelp):
    """Keeps collections in a PostgreSQL database with pgvector 0.8 or newer; see `asyncrun.stores.interface.VectorStore`.

    Args:
        url: the database's address, as `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`, or what else libpq takes.
        schema: where the tables are: one a collection, named like it, and those that begin with `asyncrun_`.
        index: `hnsw`, built when a job has ended with 10,000 chunks or more, or `none`: every search compares all vectors.
        create: whether extension, tables and indexes that are missing are made; without it a missing table is told with its SQL.

    >>> PgVectorStore("postgresql://localhost/docs", index="ivfflat")
    Traceback (most recent call last):
    asyncrun.errors.UsageError: the store type pgvector knows the indexes hnsw and none, not 'ivfflat'

    Every method raises TryLaterError for a server that is away, AuthError for a wrong password, StorageError for what it refuses.
    """

    def __init__(self, url: str, schema: str = "public", index: str = "hnsw", create: bool = True) -> None:
        if index not in ("hnsw", "none"):
            known = "the store type pgvector knows the indexes hnsw and none"
            raise UsageError(f"{known}, not {index!r}", hint="Correct `index` of the store.")
        self._connections = Connections(url)
        self._tables = Tables(schema)
        self._index = cast("Index", index)
        self._create = create

    def open_collection(self, collection: Collection) -> None:
        """Make the collection, or check that it has the same space. Raises SpaceMismatchError."""
        with self._connections.transaction() as connection:
            if self._create:
                self._make_registry(connection)
            row = self._find(connection, collection.name, dimensions=collection.dimensions)
            if row is None:
                self._make(connection, collection)
            elif (row.fingerprint, row.dimensions) != (collection.fingerprint, collection.dimensions):
                whose = f"collection {collection.name!r} of {self._shown} holds vectors of space"
                raise SpaceMismatchError(f"{whose} {_space(row.record)}, not of {_space(collection)}")

    def marks(self, collection: str, source: str) -> dict[str, str]:
        """Return doc_id -> mark of what is committed; empty when the collection is not there."""
        with self._existing(collection) as (connection, row):
            if row is None:
                return {}
            query = sql.SQL("SELECT doc_id, mark FROM {} WHERE collection = %s AND source = %s").format(self._tables.documents)
            return dict(connection.execute(query, (row.number, source)).fetchall())

    def refusal(self, doc_id: str, text: str, metadata: Mapping[str, Any]) -> str | None:
        """Return why PostgreSQL cannot hold a document, None when it can."""
        return refusal(doc_id, text, metadata)

    def commit(self, collection: str, source: str, documents: Iterable[StoredDocument]) -> None:
        """Put each document in the place of its former chunks, in transactions of up to 256 documents or some 2,000 chunks.

        Raises UsageError when the collection has not been opened, SpaceMismatchError for vectors of another size, ValueError for
        vectors that are not one finite row a chunk.
        """
        for group in by_transaction(documents):
            last = {document.doc_id: document for document in group}
            with self._changing(collection) as (connection, row):
                _, less = delete_documents(connection, self._tables, row, source, list(last))
                more = insert_documents(connection, self._tables, row, source, list(last.values()))
                touch(connection, self._tables, row, less + more)

    def remove(self, collection: str, source: str, doc_ids: Sequence[str]) -> None:
        """Delete documents, in one transaction; one that is not there is passed over."""
        if not doc_ids or self.fingerprint(collection) is None:
            return
        with self._changing(collection) as (connection, row):
            removed, less = delete_documents(connection, self._tables, row, source, doc_ids)
            if removed:
                touch(connection, self._tables, row, less)

    def search(self, collection: str, requests: Sequence[SearchRequest]) -> list[list[Hit]]:
        """Return the best hits of each request, all from one generation; they are looked for side by side.

        `score`: the cosine, BM25, or the sum of reciprocal ranks. Raises UsageError when nothing was ingested or a filter cannot be
        parsed, SpaceMismatchError for a vector of another size.
        """
        for request in requests:
            if request.filter is not None:
                parse_filter(request.filter)
        while True:
            with self._connections.transaction() as connection:
                search = PgSearch(self._tables, self._held(connection, collection))
                if len(requests) <= 1:
                    return [search.hits(connection, request) for request in requests]
            with ThreadPoolExecutor(min(_SEARCHES_AT_ONCE, len(requests)), "asyncrun-search") as threads:
                found = [hits for hits in threads.map(partial(self._one, search), requests) if hits is not None]
            if len(found) == len(requests):
                return found

    def fingerprint(self, collection: str) -> str | None:
        """Return the space of a collection, None when it is not there. Raises StorageError where its name is that of a foreign table."""
        with self._existing(collection) as (_, row):
            return None if row is None else row.fingerprint

    def revision(self, collection: str) -> str:
        """Return a word that every committed change of the collection replaces; empty when it is not there."""
        with self._existing(collection) as (_, row):
            return "" if row is None else row.revision

    def has_field(self, collection: str, field: tuple[str, ...]) -> bool:
        """Tell whether a document has something at a path of its metadata; true where there is no document."""
        with self._existing(collection) as (connection, row):
            if row is None:
                return True
            there = f"SELECT EXISTS (SELECT FROM {{docs}} WHERE collection = %s AND {path_sql('metadata', field)} IS NOT NULL)"
            query = sql.SQL(there + " OR NOT EXISTS (SELECT FROM {docs} WHERE collection = %s)").format(docs=self._tables.documents)
            return bool((connection.execute(query, (row.number, *field, row.number)).fetchone() or (True,))[0])

    def fields(self, collection: str) -> list[str]:
        """Return the outermost names of all documents' metadata, sorted; reads every document."""
        with self._existing(collection) as (connection, row):
            if row is None:
                return []
            query = sql.SQL("SELECT DISTINCT jsonb_object_keys(metadata) FROM {} WHERE collection = %s").format(self._tables.documents)
            return sorted(name for (name,) in connection.execute(query, (row.number,)))

    def collections(self) -> list[Collection]:
        """Return all collections, other generations among them, sorted by name."""
        with self._connections.transaction() as connection:
            return [row.record for row in self._tables.all(connection)]

    def stats(self, collection: str) -> CollectionStats:
        """Count what a collection holds; its size is that of its tables with their indexes. Raises UsageError when it is not there."""
        with self._connections.transaction() as connection:
            row = self._held(connection, collection)
            query = sql.SQL("SELECT source, count(*) FROM {} WHERE collection = %s GROUP BY source ORDER BY source")
            documents = dict(connection.execute(query.format(self._tables.documents), (row.number,)).fetchall())
            return CollectionStats(row.record, documents, row.chunks, table_sizes(connection, self._tables, row))

    def documents(self, collection: str) -> Iterator[tuple[str, StoredDocument]]:
        """Yield each document after its source, in the order of both, all from one state; some hundreds are in memory at once."""
        with self._existing(collection) as (connection, row):
            if row is None:
                raise self._absent(connection, collection)
        with self._connections.transaction() as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            # The state that is seen is that of the first query: before the lock, the name could lead to another table than the record.
            yield from read_documents(connection, self._tables, self._locked(connection, collection))

    def rename(self, names: Mapping[str, str]) -> None:
        """Give collections other names in one transaction, which waits for running searches a moment at a time.

        Raises UsageError where a collection is not there, or a new name belongs to one that keeps it, TryLaterError where searches
        do not end within a minute.
        """
        rename_collections(self._connections, self._tables, names)

    def drop(self, collection: str) -> None:
        """Delete a collection with all that is in it; one that is not there is passed over."""
        drop_collection(self._connections, self._tables, collection)

    def repair(self, collection: str) -> str | None:
        """Return None: what PostgreSQL has committed is whole."""
        return None

    def seal(self, collection: str, source: str) -> None:
        """Bring the words of new chunks into their index, and build what indexes are missing."""
        index_words(self._connections, self._tables, collection)
        with self._existing(collection) as (_, row):
            pass
        if row is not None and self._create:
            build_indexes(self._connections, self._tables, row, self._index)

    def describe(self) -> str:
        """Return the versions of PostgreSQL and pgvector, and what is in the way of filling the store."""
        with self._connections.transaction() as connection:
            return describe_database(connection, self._tables.schema, self._create)

    def close(self) -> None:
        """Close the connections; may be called twice, and the next call of a method opens one."""
        self._connections.close()

    @property
    def _shown(self) -> str:
        return self._connections.address.shown

    def _one(self, search: PgSearch, request: SearchRequest) -> list[Hit] | None:
        """Return the hits of one request among several, None where the collection has been swapped since `search` was made.

        Each holds the table by itself: if one connection held it for all, somebody's ALTER TABLE would wait for that one, and the others
        behind the ALTER TABLE, for ever.
        """
        with self._connections.transaction() as connection:
            is_same = self._locked(connection, search.row.name).number == search.row.number
            return search.hits(connection, request) if is_same else None

    @contextmanager
    def _existing(self, name: str) -> Iterator[tuple[Connection, CollectionTable | None]]:
        """Give a connection with a collection, None when it is not there."""
        with self._connections.transaction() as connection:
            yield connection, self._find(connection, name)

    @contextmanager
    def _changing(self, name: str) -> Iterator[tuple[Connection, CollectionTable]]:
        """Give a transaction that alone changes a collection."""
        with self._connections.transaction() as connection:
            row = self._tables.find(connection, name, lock=True)
            if row is None:
                raise self._absent(connection, name)
            yield connection, row

    def _held(self, connection: Connection, name: str) -> CollectionTable:
        """Return a collection whose name leads to the same table until the transaction ends. Raises UsageError."""
        if self._find(connection, name) is None:
            raise self._absent(connection, name)
        return self._locked(connection, name)

    def _locked(self, connection: Connection, name: str) -> CollectionTable:
        """Lock the table of a collection that is there, then look it up: it may have been swapped while the lock was waited for."""
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(self._tables.named(table_name(name))), ())
        row = self._tables.find(connection, name)
        if row is None:
            raise self._absent(connection, name)
        return row

    def _find(self, connection: Connection, name: str, dimensions: int = 0) -> CollectionTable | None:
        """Return a collection, None when it is not there. Raises StorageError for a foreign table, and for what may not be made."""
        row = self._tables.find(connection, name)
        if row is not None:
            return row
        table = table_name(name)
        if self._tables.exists(connection, table) and not self._tables.is_ours(connection, table):
            raise StorageError(
                f"{self._shown} has a table {table!r} that asyncrun has not made",
                hint="Choose another `collection` or `schema`: the table is left as it is.",
            )
        if not self._create and not (self._tables.exists(connection, COLLECTIONS) and self._tables.is_ours(connection, table)):
            statements = self._tables.missing_sql(connection, table, dimensions)
            raise StorageError(
                f"{self._shown} has no table {table!r}, and create: false says not to make it",
                hint=f"Have these statements run, with the embedder's DIMENSIONS: {statements}",
            )
        return None

    def _absent(self, connection: Connection, name: str) -> UsageError:
        others = ", ".join(repr(row.name) for row in self._tables.all(connection)) or "none"
        return UsageError(f"no collection {name!r} in {self._shown}; it has: {others}", hint=_INGEST_FIRST)

    def _make_registry(self, connection: Connection) -> None:
        if not self._tables.exists(connection, COLLECTIONS):
            # Two that begin at once would both find nothing.
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('asyncrun'))")
            if not self._tables.exists(connection, COLLECTIONS):
                connection.execute(self._tables.registry_sql(), ())

    def _make(self, connection: Connection, collection: Collection) -> None:
        table = table_name(collection.name)
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('asyncrun'))")
        if self._tables.find(connection, collection.name) is not None:
            return
        if self._create:
            if not has_vectors(connection):
                connection.execute(EXTENSION)
            connection.execute(self._tables.collection_sql(table, collection.dimensions), ())
        # A record whose table somebody has dropped is of no use any more.
        connection.execute(sql.SQL("DELETE FROM {} WHERE name = %s").format(self._tables.collections), (collection.name,))
        query = "INSERT INTO {} (name, table_name, fingerprint, dimensions, revision) VALUES (%s, %s, %s, %s, md5(random()::text))"
        row = (collection.name, table, collection.fingerprint, collection.dimensions)
        connection.execute(sql.SQL(query).format(self._tables.collections), row)


def _space(collection: Collection) -> str:
    return f"{collection.fingerprint[:8]} ({collection.dimensions} dimensions)"
