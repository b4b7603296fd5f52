"""Chunker that does not cut: a document is one chunk."""

from __future__ import annotations

from collections.abc import Iterator

from asyncrun.chunkers.interface import ChunkOptions
from asyncrun.ports import Tokenizer
from asyncrun.records import Chunk


class WholeChunker:
    """Gives the whole text as one chunk; tokenizer and sizes are taken as by the other chunkers and not used.

    >>> [chunk.text for chunk in WholeChunker()("All of it. ")]
    ['All of it. ']
    """

    def __init__(self, tokenizer: Tokenizer | None = None, options: ChunkOptions | None = None) -> None:
        pass

    def __call__(self, text: str) -> Iterator[Chunk]:
        """Yield the text, nothing for white space alone."""
        if text and not text.isspace():
            yield Chunk(text, 0, len(text), 0)
