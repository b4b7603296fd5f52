"""Pages, parted by form feeds: the number of the page that a chunk begins on, and the chunker that cuts at pages first."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count

from asyncrun.chunkers.interface import ChunkOptions
from asyncrun.chunkers.sentence_chunker import SentenceChunker
from asyncrun.ports import Tokenizer
from asyncrun.records import Chunk

PAGE_BREAK = "\f"


def with_pages(text: str, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    r"""Yield the chunks of a text, each with the `page` in its metadata that it begins on, from 1; as they are where the text has no pages.

    >>> text = "One.\n\fTwo."
    >>> [chunk.metadata for chunk in with_pages(text, [Chunk("Two.", 6, 10, 0)])]
    [{'page': 2}]
    """
    breaks = [place for place, character in enumerate(text) if character == PAGE_BREAK] if PAGE_BREAK in text else []
    for chunk in chunks:
        yield replace(chunk, metadata={"page": 1 + bisect_left(breaks, chunk.start), **chunk.metadata}) if breaks else chunk


class PageChunker:
    r"""Cuts at page breaks, and a page that is longer than a chunk as `SentenceChunker` does; nothing is repeated on the next page.

    A blank page has no chunk. A text without page breaks is one page.

    >>> from asyncrun.chunkers.interface import ByteTokenizer
    >>> [(chunk.text, chunk.metadata["page"]) for chunk in PageChunker(ByteTokenizer())("One.\n\f\n\fThree.")]
    [('One.', 1), ('Three.', 3)]

    Raises UsageError for sizes that leave no room.
    """

    def __init__(self, tokenizer: Tokenizer, options: ChunkOptions | None = None) -> None:
        self._cut_page = SentenceChunker(tokenizer, options)

    def __call__(self, text: str) -> Iterator[Chunk]:
        """Yield the chunks in the order of the text."""
        return with_pages(text, self._chunks(text))

    def _chunks(self, text: str) -> Iterator[Chunk]:
        begin, ordinals = 0, count()
        for page in text.split(PAGE_BREAK):
            for chunk in self._cut_page(page):
                yield Chunk(chunk.text, begin + chunk.start, begin + chunk.end, next(ordinals))
            begin += len(page) + len(PAGE_BREAK)
