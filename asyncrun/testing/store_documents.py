"""Documents for the contract suite of stores, and the question that the suite asks most."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from asyncrun.records import Chunk
from asyncrun.stores.interface import SearchMode, SearchRequest, StoredDocument, VectorStore

OpenStore: TypeAlias = Callable[[], VectorStore]


def make_document(
    doc_id: str, texts: Sequence[str], vectors: Sequence[Sequence[float]], metadata: Mapping[str, Any] | None = None, mark: str = "mark"
) -> StoredDocument:
    """Return a document whose chunks are the texts, one after the other in its text."""
    starts = np.cumsum([0, *map(len, texts)]).tolist()
    chunks = [Chunk(text, starts[ordinal], starts[ordinal + 1], ordinal) for ordinal, text in enumerate(texts)]
    rows = np.array(vectors, dtype=np.float32) if texts else np.empty((0, 0), dtype=np.float32)
    return StoredDocument(doc_id, mark, chunks, rows, metadata or {})


def search_ids(
    store: VectorStore,
    text: str,
    vector: Sequence[float],
    mode: SearchMode,
    *,
    top_k: int = 10,
    filter: str | None = None,
    collection: str = "notes",
) -> list[str]:
    """Return the ids of the hits of one question."""
    request = SearchRequest(text, np.array(vector, dtype=np.float32), mode, top_k, filter)
    return [hit.id for hit in store.search(collection, [request])[0]]
