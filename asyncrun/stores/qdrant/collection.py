"""One collection on a Qdrant server: documents put in, taken out and read, so that after a kill each is there wholly or not at all.

The chunks of a document go in first, under a name of their own, and are nobody's. Then the document's point is put in the place of its
former one, which is one step, and says which chunks are its own from now on. Then the chunks of the former version are deleted.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from asyncrun.errors import StorageError
from asyncrun.stores.committing import check_document
from asyncrun.stores.interface import StoredDocument
from asyncrun.stores.qdrant.points import (
    SPACE_ID,
    VECTOR,
    KnownDocument,
    chunk_points,
    document_id,
    document_point,
    known_document,
    owner_of,
    space_point,
)
from asyncrun.stores.qdrant.server import QdrantServer

LEFT_BEHIND = 3600.0
"""Seconds after which chunks that are nobody's are a killed writer's; younger ones may be those of a writer that is at work."""
_FLOATS_AT_ONCE = 500_000
"""The numbers of one request: some 10 MB of JSON, where a server takes 32."""
_READ_AT_ONCE = 1_000


class PointCollection:
    """The collection `name` of a server; its methods raise what `QdrantServer.ask` raises.

    Args:
        server: Who is asked.
        name: The collection's own name, not an alias: it stays the same collection whatever is renamed.
        now: Tells the time, in seconds.
    """

    def __init__(self, server: QdrantServer, name: str, now: Callable[[], float]) -> None:
        self.server = server
        self.name = name
        self._now = now

    def space(self) -> dict[str, Any] | None:
        """Return fingerprint, dimensions and revision; None where this is no collection of asyncrun."""
        found = self._retrieve([SPACE_ID])
        return dict(found[SPACE_ID]) if SPACE_ID in found else None

    def start(self, space: Mapping[str, Any]) -> None:
        """Put in the point that says which space the collection is of."""
        self._update([_upsert([space])])

    def put(self, space: Mapping[str, Any], source: str, documents: Sequence[StoredDocument]) -> None:
        """Put each document, of which there are no two with one id, in the place of its former version.

        Raises ValueError, SpaceMismatchError for vectors that do not fit, before anything is put in.
        """
        for document in documents:
            check_document(document, space["dimensions"])
        former = self.find([document_id(source, each.doc_id) for each in documents])
        refs = [str(uuid.uuid4()) for _ in documents]
        written = self._now()
        # The revision changes before what it stands for and after it: a reader remembers nothing of the time between.
        points = [space_point(space["fingerprint"], space["dimensions"])]
        for document, ref in zip(documents, refs, strict=True):
            points += chunk_points(source, document, ref, written)
        step = max(1, _FLOATS_AT_ONCE // max(1, space["dimensions"]))
        for start in range(0, len(points), step):
            self._update([_upsert(points[start : start + step])])
        heads = [document_point(source, document, ref) for document, ref in zip(documents, refs, strict=True)]
        replaced = [each.ref for each in former.values()]
        operations = [_upsert([*heads, space_point(space["fingerprint"], space["dimensions"])])]
        self._update([*operations, *([_delete_chunks(replaced)] if replaced else [])])

    def remove(self, space: Mapping[str, Any], ids: Sequence[str]) -> None:
        """Delete the documents with these points; one that is not there is passed over."""
        found = self.find(ids)
        if found:
            changed = _upsert([space_point(space["fingerprint"], space["dimensions"])])
            gone = {"delete": {"points": list(found)}}
            self._update([changed, gone, changed, _delete_chunks([each.ref for each in found.values()])])

    def find(self, ids: Sequence[str]) -> dict[str, KnownDocument]:
        """Return the documents whose points have these ids, as far as they are there."""
        found: dict[str, KnownDocument] = {}
        for start in range(0, len(ids), _READ_AT_ONCE):
            payloads = self._retrieve(ids[start : start + _READ_AT_ONCE])
            found.update((point, known_document(payload)) for point, payload in payloads.items())
        return found

    def documents(self, source: str | None = None) -> Iterator[KnownDocument]:
        """Yield all documents, or those of a source."""
        conditions = [_is("kind", "document"), *([] if source is None else [_is("owner", owner_of(source))])]
        return (known_document(point.payload) for point in self.scroll({"must": conditions}))

    def chunks(self) -> Iterator[Any]:
        """Yield the points of all chunks with their vectors, those that are nobody's among them."""
        return self.scroll({"must": [_is("kind", "chunk")]}, vectors=True)

    def count(self, condition: Mapping[str, Any]) -> int:
        """Count the points that meet a filter."""
        from qdrant_client import models

        parsed = models.Filter.model_validate(condition)
        return int(self.server.ask(lambda client: client.count(self.name, count_filter=parsed, exact=True)).count)

    def count_chunks(self, source: str | None = None) -> int:
        """Count the points of chunks, those that are nobody's among them."""
        return self.count({"must": [_is("kind", "chunk"), *([] if source is None else [_is("owner", owner_of(source))])]})

    def tidy(self, source: str) -> None:
        """Delete chunks of a source that are nobody's, once they are old."""
        refs = {known.ref: known.chunks for known in self.documents(source)}
        if self.count_chunks(source) != sum(refs.values()):
            old = {"key": "written", "range": {"lt": self._now() - LEFT_BEHIND}}
            theirs = [_any("ref", list(refs))] if refs else []
            left = {"must": [_is("kind", "chunk"), _is("owner", owner_of(source)), old], "must_not": theirs}
            self._update([{"delete": {"filter": left}}])

    def query(self, questions: Sequence[tuple[list[float], int]], condition: Mapping[str, Any] | None) -> list[list[Any]]:
        """Return, per question and number, so many points at most, the nearest first, with their vectors."""
        from qdrant_client import models

        parsed = None if condition is None else models.Filter.model_validate(condition)
        requests = [
            models.QueryRequest(query=vector, using=VECTOR, filter=parsed, limit=count, with_payload=True, with_vector=[VECTOR])
            for vector, count in questions
        ]
        return [answer.points for answer in self.server.ask(lambda client: client.query_batch_points(self.name, requests))]

    def scroll(self, condition: Mapping[str, Any], *, vectors: bool = False) -> Iterator[Any]:
        """Yield all points that meet a filter, in the order of their ids."""
        from qdrant_client import models

        parsed = models.Filter.model_validate(condition)
        offset = None
        while True:

            def read(client: Any, offset: Any = offset) -> Any:
                return client.scroll(self.name, scroll_filter=parsed, limit=_READ_AT_ONCE, offset=offset, with_vectors=vectors)

            points, offset = self.server.ask(read)
            yield from points
            if offset is None:
                return

    def _retrieve(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        if not ids:
            return {}
        points = self.server.ask(lambda client: client.retrieve(self.name, list(ids), with_payload=True))
        return {str(point.id): point.payload for point in points}

    def _update(self, operations: Sequence[Mapping[str, Any]]) -> None:
        from qdrant_client import models

        parsed = models.UpdateOperations.model_validate({"operations": list(operations)}).operations
        self.server.ask(lambda client: client.batch_update_points(self.name, parsed, wait=True))


def make_collection(server: QdrantServer, name: str, dimensions: int) -> None:
    """Make an empty collection, unless another process has just made it."""
    from qdrant_client import models

    size = models.VectorParams(size=max(1, dimensions), distance=models.Distance.DOT)

    try:
        server.ask(lambda client: client.create_collection(name, vectors_config={VECTOR: size}))
    except StorageError:
        if not server.ask(lambda client: client.collection_exists(name)):
            raise
    for field in ("kind", "owner", "ref", "facts.is"):
        server.ask(partial(_index, name=name, field=field))


def _index(client: Any, name: str, field: str) -> None:
    from qdrant_client import models

    client.create_payload_index(name, field, models.PayloadSchemaType.KEYWORD)


def _upsert(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"upsert": {"points": list(points)}}


def _delete_chunks(refs: Sequence[str]) -> dict[str, Any]:
    return {"delete": {"filter": {"must": [_is("kind", "chunk"), _any("ref", refs)]}}}


def _is(key: str, value: str) -> dict[str, Any]:
    return {"key": key, "match": {"value": value}}


def _any(key: str, values: Sequence[str]) -> dict[str, Any]:
    return {"key": key, "match": {"any": list(values)}}
