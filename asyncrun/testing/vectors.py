"""Vectors of fake embedders: the same text has the same vector everywhere, and different texts different ones."""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncrun.records import Embedded, Vectors


def vector_of(text: str, dimensions: int = 8) -> Vectors:
    """Return the vector of a text, of unit length, made from its hash alone.

    >>> bool((vector_of("a") == vector_of("a")).all()), vector_of("a", 3).shape
    (True, (3,))
    """
    seed = int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())
    vector = np.random.default_rng(seed).standard_normal(dimensions)
    unit: Vectors = (vector / np.linalg.norm(vector)).astype(np.float32)
    return unit


@lru_cache(maxsize=65_536)
def base64_of(text: str, dimensions: int) -> str:
    """Return the vector of a text as embedding servers send it: base64 of little-endian float32."""
    return base64.b64encode(vector_of(text, dimensions).astype("<f4").tobytes()).decode()


def are_right(answer: Embedded, texts: Sequence[str]) -> bool:
    """Say whether every row of an answer is the vector of its own text.

    >>> import asyncio
    >>> from asyncrun.embedders import OpenAIEmbedding
    >>> from asyncrun.testing import FakeServer
    >>> async def main():
    ...     async with FakeServer() as server, OpenAIEmbedding("m", base_url=server.base_url) as embedder:
    ...         return are_right(await embedder.aembed(["one", "two"]), ["one", "two"])
    >>> asyncio.run(main())
    True
    """
    size = answer.vectors.shape[1]
    return all((vector == vector_of(texts[place], size)).all() for place, vector in zip(answer.positions, answer.vectors, strict=True))
