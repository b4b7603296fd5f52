"""The chunker port: a document's text in, its chunks out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

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
