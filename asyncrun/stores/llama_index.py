"""The adapter for vector stores of LlamaIndex: nodes for its programs, and what asyncrun promises kept by records of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncrun.errors import DamagedStoreError, SpaceMismatchError, StorageError, UsageError
from asyncrun.escape import printable
from asyncrun.grammar.filter import parse_filter
from asyncrun.llama_index_classes import ClassKind, read_options
from asyncrun.records import Hit
from asyncrun.stores import llama_index_records as records
from asyncrun.stores.committing import by_transaction, check_document
from asyncrun.stores.interface import Collection, SearchRequest, StoredDocument
from asyncrun.stores.llama_index_nodes import COLLECTION, NodeStores
from asyncrun.stores.llama_index_records import KnownChunk, KnownCollection, Records

if TYPE_CHECKING:
    from asyncrun.records import Vectors

_VECTOR_STORE = ClassKind(
    base="llama_index.core.vector_stores.types.BasePydanticVectorStore",
    called="vector store",
    owner="store",
    example="llama_index.core.vector_stores.SimpleVectorStore",
    more=("make",),
)
_SAME = 1e-6
"""Scores that differ by less may be equal: a vector store counts in 32 bits."""
_INGEST_FIRST = "Run the ingest job that fills it first, and check `store` and `collection` of the job."


class LlamaIndexStore:
    """Keeps chunks as nodes in a vector store of LlamaIndex, which its programs can ask too.

    A node has the text, the document's metadata, and the vector of unit length, by which all metrics rank like the cosine. The file at
    `path` says which nodes there are of now, so that a document is there wholly or not at all, and what comes back is as it was put in.
    A class that keeps all in memory and can be persisted (`from_persist_path`) is, into `<path>.<collection>.json`, whole, at each commit.

    Args:
        path: Where the records are.
        options: `class` is the class with its module (`llama_index.core.vector_stores.SimpleVectorStore`), `args` are its arguments;
            `{collection}` in one of them stands for the collection's name. Without it the store has one collection. `make` is a method
            of the class that makes it instead, such as `from_params`.
        url: Its argument `url`.
        api_key: Its argument `api_key`: a key does not belong into `options`.

    Words, both together and filters are refused: such stores have no meaning of them in common.
    """

    def __init__(self, path: Path, options: Mapping[str, Any] | None = None, url: str | None = None, api_key: str | None = None) -> None:
        chosen = read_options(options, _VECTOR_STORE)
        named = {name: value for name, value in (("url", url), ("api_key", api_key)) if value is not None}
        self._stores = NodeStores(chosen, named, path)
        self._path = path
        self._records = Records(path)
        self._in_use = threading.RLock()

    def open_collection(self, collection: Collection) -> None:
        """Make the collection, or check that it has the same space. Raises SpaceMismatchError, UsageError for a second one in one place."""
        with self._in_use, self._records.writing() as connection:
            known = records.find_collection(connection, collection.name)
            if known is None:
                others = records.collection_names(connection)
                if others and not self._stores.several:
                    what = f"the store {self._shown} is one collection, {others[0]!r}, and cannot hold {collection.name!r}, too"
                    raise UsageError(what, hint=f"Write {COLLECTION} in options.args where the class takes a collection or table.")
                records.insert_collection(connection, collection)
                self._refuse_others_nodes(collection)
            elif (known.fingerprint, known.dimensions) != (collection.fingerprint, collection.dimensions):
                raise SpaceMismatchError(
                    f"collection {collection.name!r} of {self._shown} holds vectors of space {known.fingerprint[:8]} "
                    f"({known.dimensions} dimensions), not of {collection.fingerprint[:8]} ({collection.dimensions} dimensions)"
                )

    def marks(self, collection: str, source: str) -> dict[str, str]:
        """Return doc_id -> mark of what is committed; empty when the collection, or the file, is not there."""
        with self._records.reading() as connection:
            return records.marks(connection, collection, source) if connection else {}

    def commit(self, collection: str, source: str, documents: Iterable[StoredDocument]) -> None:
        """Put each document in the place of its former chunks.

        Raises UsageError when the collection has not been opened, SpaceMismatchError for vectors of another size, ValueError for
        vectors that are not one finite row a chunk, StorageError for what the vector store raises.
        """
        with self._in_use:
            for group in by_transaction(documents):
                self._commit(collection, source, list({each.doc_id: each for each in group}.values()))

    def remove(self, collection: str, source: str, doc_ids: Sequence[str]) -> None:
        """Delete documents; one that is not there is passed over."""
        with self._in_use:
            if doc_ids and self.fingerprint(collection) is not None:
                with self._records.writing() as connection:
                    if records.leave(connection, collection, source, doc_ids):
                        records.touch(connection, collection, content=True)
                self.seal(collection, source)

    def search(self, collection: str, requests: Sequence[SearchRequest]) -> list[list[Hit]]:
        """Return the best hits of each request by the cosine; equal scores are ordered by chunk id.

        Raises UsageError when nothing was ingested, or for what is not asked by vector alone, SpaceMismatchError for a vector of another
        size, DamagedStoreError when the vector store has lost nodes.
        """
        for request in requests:
            if request.filter is not None:
                parse_filter(request.filter)
                raise UsageError("a store of LlamaIndex is asked without a filter", hint="Leave `filter` out, or use an sqlite store.")
            if request.mode != "vector":
                raise UsageError(f"a store of LlamaIndex has no {request.mode} search", hint="Use `search: vector`, or an sqlite store.")
        with self._in_use:
            return [self._answer(collection, request) for request in requests]

    def fingerprint(self, collection: str) -> str | None:
        """Return the space of a collection, None when it is not there."""
        known = self._find(collection)
        return known.fingerprint if known else None

    def revision(self, collection: str) -> str:
        """Return a word that every committed change of the collection replaces; empty when it is not there."""
        known = self._find(collection)
        return known.revision if known else ""

    def repair(self, collection: str) -> str | None:
        """Have everything put in again where the vector store has lost all of it; returns a sentence about it."""
        with self._in_use, self._records.writing() as connection:
            known = records.find_collection(connection, collection)
            if known is None:
                return None
            now, _ = records.counts(connection, collection)
            if not now or self._stores.ask(known, np.ones(known.dimensions, dtype=np.float32), 1):
                return None
            records.leave_all(connection, collection)
            records.touch(connection, collection, content=True)
            return f"the vector store has lost all {now} chunks of the collection {collection!r}: they are put in again"

    def seal(self, collection: str, source: str) -> None:
        """Delete the nodes of documents that are none of now, also those that a kill has left."""
        with self._in_use, self._records.writing() as connection:
            known = records.find_collection(connection, collection)
            refs = records.leftovers(connection, collection, source) if known else []
            if known is None or not refs:
                return
            self._stores.delete(known, [_ref_doc_id(source, ref) for ref in refs])
            records.drop(connection, refs)
            records.touch(connection, collection, content=False)

    def close(self) -> None:
        """Release the file and the vector stores; may be called twice, and the next call of a method opens them again."""
        with self._in_use:
            self._stores.close()
            self._records.close()

    def _commit(self, collection: str, source: str, documents: Sequence[StoredDocument]) -> None:
        self.seal(collection, source)
        with self._records.writing() as connection:
            known = self._known(connection, collection)
            for document in documents:
                check_document(document, known.dimensions)
            # Committed before their nodes are added, so that those are found after a kill.
            added = [(document, *records.insert_document(connection, collection, source, document)) for document in documents]
        nodes = [node for document, ref, ids in added for node in self._stores.nodes(document, _ref_doc_id(source, ref), ids)]
        with self._records.writing() as connection:
            if nodes:
                self._stores.add(self._known(connection, collection), nodes)
            records.replace_documents(connection, collection, source, [(ref, document.doc_id) for document, ref, _ in added])
            records.touch(connection, collection, content=True)
        self.seal(collection, source)

    def _answer(self, collection: str, request: SearchRequest) -> list[Hit]:
        for _ in range(_TRIES):
            with self._records.reading() as connection:
                if connection is None:
                    raise UsageError(f"nothing has been ingested: the store {self._shown} is not there", hint=_INGEST_FIRST)
                known = self._known(connection, collection)
                vector = _question(request, known)
                now, others = records.counts(connection, collection)
                wanted = min(max(0, request.top_k), now)
                if not wanted:
                    return []
                if not vector.any():
                    best = records.find_chunks(connection, collection)
                else:
                    best = self._nearest(connection, known, vector, wanted, now + others)
            if len(best) >= wanted:
                scored = sorted(((float(np.dot(chunk.vector.astype(np.float64), vector)), chunk) for chunk in best), key=_rank)
                return [Hit(c.id, c.doc_id, score, c.text, c.metadata, c.start, c.end) for score, c in scored[:wanted]]
            # Who writes meanwhile changes the nodes before the records.
            if (after := self._find(collection)) is None or after.version == known.version:
                break
        raise DamagedStoreError(
            f"{self._stores.name} answered {len(best)} of {wanted} chunks that collection {collection!r} of {self._shown} has"
        )

    def _nearest(self, connection: Any, known: KnownCollection, vector: Vectors, wanted: int, most: int) -> list[KnownChunk]:
        """Return the nearest chunks of now, so many at least and with them all that may tie with the last one."""
        asked = wanted + 1
        while True:
            asked = min(asked, most)
            ids = self._stores.ask(known, vector, asked)
            chunks = records.find_chunks(connection, known.name, ids)
            scores = sorted((float(np.dot(chunk.vector, vector)) for chunk in chunks), reverse=True)
            if asked >= most or (len(scores) > wanted and scores[-1] < scores[wanted - 1] - _SAME):
                return chunks
            asked *= 2

    def _refuse_others_nodes(self, collection: Collection) -> None:
        """Raise UsageError where nodes are already that no records tell of: they would be among the answers."""
        known = KnownCollection(collection.name, collection.fingerprint, collection.dimensions, "", 0)
        found: list[str] = []
        with suppress(StorageError):  # Some have no collection before the first node.
            found = self._stores.ask(known, np.ones(collection.dimensions, dtype=np.float32), 1)
        if found:
            what = f"{self._stores.name} has nodes that are not of the collection {collection.name!r} of {self._shown}"
            raise UsageError(what, hint="Name an empty collection or table in options.args.")

    def _find(self, name: str) -> KnownCollection | None:
        with self._records.reading() as connection:
            return records.find_collection(connection, name) if connection else None

    def _known(self, connection: Any, name: str) -> KnownCollection:
        known = records.find_collection(connection, name)
        if known is None:
            others = ", ".join(map(repr, records.collection_names(connection))) or "none"
            raise UsageError(f"no collection {name!r} in the store {self._shown}; it has: {others}", hint=_INGEST_FIRST)
        return known

    @property
    def _shown(self) -> str:
        return printable(str(self._path))


_TRIES = 5


def _rank(scored: tuple[float, KnownChunk]) -> tuple[float, str]:
    return -scored[0], scored[1].id


def _question(request: SearchRequest, known: KnownCollection) -> Vectors:
    if request.vector is None:
        raise ValueError(f"a {request.mode} search needs a vector")
    vector = request.vector.reshape(-1)
    if len(vector) != known.dimensions:
        raise SpaceMismatchError(f"the question's vector has {len(vector)} dimensions, those of the collection have {known.dimensions}")
    [unit] = records.unit_rows(vector.reshape(1, -1))
    return np.asarray(unit)


def _ref_doc_id(source: str, ref: int) -> str:
    return f"{source}/{ref}"
