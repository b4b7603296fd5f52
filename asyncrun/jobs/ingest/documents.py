"""What an ingest job finds in its input: which documents are new or changed, and their chunks, in rounds that keep all workers busy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import orjson

from asyncrun.chunkers.interface import Chunker
from asyncrun.chunkers.page_chunker import with_pages
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


TAG_LENGTH = 8
_FORMER_LENGTH = 32
"""A mark without a tag: what stores were filled with before marks had one."""


@dataclass(frozen=True)
class MadeWith:
    """What documents become chunks with: how they are cut, the prefix before each, the space, and how often they were made anew."""

    cut: str
    prefix: str
    space: str
    refresh: int = 0

    @cached_property
    def tag(self) -> str:
        """Return the eight digits that the marks of all documents begin with that were made alike."""
        return hashlib.blake2b(orjson.dumps([self.cut, self.prefix, self.space]), digest_size=TAG_LENGTH // 2).hexdigest()

    def made(self, mark: str) -> bool:
        """Tell whether a stored document was made so; of one whose mark has no tag nothing else is known."""
        return len(mark) == _FORMER_LENGTH or mark.startswith(self.tag)


def document_mark(item: Item, made_with: MadeWith) -> str:
    """Return a word for what a document's chunks are made from: the tag of what they are made with, then its text and its metadata."""
    return made_with.tag + _digest(item, [made_with.prefix, made_with.space, made_with.refresh, made_with.cut])


def _former_mark(item: Item, made_with: MadeWith) -> str:
    return _digest(item, f"{made_with.cut} {made_with.space}" + (f" {made_with.refresh}" if made_with.refresh else ""))


def _digest(item: Item, made_with: object) -> str:
    content = orjson.dumps([item.text, dict(item.metadata), made_with], default=str, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(content, digest_size=_FORMER_LENGTH // 2).hexdigest()


def _is_unchanged(item: Item, mark: str, stored: str | None, made_with: MadeWith) -> bool:
    return stored == mark or (stored is not None and len(stored) == _FORMER_LENGTH and stored == _former_mark(item, made_with))


def scan_documents(
    items: Iterable[Item | BadItem],
    *,
    stored: Mapping[str, str],
    made_with: MadeWith,
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
        failure = _failure(item, mark, before, made_with, again=only is None)
        if failure is not None:
            failures.append(KnownFailure(failure, "", before.key if before is not None and only is not None else mark.encode()))
        elif isinstance(item, Item) and _is_unchanged(item, mark, stored.get(item.id), made_with):
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


def _failure(item: Item | BadItem, mark: str, known: KnownFailure | None, made_with: MadeWith, *, again: bool) -> ItemFailure | None:
    if isinstance(item, BadItem):
        return ItemFailure(item.id, item.place, item.reason, item.message)
    if not item.text.strip():
        return ItemFailure(item.id, item.place, "empty", "the text is empty (on_empty: skip leaves it out)")
    if known is not None and (not again or any(known.holds_for(one.encode(), "") for one in (mark, _former_mark(item, made_with)))):
        failure = known.failure
        return ItemFailure(item.id, item.place, failure.reason, failure.message, failure.attempts)
    return None


LEAST_CHUNKS = 256
"""A round has at least so many chunks, if the input has."""
BATCHES_PER_WORKER = 8
"""So many batches a worker gets in a round: the wait for the last one is then a small part of it."""


Document: TypeAlias = tuple[Item, str]
"""A document that is to be cut, and its mark."""


class CutDocument(NamedTuple):
    """A document, its mark and its chunks, or why it has none."""

    item: Item
    mark: str
    chunks: Sequence[Chunk]
    failure: ItemFailure | None = None


def cut_here(documents: Iterable[Document], chunker: Chunker) -> Iterator[CutDocument]:
    """Cut documents in this thread, each when it is asked for."""
    for item, mark in documents:
        yield CutDocument(item, mark, tuple(with_pages(item.text, chunker(item.text))))


@dataclass(frozen=True, slots=True)
class ChunkedDocument:
    """A document that is to be committed: its item, its mark, its chunks and their content keys; one with a `failure` has none."""

    item: Item
    mark: str
    chunks: Sequence[Chunk]
    keys: Sequence[bytes]
    failure: ItemFailure | None = None


def load_after(documents: Sequence[ChunkedDocument], embedder: Embedder, length: int) -> Load:
    """Return the load of documents that are not cut yet, with texts of so many characters together: an estimate after those of a round."""
    done = load_of([len(chunk.text.encode()) for document in documents for chunk in document.chunks], embedder)
    times = length / max(sum(len(document.item.text) for document in documents), 1)
    return Load(round(done.texts * times), round(done.size * times))


def rounds(
    documents: Iterable[CutDocument], key: Callable[[str], bytes], *, workers: int, max_items: int
) -> Iterator[list[ChunkedDocument]]:
    """Yield documents in lists as they are cut. Memory is bounded by one round's texts."""
    full = max(LEAST_CHUNKS, BATCHES_PER_WORKER * workers * max_items)
    batch: list[ChunkedDocument] = []
    count = 0
    for item, mark, chunks, failure in documents:
        batch.append(ChunkedDocument(item, mark, chunks, tuple(key(chunk.text) for chunk in chunks), failure))
        count += len(chunks)
        if count >= full:
            yield batch
            batch, count = [], 0
    if batch:
        yield batch
