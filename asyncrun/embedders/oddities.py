"""What is odd about an answer that stood the proof: vectors of zeros, another model, a usage that counts something else than tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.batching.pack import byte_size
from asyncrun.embedders.ask import Answer

if TYPE_CHECKING:
    from asyncrun.records import Vectors

LONG_TEXT = 2048
"""Bytes; a shorter text fits into every model that is in use."""
BYTES_PER_TOKEN = 16
"""No prose has so few tokens: four bytes a token are usual, three for a Chinese character."""
TELLING = 64
"""So many characters are never, by chance, as many tokens..."""
WORD = 5
"""...where the texts have as many on average, and most are Latin: a single letter is a token, and so is a Chinese character."""
UNIT = 0.01
"""How far the length of a vector may be from 1: float16 and int8 models are within this."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: `model` is None where an answer may name it otherwise, `whole` says that no text should be cut."""

    model: str | None
    dimensions: int | None
    whole: bool


def examined(answer: Answer, texts: Sequence[str], asked: Asked) -> Answer:
    """Return the answer with what is odd about it, by kind; a usage that counts characters is taken away.

    Neither a limit nor a bill can be reckoned with characters.
    """
    oddities = dict(_oddities(answer, texts, asked))
    return replace(answer, tokens=None if "characters" in oddities else answer.tokens, oddities=oddities)


def _oddities(answer: Answer, texts: Sequence[str], asked: Asked) -> Iterator[tuple[str, str]]:
    if answer.warnings:
        yield "server", f"it warns: {'; '.join(answer.warnings)}"
    if asked.model and answer.model and not _same_model(asked.model, answer.model):
        yield "model", f"asked for the model {asked.model}, it answers as {answer.model}"
    vectors = answer.proof.vectors
    if _has_zeros(vectors):
        yield "zeros", "a vector is all zeros: it is like no other text"
    elif asked.dimensions is not None and abs(float(np.linalg.norm(vectors[0])) - 1) > UNIT:
        yield "length", f"vectors of {asked.dimensions} dimensions come without unit length: compare them by cosine, not by dot product"
    yield from _odd_usage(answer.tokens, texts, whole=asked.whole)


def _odd_usage(tokens: int | None, texts: Sequence[str], *, whole: bool) -> Iterator[tuple[str, str]]:
    if not tokens:
        return
    characters = sum(map(len, texts))
    # infinity strips the texts before it counts.
    equal = characters >= TELLING and tokens in (characters, sum(len(text.strip()) for text in texts))
    if equal and characters >= WORD * len(texts) and sum(map(byte_size, texts)) < 1.5 * characters:
        yield "characters", "its usage counts characters, not tokens: tokens and cost are not known"
    elif whole and tokens * BYTES_PER_TOKEN < characters and max(map(byte_size, texts)) >= LONG_TEXT:
        yield "cut", "its usage is far too small for texts of this length: it seems to cut them without a word"


def _has_zeros(vectors: Vectors) -> bool:
    # Few vectors begin with a zero: to look at one column is enough for all others.
    suspects = np.flatnonzero(vectors[:, 0] == 0)
    return any(not vectors[row].any() for row in suspects)


def _same_model(asked: str, told: str) -> bool:
    """Say whether two names may mean the same model: with or without an owner, a folder, or a version behind.

    >>> _same_model("text-embedding-ada-002", "text-embedding-ada-002-v2"), _same_model("BAAI/bge-m3", "all-MiniLM-L6-v2")
    (True, False)
    """
    first, second = (name.lower().removesuffix(":latest").rpartition("/")[2] for name in (asked, told))
    return first.startswith(second) or second.startswith(first)
