"""The LanceDB store: documents in tables of a folder, vector search and BM25 by LanceDB, exact also after a kill."""

from __future__ import annotations

import datetime
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from asyncrun.errors import SpaceMismatchError, StorageError, UsageError
from asyncrun.grammar.filter import parse_filter
from asyncrun.records import Hit
from asyncrun.short_help import ShortHelp
from asyncrun.stores.committing import by_transaction
from asyncrun.stores.interface import Collection, CollectionStats, SearchRequest, StoredDocument
from asyncrun.stores.lancedb.errors import reporting
from asyncrun.stores.lancedb.names import NamedTable, NamesFile, new_table
from asyncrun.stores.lancedb.rows import DocumentHeads, document_of
from asyncrun.stores.lancedb.search import TableSearch
from asyncrun.stores.lancedb.table import ALL, ChunkTable, create_table, vectors_of

_INGEST_FIRST = "Run the ingest job that fills it first, and check `store` and `collection` of the job."
_DOCUMENTS_AT_ONCE = 200
_BACK = ["key", "ref", "ordinal", "text", "start", "end", "about", "metadata", "vector"]


class LanceDBStore(metaclass=ShortHelp):
    """Keeps collections in the folder `path`, which the first write makes: a table of LanceDB each; needs the extra `lancedb`.

    Vector search compares with all vectors of a table on disk, so that it is exact; a chunk whose vector has no length is found by words
    alone. Words are ranked by BM25. A filter is compared here, with the metadata of all documents. Other processes may read and write
    meanwhile, and see each commit at once.

    >>> store = LanceDBStore(Path("no-such-folder"))
    >>> store.marks("handbook", "docs")  # no folder is there, and none is made
    {}

    Every method raises StorageError when the folder cannot be used, TryLaterError when others write at the same time.
    """

    def __init__(self, path: str | Path) -> None:
        self._names = NamesFile(Path(path))
        self._database: Any = None
        self._tables: dict[str, ChunkTable] = {}
        self._searches: dict[str, TableSearch] = {}
        self._in_use = threading.RLock()

    def open_collection(self, collection: Collection) -> None:
        """Make the collection, or check that it has the same space. Raises SpaceMismatchError."""
        with self._in_use:
            known = self._names.read().get(collection.name)
            if known is None:
                with self._names.changing() as names:
                    known = names.get(collection.name)
                    if known is None:
                        self._drop_unnamed(names)
                        known = new_table(collection)
                        with reporting(self._names.shown):
                            create_table(self._connection(), known)
                        names[collection.name] = known
            if (known.fingerprint, known.dimensions) != (collection.fingerprint, collection.dimensions):
                raise SpaceMismatchError(
                    f"collection {collection.name!r} of {self._names.shown} holds vectors of space {known.fingerprint[:8]} "
                    f"({known.dimensions} dimensions), not of {collection.fingerprint[:8]} ({collection.dimensions} dimensions)"
                )

    def marks(self, collection: str, source: str) -> dict[str, str]:
        """Return doc_id -> mark of what is committed; empty when the collection, or the folder, is not there."""
        return {head.doc_id: head.mark for head in self._heads(collection).of_now.values() if head.source == source}

    def commit(self, collection: str, source: str, documents: Iterable[StoredDocument]) -> None:
        """Put each document in the place of its former chunks, by commits of up to 256 documents or some 2,000 chunks.

        Raises UsageError when the collection has not been opened, SpaceMismatchError for vectors of another size, ValueError for
        vectors that are not one finite row a chunk.
        """
        for group in by_transaction(documents):
            with self._in_use:
                self._known_table(collection).put(source, list({each.doc_id: each for each in group}.values()))

    def remove(self, collection: str, source: str, doc_ids: Sequence[str]) -> None:
        """Delete documents, by one commit; one that is not there is passed over."""
        with self._in_use:
            table = self._table(collection)
            if table is not None:
                table.remove(source, doc_ids)

    def search(self, collection: str, requests: Sequence[SearchRequest]) -> list[list[Hit]]:
        """Return the best hits of each request, all from one state of the collection; equal scores are ordered by chunk id.

        `score`: the cosine, BM25, or the sum of reciprocal ranks. Raises UsageError when nothing was ingested or a filter cannot be
        parsed, SpaceMismatchError for a vector of another size.
        """
        filters = {request.filter: parse_filter(request.filter) for request in requests if request.filter is not None}
        with self._in_use:
            while True:
                table = self._known_table(collection)
                try:
                    searching = self._search_of(collection, table)
                    with table.reporting():
                        return searching.search(requests, filters)
                except StorageError:
                    if self._names.read().get(collection) == table.named:
                        raise  # Else it was replaced by another generation meanwhile.

    def fingerprint(self, collection: str) -> str | None:
        """Return the space of a collection, None when it is not there."""
        known = self._names.read().get(collection)
        return known.fingerprint if known else None

    def revision(self, collection: str) -> str:
        """Return a word that every committed change of the collection replaces; empty when it is not there."""
        with self._in_use:
            table = self._table(collection)
            return f"{table.named.table}-{table.heads().word()}" if table else ""

    def has_field(self, collection: str, field: tuple[str, ...]) -> bool:
        """Tell whether a document has something at a path of its metadata; true where there is no document."""
        metadata = self._metadata(collection)
        return not metadata or any(_has(each, field) for each in metadata)

    def fields(self, collection: str) -> list[str]:
        """Return the outermost names of all documents' metadata, sorted; reads every document."""
        return sorted({name for each in self._metadata(collection) for name in each})

    def collections(self) -> list[Collection]:
        """Return all collections, sorted by name."""
        return [Collection(name, known.fingerprint, known.dimensions) for name, known in sorted(self._names.read().items())]

    def stats(self, collection: str) -> CollectionStats:
        """Count what a collection holds; the size is that of its files, former versions included. Raises UsageError."""
        with self._in_use:
            table = self._known_table(collection)
            documents: dict[str, int] = {}
            heads = table.heads().of_now.values()
            for head in heads:
                documents[head.source] = documents.get(head.source, 0) + 1
            files = (self._names.folder / f"{table.named.table}.lance").rglob("*")
            size = sum(file.stat().st_size for file in files if file.is_file())
            whole = Collection(collection, table.named.fingerprint, table.named.dimensions)
            return CollectionStats(whole, dict(sorted(documents.items())), sum(head.chunks for head in heads), size)

    def documents(self, collection: str) -> Iterator[tuple[str, StoredDocument]]:
        """Yield each document after its source, in the order of both, all from one version of the table. Raises UsageError."""
        with self._in_use:
            table = self._known_table(collection)
            frozen, heads = table.at_one_version()
        ordered = sorted(heads.of_now.items(), key=lambda item: (item[1].source, item[1].doc_id))
        for start in range(0, len(ordered), _DOCUMENTS_AT_ONCE):
            some = ordered[start : start + _DOCUMENTS_AT_ONCE]
            condition = f"ref IN ({', '.join(str(head.ref) for _, head in some)})"
            with table.reporting():
                answer = frozen.search().where(condition).select(_BACK).limit(ALL).to_arrow()
                vectors = vectors_of(answer, table.named.width)
            rows = answer.drop_columns(["vector"]).to_pylist()
            places: dict[tuple[str, int], list[int]] = {}
            for place, row in enumerate(rows):
                places.setdefault((row["key"], row["ref"]), []).append(place)
            for key, head in some:
                own = places[key, head.ref]
                yield head.source, document_of(head, [rows[place] for place in own], vectors[own])

    def rename(self, names: Mapping[str, str]) -> None:
        """Give collections other names, all in one step: one file is replaced. Raises UsageError."""
        with self._in_use, self._names.changing() as known:
            if missing := [name for name in names if name not in known]:
                raise UsageError(f"no collection {missing[0]!r} in the store {self._names.shown}")
            taken = [name for name in names.values() if name in known and name not in names]
            if taken or len(set(names.values())) < len(names):
                name = taken[0] if taken else next(iter(names.values()))
                raise UsageError(f"the store {self._names.shown} would have two collections {name!r}")
            moved = {new: known.pop(former) for former, new in names.items()}
            known.update(moved)

    def drop(self, collection: str) -> None:
        """Delete a collection with all that is in it; one that is not there is passed over."""
        with self._in_use:
            if collection not in self._names.read():
                return
            with self._names.changing() as names:
                names.pop(collection, None)
            with self._names.changing() as names:
                self._drop_unnamed(names)

    def repair(self, collection: str) -> str | None:
        """Take out documents that lack chunks, so that they are put in again; returns a sentence about it."""
        with self._in_use:
            table = self._table(collection)
            broken = table.incomplete() if table else []
            for head in broken:
                self._known_table(collection).remove(head.source, [head.doc_id])
            return f"{len(broken)} documents of the collection {collection!r} lacked chunks" if broken else None

    def seal(self, collection: str, source: str) -> None:
        """Delete what a kill has left, index new words, and keep the files few."""
        with self._in_use:
            table = self._table(collection)
            if table is not None:
                table.tidy()

    def describe(self) -> str:
        """Return the version of LanceDB, and how many collections there are."""
        from importlib.metadata import version

        return f"LanceDB {version('lancedb')}, {len(self._names.read())} collections"

    def close(self) -> None:
        """Release the tables; may be called twice, and the next call of a method opens them again."""
        with self._in_use:
            self._searches.clear()
            self._tables.clear()
            self._database = None

    def _connection(self) -> Any:
        if self._database is None:
            os.environ.setdefault("LANCEDB_LOG", "error")  # It writes warnings to standard error else.
            import lancedb  # Takes two seconds.

            with reporting(self._names.shown):
                self._database = lancedb.connect(str(self._names.folder), read_consistency_interval=datetime.timedelta(0))
        return self._database

    def _table(self, collection: str) -> ChunkTable | None:
        """Return a collection's table, None when it is not there."""
        named = self._names.read().get(collection)
        if named is None:
            return None
        if named.table not in self._tables:
            self._tables[named.table] = ChunkTable(self._connection(), named, self._names.shown)
        return self._tables[named.table]

    def _known_table(self, collection: str) -> ChunkTable:
        table = self._table(collection)
        if table is not None:
            return table
        names = self._names.read()
        if not names and not self._names.folder.exists():
            raise UsageError(f"nothing has been ingested: the store {self._names.shown} is not there", hint=_INGEST_FIRST)
        others = ", ".join(map(repr, sorted(names))) or "none"
        raise UsageError(f"no collection {collection!r} in the store {self._names.shown}; it has: {others}", hint=_INGEST_FIRST)

    def _heads(self, collection: str) -> DocumentHeads:
        with self._in_use:
            table = self._table(collection)
            return table.heads() if table else DocumentHeads()

    def _metadata(self, collection: str) -> list[dict[str, Any]]:
        with self._in_use:
            table = self._table(collection)
            if table is None:
                return []
            with table.reporting():
                return list(self._search_of(collection, table).metadata().values())

    def _search_of(self, collection: str, table: ChunkTable) -> TableSearch:
        """Return what searches a table at its version of now; that of the last call where nothing has changed."""
        before = self._searches.get(collection)
        if before is None or before.named != table.named or not table.is_at(before.table):
            frozen, heads = table.at_one_version()
            self._searches[collection] = TableSearch(frozen, table.named, heads)
        return self._searches[collection]

    def _drop_unnamed(self, names: Mapping[str, NamedTable]) -> None:
        """Delete tables that belong to no collection: those of dropped ones, and one that a kill has left. The caller holds the folder."""
        kept = {named.table for named in names.values()}
        with reporting(self._names.shown):
            for table in self._connection().list_tables(limit=1 << 20).tables:
                if table not in kept:
                    self._connection().drop_table(table)
                    self._tables.pop(table, None)


def _has(metadata: Any, field: tuple[str, ...]) -> bool:
    for name in field:
        if not isinstance(metadata, Mapping) or name not in metadata:
            return False
        metadata = metadata[name]
    return True
