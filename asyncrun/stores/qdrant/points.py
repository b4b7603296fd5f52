"""The points of a collection: one a chunk, one a document, which says which chunks are its own, and one for the collection itself."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncrun.records import Chunk, Hit
from asyncrun.stores.interface import StoredDocument
from asyncrun.stores.metadata_json import metadata_json
from asyncrun.stores.plain_text import as_plain, from_plain
from asyncrun.stores.qdrant.filters import facts_of

if TYPE_CHECKING:
    from asyncrun.records import Vectors

VECTOR = "dense"
"""The name of the vectors. A point of a document has none, so that no search by vector finds it."""
_NAMESPACE = uuid.UUID("3ad1c5a2-4b0e-4f53-9a60-0a3ac2a7d3f5")
SPACE_ID = str(uuid.uuid5(_NAMESPACE, "space"))
"""The point that says which space a collection is of, and its revision."""


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """A document as its point says; `ref` is in its chunks' points, and in no other's."""

    source: str
    doc_id: str
    mark: str
    ref: str
    chunks: int
    metadata: Mapping[str, Any]


def document_id(source: str, doc_id: str) -> str:
    """Return the id of a document's point: the same one for all of its versions."""
    return str(uuid.uuid5(_NAMESPACE, json.dumps([source, doc_id])))


def owner_of(source: str) -> str:
    """Return what stands for a source in conditions."""
    return hashlib.blake2b(json.dumps(source).encode(), digest_size=16).hexdigest()


def document_point(source: str, document: StoredDocument, ref: str) -> dict[str, Any]:
    """Return the point of a document. Raises StorageError for metadata that have no JSON form."""
    metadata = metadata_json(document.doc_id, document.metadata)
    payload = {
        "kind": "document",
        "owner": owner_of(source),
        "source": as_plain(source),
        "doc_id": as_plain(document.doc_id),
        "mark": as_plain(document.mark),
        "ref": ref,
        "chunks": len(document.chunks),
        "metadata": metadata,
        "facts": {"is": facts_of(json.loads(metadata))["is"]},
    }
    return {"id": document_id(source, document.doc_id), "vector": {}, "payload": payload}


def chunk_points(source: str, document: StoredDocument, ref: str, written: float) -> list[dict[str, Any]]:
    """Return the points of a document's chunks; the vectors are of unit length, by which the dot product is the cosine."""
    facts = facts_of(json.loads(metadata_json(document.doc_id, document.metadata)))
    points = []
    for chunk, vector in zip(document.chunks, _unit_rows(document.vectors) if document.chunks else (), strict=True):
        payload = {
            "kind": "chunk",
            "owner": owner_of(source),
            "source": as_plain(source),
            "doc_id": as_plain(document.doc_id),
            "ref": ref,
            "written": written,
            "chunk_id": as_plain(document.chunk_id(chunk)),
            "ordinal": chunk.ordinal,
            "text": as_plain(chunk.text),
            "start": chunk.start,
            "end": chunk.end,
            "about": metadata_json(document.doc_id, chunk.metadata),
            "facts": facts,
        }
        points.append({"id": str(uuid.uuid5(uuid.UUID(ref), str(chunk.ordinal))), "vector": {VECTOR: vector.tolist()}, "payload": payload})
    return points


def space_point(fingerprint: str, dimensions: int) -> dict[str, Any]:
    """Return the point of a collection with a new revision."""
    payload = {"kind": "space", "fingerprint": fingerprint, "dimensions": dimensions, "revision": uuid.uuid4().hex}
    return {"id": SPACE_ID, "vector": {}, "payload": payload}


def known_document(payload: Mapping[str, Any]) -> KnownDocument:
    """Return what a document's point says."""
    return KnownDocument(
        from_plain(payload["source"]),
        from_plain(payload["doc_id"]),
        from_plain(payload["mark"]),
        payload["ref"],
        payload["chunks"],
        json.loads(payload["metadata"]),
    )


def hit_of(payload: Mapping[str, Any], metadata: Mapping[str, Any], score: float) -> Hit:
    """Return a chunk's point as a hit; `metadata` is that of its document."""
    about = {**metadata, **json.loads(payload["about"])}
    text, doc_id = from_plain(payload["text"]), from_plain(payload["doc_id"])
    return Hit(from_plain(payload["chunk_id"]), doc_id, score, text, about, payload["start"], payload["end"])


def chunk_of(payload: Mapping[str, Any]) -> Chunk:
    """Return a chunk's point as the chunk that was put in."""
    return Chunk(from_plain(payload["text"]), payload["start"], payload["end"], payload["ordinal"], json.loads(payload["about"]))


def _unit_rows(vectors: Vectors) -> Vectors:
    """Return vectors of unit length; one without a length stays as it is."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
