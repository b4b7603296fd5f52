"""Checks of a reply with vectors: they are proven before any is believed, and what is odd about the rest becomes a warning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.aio.retry import FailureClass
from asyncrun.embedders.vector_checks import Proof, prove
from asyncrun.endpoints.endpoint import Endpoint
from asyncrun.endpoints.replies import DecodedReply, bad_reply
from asyncrun.packing import byte_size

if TYPE_CHECKING:
    from asyncrun.records import Vectors

LONG_TEXT = 2048
"""Bytes; a shorter text fits into every model that is in use."""
MOST_CHARACTERS_PER_TOKEN = 16
"""No prose has so few tokens: four bytes a token are usual, three for a Chinese character."""
ENOUGH_CHARACTERS = 64
"""Fewer may have as many tokens by chance."""
CHARACTERS_OF_A_TEXT = 5
"""On average; shorter texts may have a token for each character, as a single letter does, and a Chinese character."""
UNIT_TOLERANCE = 0.01
"""How far the length of a vector may be from 1: float16 and int8 models are within this."""


@dataclass(frozen=True, slots=True, eq=False)
class ReplyRows:
    """What a dialect finds in a reply: vectors as decoded, their indexes (None: the dialect has none), tokens used (None: not told).

    `model` is the name that the reply gives, `warnings` are the server's own.
    """

    vectors: Sequence[object]
    indexes: Sequence[object] | None = None
    tokens: int | None = None
    model: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expected:
    """What was asked for: `model` is None where an answer may name it otherwise, `whole` says that no text should be cut."""

    model: str | None
    dimensions: int | None
    whole: bool


@dataclass(frozen=True, slots=True, eq=False)
class ProvenReply:
    """Vectors that stood the proof, with what they used; `cost` in USD where the server says it, `warnings` a sentence by kind."""

    proof: Proof
    tokens: int | None
    cost: float | None
    model: str | None
    warnings: Mapping[str, str]


def check_reply(
    endpoint: Endpoint, reply: DecodedReply, rows: ReplyRows, texts: Sequence[str], expected: Expected, *, dimensions: int | None
) -> ProvenReply:
    """Return the proven vectors of a reply to these texts, each of so many dimensions (None: not known), and what is odd about it.

    A usage that counts characters is taken away: neither a limit nor a bill can be reckoned with characters. Raises BadReplyError or
    RequestError when there is no such vector.
    """
    proof = prove(rows.vectors, rows.indexes, len(texts), dimensions)
    if not proof.positions:
        # Several vectors of one other size are another model's. So is a single one before the first success; later it may be an accident.
        mistaken = len(proof.other_dimensions) == 1 and (len(texts) > 1 or not endpoint.proven)
        failure = FailureClass.CONFIG if mistaken else FailureClass.BAD_RESPONSE
        raise bad_reply(endpoint, next(iter(proof.rejected.values())), failure)
    tokens = rows.tokens if rows.tokens is not None else reply.tokens
    warnings = {**dict(_odd_rows(rows, proof.vectors, expected)), **dict(_odd_usage(tokens, texts, whole=expected.whole))}
    return ProvenReply(proof, None if "characters" in warnings else tokens, reply.cost, rows.model, warnings)


def _odd_rows(rows: ReplyRows, vectors: Vectors, expected: Expected) -> Iterator[tuple[str, str]]:
    if rows.warnings:
        yield "server", f"it warns: {'; '.join(rows.warnings)}"
    if expected.model and rows.model and not _same_model(expected.model, rows.model):
        yield "model", f"asked for the model {expected.model}, it answers as {rows.model}"
    if _has_zeros(vectors):
        yield "zeros", "a vector is all zeros: it is like no other text"
    elif expected.dimensions is not None and abs(float(np.linalg.norm(vectors[0])) - 1) > UNIT_TOLERANCE:
        yield "length", f"vectors of {expected.dimensions} dimensions come without unit length: compare them by cosine, not by dot product"


def _odd_usage(tokens: int | None, texts: Sequence[str], *, whole: bool) -> Iterator[tuple[str, str]]:
    if not tokens:
        return
    characters = sum(map(len, texts))
    # infinity strips the texts before it counts.
    equal = characters >= ENOUGH_CHARACTERS and tokens in (characters, sum(len(text.strip()) for text in texts))
    if equal and characters >= CHARACTERS_OF_A_TEXT * len(texts) and sum(map(byte_size, texts)) < 1.5 * characters:
        yield "characters", "its usage counts characters, not tokens: tokens and cost are not known"
    elif whole and tokens * MOST_CHARACTERS_PER_TOKEN < characters and max(map(byte_size, texts)) >= LONG_TEXT:
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
