"""The chunker port: a document's text in, its chunks out; the chunker that does not cut, and the tokenizer that needs no model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from asyncrun.ports import Tokenizer
from asyncrun.records import Chunk


@dataclass(frozen=True, slots=True)
class ChunkOptions:
    """Sizes in tokens of the embedder, its own added tokens included: 1 <= overlap < size."""

    size: int = 256
    overlap: int = 32


class Chunker(Protocol):
    """Cuts a text; every chunk satisfies `chunk.text == text[chunk.start:chunk.end]`.

    The same text gives the same chunks; a text of white space alone gives none.
    """

    def __call__(self, text: str) -> Iterator[Chunk]:
        """Yield the chunks in the order of the text."""


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


class ByteTokenizer:
    """Counts every UTF-8 byte as a token: the safe bound where the model's tokenizer is not known, since none makes more.

    >>> ByteTokenizer().count("naïve")
    6
    """

    added = 0

    def count(self, text: str) -> int:
        """Return the number of bytes."""
        return len(text.encode())

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Return the place of the character of each byte."""
        return [(start, start + 1) for start, character in enumerate(text) for _ in character.encode()]
