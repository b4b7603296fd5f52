"""The Qdrant store: collections on a server, exact also after a kill, searched by vector and filtered."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from asyncrun.errors import SpaceMismatchError, StorageError, UsageError
from asyncrun.grammar.filter import parse_filter
from asyncrun.records import Hit
from asyncrun.short_help import ShortHelp
from asyncrun.stores.committing import by_transaction
from asyncrun.stores.interface import Collection, CollectionStats, SearchRequest, StoredDocument
from asyncrun.stores.plain_text import as_plain, from_plain
from asyncrun.stores.qdrant.collection import PointCollection, make_collection
from asyncrun.stores.qdrant.filters import fact
from asyncrun.stores.qdrant.points import document_id, space_point
from asyncrun.stores.qdrant.search import search_points
from asyncrun.stores.qdrant.server import MissingCollectionError, QdrantServer

_OURS = "asyncrun-"
"""What the names of our collections begin with; their users know them by aliases."""
_INGEST_FIRST = "Run the ingest job that fills it first, and check `store` and `collection` of the job."


class QdrantStore(metaclass=ShortHelp):
    """Keeps collections on the Qdrant server at `url`; needs the extra `qdrant`.

    A collection of asyncrun is an alias, under its own name, of a collection of Qdrant: other programs ask it under that name, by the
    vector `dense`. There is no keyword search. Others may read and write meanwhile.

    Args:
        url: The server's address; the port is 6333 where none is said.
        api_key: The server's key.
        now: Tells the time, in seconds.

    >>> from asyncrun.errors import UsageError
    >>> try:
    ...     QdrantStore("localhost")
    ... except UsageError as error:
    ...     print(error)
    the url of the qdrant store is no address

    Every method raises TryLaterError when the server is away, AuthError when it refuses the key, StorageError when it refuses all else.
    """

    def __init__(self, url: str = "http://localhost:6333", api_key: str | None = None, now: Callable[[], float] = time.time) -> None:
        self._server = QdrantServer(url, api_key)
        self._now = now
        self._in_use = threading.RLock()

    def open_collection(self, collection: Collection) -> None:
        """Make the collection, or check that it has the same space. Raises SpaceMismatchError, StorageError for another program's."""
        with self._in_use:
            known = self._find(collection.name)
            if known is None:
                known = self._make(collection)
            space = self._space(known)
            if (space["fingerprint"], space["dimensions"]) != (collection.fingerprint, collection.dimensions):
                raise SpaceMismatchError(
                    f"collection {collection.name!r} of {self._shown} holds vectors of space {space['fingerprint'][:8]} "
                    f"({space['dimensions']} dimensions), not of {collection.fingerprint[:8]} ({collection.dimensions} dimensions)"
                )

    def marks(self, collection: str, source: str) -> dict[str, str]:
        """Return doc_id -> mark of what is committed; empty when the collection is not there."""
        with self._in_use:
            known = self._find(collection)
            return {} if known is None else {each.doc_id: each.mark for each in known.documents(source)}

    def commit(self, collection: str, source: str, documents: Iterable[StoredDocument]) -> None:
        """Put each document in the place of its former chunks, up to 256 documents or some 2,000 chunks at a time.

        Raises UsageError when the collection has not been opened, SpaceMismatchError for vectors of another size, ValueError for
        vectors that are not one finite row a chunk.
        """
        for group in by_transaction(documents):
            with self._in_use:
                known = self._known(collection)
                known.put(self._space(known), source, list({each.doc_id: each for each in group}.values()))

    def remove(self, collection: str, source: str, doc_ids: Sequence[str]) -> None:
        """Delete documents, in one step; one that is not there is passed over."""
        with self._in_use:
            known = self._find(collection) if doc_ids else None
            if known is not None:
                known.remove(self._space(known), [document_id(source, doc_id) for doc_id in dict.fromkeys(doc_ids)])

    def search(self, collection: str, requests: Sequence[SearchRequest]) -> list[list[Hit]]:
        """Return the best hits of each request by the cosine; equal scores are ordered by chunk id.

        Raises UsageError when nothing was ingested, a filter cannot be parsed, or words are asked for, SpaceMismatchError for a vector of
        another size.
        """
        filters = {request.filter: parse_filter(request.filter) for request in requests if request.filter is not None}
        if other := next((request.mode for request in requests if request.mode != "vector"), None):
            raise UsageError(f"a qdrant store has no {other} search", hint="Use `search: vector`, or a store of another type.")
        with self._in_use:
            while True:
                known = self._known(collection)
                try:
                    return search_points(known, self._space(known), requests, filters)
                except MissingCollectionError:
                    after = self._find(collection)
                    if after is not None and after.name == known.name:
                        raise  # Else it was replaced by another generation meanwhile.

    def fingerprint(self, collection: str) -> str | None:
        """Return the space of a collection, None when it is not there."""
        with self._in_use:
            known = self._find(collection)
            return None if known is None else str(self._space(known)["fingerprint"])

    def revision(self, collection: str) -> str:
        """Return a word that every committed change of the collection replaces; empty when it is not there."""
        with self._in_use:
            known = self._find(collection)
            return "" if known is None else str(self._space(known)["revision"])

    def has_field(self, collection: str, field: tuple[str, ...]) -> bool:
        """Tell whether a document has something at a path of its metadata; true where there is no document."""
        with self._in_use:
            known = self._find(collection)
            if known is None:
                return True
            document = {"key": "kind", "match": {"value": "document"}}
            there = {"key": "facts.is", "match": {"value": fact("there", field)}}
            return known.count({"must": [document, there]}) > 0 or known.count({"must": [document]}) == 0

    def fields(self, collection: str) -> list[str]:
        """Return the outermost names of all documents' metadata, sorted; reads every document."""
        with self._in_use:
            known = self._find(collection)
            return [] if known is None else sorted({name for each in known.documents() for name in each.metadata})

    def collections(self) -> list[Collection]:
        """Return all collections, sorted by name."""
        with self._in_use:
            found = []
            for name, ours in sorted(self._names().items()):
                space = PointCollection(self._server, ours, self._now).space()
                if space is not None:
                    found.append(Collection(name, space["fingerprint"], space["dimensions"]))
            return found

    def stats(self, collection: str) -> CollectionStats:
        """Count what a collection holds; nobody knows its bytes. Raises UsageError."""
        with self._in_use:
            known = self._known(collection)
            space = self._space(known)
            documents: dict[str, int] = {}
            chunks = 0
            for each in known.documents():
                documents[each.source] = documents.get(each.source, 0) + 1
                chunks += each.chunks
            whole = Collection(collection, space["fingerprint"], space["dimensions"])
            return CollectionStats(whole, dict(sorted(documents.items())), chunks, None)

    def documents(self, collection: str) -> Iterator[tuple[str, StoredDocument]]:
        """Yield each document after its source, in the order of both, as all were at one moment: they are copied to a file first.

        Raises UsageError when the collection is not there, TryLaterError when others write to it all the time.
        """
        from asyncrun.stores.qdrant.copying import copied_documents

        with self._in_use:
            known = self._known(collection)
            dimensions = self._space(known)["dimensions"]
        return copied_documents(known, dimensions)

    def rename(self, names: Mapping[str, str]) -> None:
        """Give collections other names, all in one step: one request changes the aliases. Raises UsageError."""
        from qdrant_client import models

        with self._in_use:
            known = self._names()
            if missing := [name for name in names if name not in known]:
                raise UsageError(f"no collection {missing[0]!r} in the store {self._shown}")
            taken = [name for name in names.values() if name in known and name not in names]
            if taken or len(set(names.values())) < len(names):
                name = taken[0] if taken else next(iter(names.values()))
                raise UsageError(f"the store {self._shown} would have two collections {name!r}")
            gone = [models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=as_plain(name))) for name in names]
            self._change_aliases([*gone, *(_alias(new, known[former]) for former, new in names.items())])

    def drop(self, collection: str) -> None:
        """Delete a collection with all that is in it; one that is not there is passed over."""
        with self._in_use:
            known = self._find(collection)
            if known is not None:
                self._server.ask(lambda client: client.delete_collection(known.name))

    def repair(self, collection: str) -> str | None:
        """Take out documents that lack chunks, so that they are put in again; returns a sentence about it."""
        from asyncrun.stores.qdrant.copying import incomplete_documents

        with self._in_use:
            known = self._find(collection)
            broken = incomplete_documents(known) if known is not None else []
            if known is None or not broken:
                return None
            known.remove(self._space(known), [document_id(each.source, each.doc_id) for each in broken])
            return f"{len(broken)} documents of the collection {collection!r} lacked chunks"

    def seal(self, collection: str, source: str) -> None:
        """Delete the chunks that a kill has left, once they are an hour old."""
        with self._in_use:
            known = self._find(collection)
            if known is not None:
                known.tidy(source)

    def describe(self) -> str:
        """Return the server's version, and how many collections there are."""
        with self._in_use:
            version = self._server.ask(lambda client: client.info()).version
            return f"Qdrant {version}, {len(self._names())} collections"

    def close(self) -> None:
        """Close the connections; may be called twice, and the next call of a method opens them again."""
        with self._in_use:
            self._server.close()

    def _names(self) -> dict[str, str]:
        """Return the collections of Qdrant that are ours, by the names that their users know."""
        aliases = self._server.ask(lambda client: client.get_aliases()).aliases
        return {from_plain(each.alias_name): each.collection_name for each in aliases if each.collection_name.startswith(_OURS)}

    def _find(self, name: str) -> PointCollection | None:
        ours = self._names().get(name)
        return None if ours is None else PointCollection(self._server, ours, self._now)

    def _known(self, name: str) -> PointCollection:
        names = self._names()
        if name not in names:
            others = ", ".join(map(repr, sorted(names))) or "none"
            raise UsageError(f"no collection {name!r} in the store {self._shown}; it has: {others}", hint=_INGEST_FIRST)
        return PointCollection(self._server, names[name], self._now)

    def _space(self, known: PointCollection) -> dict[str, Any]:
        space = known.space()
        if space is None:
            raise StorageError(f"the collection {known.name} of {self._shown} is another program's", hint="Choose another collection.")
        return space

    def _make(self, collection: Collection) -> PointCollection:
        """Make a collection of Qdrant and its alias; two processes that do so at once make one."""
        taken = {each.name for each in self._server.ask(lambda client: client.get_collections()).collections}
        aliases = {each.alias_name: each.collection_name for each in self._server.ask(lambda client: client.get_aliases()).aliases}
        plain = as_plain(collection.name)
        if aliases.get(plain, "").startswith(_OURS):  # Another process has just made it.
            return PointCollection(self._server, aliases[plain], self._now)
        if plain in taken or plain in aliases:
            what = f"the server {self._shown} has a collection {collection.name!r} that is another program's"
            raise StorageError(what, hint="Choose another collection.")
        used = set(aliases.values())
        names = (_physical_name(collection, number) for number in range(len(used) + 1))
        name = next(name for name in names if name not in used)
        make_collection(self._server, name, collection.dimensions)
        known = PointCollection(self._server, name, self._now)
        known.start(space_point(collection.fingerprint, collection.dimensions))
        self._change_aliases([_alias(collection.name, name)])
        return known

    def _change_aliases(self, operations: Sequence[Any]) -> None:
        self._server.ask(lambda client: client.update_collection_aliases(list(operations)))

    @property
    def _shown(self) -> str:
        return self._server.shown


def _physical_name(collection: Collection, number: int) -> str:
    """Return the name of the collection's so-manieth collection of Qdrant: in ASCII, and another one for another space."""
    word = re.sub(r"[^A-Za-z0-9]+", "-", collection.name).strip("-")[:40]
    identity = f"{collection.name!r} {collection.fingerprint} {collection.dimensions}"
    return f"{_OURS}{word}-{hashlib.blake2b(identity.encode(), digest_size=6).hexdigest()}-{number}"


def _alias(name: str, collection: str) -> Any:
    from qdrant_client import models

    return models.CreateAliasOperation(create_alias=models.CreateAlias(alias_name=as_plain(name), collection_name=collection))
