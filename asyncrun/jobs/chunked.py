"""Rounds of documents: as many as keep all workers busy, cut into chunks, each with its content key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from asyncrun.chunkers.interface import Chunker
from asyncrun.embedders.interface import Embedder
from asyncrun.jobs.estimate import load_of
from asyncrun.records import Chunk, Item
from asyncrun.usage import Load

LEAST_CHUNKS = 256
"""A round has at least so many chunks, if the input has."""
BATCHES_PER_WORKER = 8
"""So many batches a worker gets in a round: the wait for the last one is then a small part of it."""


@dataclass(frozen=True, slots=True)
class ChunkedDocument:
    """A document that is to be committed: its item, its mark, its chunks and their content keys."""

    item: Item
    mark: str
    chunks: Sequence[Chunk]
    keys: Sequence[bytes]


def load_after(documents: Sequence[ChunkedDocument], embedder: Embedder, length: int) -> Load:
    """Return the load of documents that are not cut yet, with texts of so many characters together: an estimate after those of a round."""
    done = load_of([len(chunk.text.encode()) for document in documents for chunk in document.chunks], embedder)
    times = length / max(sum(len(document.item.text) for document in documents), 1)
    return Load(round(done.texts * times), round(done.size * times))


def rounds(
    documents: Iterable[tuple[Item, str]], chunker: Chunker, key: Callable[[str], bytes], *, workers: int, max_items: int
) -> Iterator[list[ChunkedDocument]]:
    """Cut documents, given with their marks, and yield them in lists. Memory is bounded by one round's texts."""
    full = max(LEAST_CHUNKS, BATCHES_PER_WORKER * workers * max_items)
    batch: list[ChunkedDocument] = []
    count = 0
    for item, mark in documents:
        chunks = tuple(chunker(item.text))
        batch.append(ChunkedDocument(item, mark, chunks, tuple(key(chunk.text) for chunk in chunks)))
        count += len(chunks)
        if count >= full:
            yield batch
            batch, count = [], 0
    if batch:
        yield batch
