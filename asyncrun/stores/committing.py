"""Documents on their way into a store: what is wrong with one, and how many go into one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from asyncrun.errors import SpaceMismatchError
from asyncrun.records import Chunk
from asyncrun.stores.interface import StoredDocument

DOCUMENTS_AT_ONCE = 256
"""The documents of one transaction."""
CHUNKS_AT_ONCE = 2_000


class _Cut(Protocol):
    @property
    def chunks(self) -> Sequence[Chunk]: ...


D = TypeVar("D", bound=_Cut)


def by_transaction(documents: Iterable[D]) -> Iterator[list[D]]:
    """Yield documents by the transaction; the next ones are drawn while no transaction is open."""
    group: list[D] = []
    chunks = 0
    for document in documents:
        group.append(document)
        chunks += len(document.chunks)
        if len(group) >= DOCUMENTS_AT_ONCE or chunks >= CHUNKS_AT_ONCE:
            yield group
            group, chunks = [], 0
    if group:
        yield group


def check_document(document: StoredDocument, dimensions: int) -> None:
    """Find out whether a document has one finite vector of a size for each chunk. Raises ValueError, SpaceMismatchError."""
    if len(document.vectors) != len(document.chunks):
        raise ValueError(f"document {document.doc_id!r} has {len(document.chunks)} chunks and {len(document.vectors)} vectors")
    if len(document.chunks) == 0:
        return
    if document.vectors.shape[1] != dimensions:
        raise SpaceMismatchError(
            f"the vectors of document {document.doc_id!r} have {document.vectors.shape[1]} dimensions, "
            f"those of its collection have {dimensions}"
        )
    if not (abs(document.vectors) < float("inf")).all():
        raise ValueError(f"document {document.doc_id!r} has a vector that is not finite")
