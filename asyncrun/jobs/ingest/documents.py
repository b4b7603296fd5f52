"""What an ingest job finds in its input: which documents are new or changed, and their chunks, in rounds that keep all workers busy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson

from asyncrun.chunkers.interface import Chunker
from asyncrun.embedders.interface import Embedder
from asyncrun.jobs.forecast import load_of
from asyncrun.jobs.run_options import RetrySelection
from asyncrun.ledger.job_records import KnownFailure
from asyncrun.records import BadItem, Chunk, Item, ItemFailure
from asyncrun.usage import Load


@dataclass(frozen=True, slots=True)
class DocumentScan:
    """What a pass over the documents found; `marks` holds those that are new or changed, by id.

    `length` is that of their texts together, in characters.
    `left` counts those that are not sent now, `gone` are ids of the store that the input no longer has.
    """

    items: int
    unchanged: int
    skipped: int
    new: int
    marks: Mapping[str, str]
    left: int
    gone: tuple[str, ...]
    failures: tuple[KnownFailure, ...]
    length: int = 0


def document_mark(item: Item, made_with: str) -> str:
    """Return a word for what a document's chunks are made from: its text, its metadata, and how it is cut and embedded."""
    content = orjson.dumps([item.text, dict(item.metadata), made_with], default=str, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def scan_documents(
    items: Iterable[Item | BadItem],
    *,
    stored: Mapping[str, str],
    made_with: str,
    known: Mapping[str, KnownFailure],
    skip: frozenset[str],
    skip_empty: bool,
    only: RetrySelection | None = None,
    keep: Callable[[Item, str], object] = lambda item, mark: None,
) -> DocumentScan:
    """Pass over the documents once, and hand those that are new or changed to `keep`, each with its mark.

    With `only`, the failures of those do not count, and all others are left.

    A document that cannot be read is not gone. One that failed by itself before stays failed until its text or the settings change.
    """
    marks: dict[str, str] = {}
    failures: list[KnownFailure] = []
    seen: set[str] = set()
    count = unchanged = skipped = left = length = 0
    for item in items:
        count += 1
        seen.add(item.id)
        if item.id in skip or (skip_empty and isinstance(item, Item) and not item.text.strip()):
            skipped += 1
            continue
        mark = document_mark(item, made_with) if isinstance(item, Item) else ""
        chosen = only is not None and only.has(item)
        before = None if chosen else known.get(item.id)
        failure = _failure(item, mark, before, again=only is None)
        if failure is not None:
            failures.append(KnownFailure(failure, "", before.key if before is not None and only is not None else mark.encode()))
        elif stored.get(item.id) == mark:
            unchanged += 1
        elif only is not None and not chosen:
            left += 1
        elif isinstance(item, Item):
            marks[item.id] = mark
            keep(item, mark)
            length += len(item.text)
    new = sum(1 for doc_id in marks if doc_id not in stored)
    gone = tuple(doc_id for doc_id in stored if doc_id not in seen)
    return DocumentScan(count, unchanged, skipped, new, marks, left, gone, tuple(failures), length)


def _failure(item: Item | BadItem, mark: str, known: KnownFailure | None, *, again: bool) -> ItemFailure | None:
    if isinstance(item, BadItem):
        return ItemFailure(item.id, item.place, item.reason, item.message)
    if not item.text.strip():
        return ItemFailure(item.id, item.place, "empty", "the text is empty (on_empty: skip leaves it out)")
    if known is not None and (known.holds_for(mark.encode(), "") or not again):
        failure = known.failure
        return ItemFailure(item.id, item.place, failure.reason, failure.message, failure.attempts)
    return None


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
