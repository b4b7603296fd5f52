"""Checks of a reply with vectors: they are proven before any is believed, and what is odd about the rest becomes a warning."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pybase64

from asyncrun.aio.retry import FailureClass
from asyncrun.endpoints.replies import BadReplyError, DecodedReply
from asyncrun.packing import byte_size

if TYPE_CHECKING:
    from asyncrun.records import Vectors

_NUMBERS = frozenset({int, float})
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
class Proof:
    """The vectors that stand the proof: row `i` of `vectors` (float32) belongs to input `positions[i]`.

    `rejected` says for every other position why its vector is not believed. `dimensions` is None when all are rejected.
    `other_dimensions` are the sizes of vectors that were rejected for their size.
    """

    vectors: Vectors
    positions: tuple[int, ...]
    rejected: dict[int, str]
    other_dimensions: frozenset[int] = frozenset()

    @property
    def dimensions(self) -> int | None:
        """Return how many numbers a vector has."""
        return int(self.vectors.shape[1]) if self.positions else None


def prove(rows: Sequence[object], indexes: Sequence[object] | None, count: int, dimensions: int | None = None) -> Proof:
    """Return the believable vectors of a reply to `count` texts, in the order of the texts.

    Args:
        rows: The vectors as decoded from JSON: lists of numbers, or base64 of little-endian float32.
        indexes: The index that the reply gives each row, None where it gives none; None as a whole for dialects without.
        count: How many texts were sent.
        dimensions: How many numbers a vector must have; None: all must have the same number.

    A row that is no vector (null, a NaN, a string, another dimension) is rejected alone, the rest is kept. Raises
    BadReplyError when it is not certain which row belongs to which text, or when rows differ in dimension and none is known to be right.

    >>> prove([[3.0, 4.0], [1, 2]], [1, 0], 2).vectors.tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    order = positions_of(indexes if indexes is not None else [None] * len(rows), len(rows), count)
    vectors = np.empty((0, 0), np.float32)
    rejected: dict[int, str] = {}
    others: set[int] = set()
    size = dimensions
    for position, row in zip(order, rows, strict=True):
        vector = _vector(row)
        if isinstance(vector, str):
            rejected[position] = vector
        elif dimensions is not None and len(vector) != dimensions:
            others.add(len(vector))
            rejected[position] = f"the vector has {len(vector)} dimensions instead of {dimensions}"
        else:
            size = size or len(vector)
            if len(vector) != size:
                raise BadReplyError(f"the vectors have different dimensions: {size} and {len(vector)}")
            if not vectors.size:
                vectors = np.empty((count, size), np.float32)
            # Filled in one by one: to collect them first and stack them costs as much as decoding them.
            vectors[position] = vector
    positions = [position for position in range(count) if position not in rejected]
    if rejected:
        vectors = vectors[positions] if positions else np.empty((0, size or 0), np.float32)
    # One pass over all numbers; rows are looked at one by one only when something is wrong.
    if not np.isfinite(vectors).all():
        finite = [bool(np.isfinite(row).all()) for row in vectors]
        rejected |= {position: "the vector holds NaN or infinity" for position, good in zip(positions, finite, strict=True) if not good}
        vectors, positions = vectors[finite], list(compress(positions, finite))
    return Proof(vectors, tuple(positions), dict(sorted(rejected.items())), frozenset(others))


def positions_of(indexes: Sequence[object], rows: int, count: int) -> list[int]:
    """Return which text each row belongs to. Raises BadReplyError when that is not certain.

    Indexes that are exactly 0..count-1 are used. Without any index the order counts. One missing index is taken for 0 when 0
    is the one that is missing: protobuf leaves out zeros, and so do gateways built on it.
    """
    if rows != count:
        raise BadReplyError(f"{rows} vectors for {count} texts")
    if len(indexes) != rows:
        raise BadReplyError(f"{len(indexes)} indexes for {rows} vectors")
    if all(index is None for index in indexes):
        return list(range(count))
    if any(index is not None and type(index) is not int for index in indexes):
        raise BadReplyError("an index is not a whole number")
    missing = sum(index is None for index in indexes)
    order = [0 if index is None else index for index in indexes if index is None or isinstance(index, int)]
    if missing > 1 or sorted(order) != list(range(count)):
        raise BadReplyError(f"the indexes are not 0 to {count - 1}, each once")
    return order


def _vector(row: object) -> Vectors | str:
    """Return a row as float32, or the sentence that says why it is none."""
    if row is None:
        return "the vector is null"
    if isinstance(row, str):
        return _from_base64(row)
    if not isinstance(row, list):
        return "the vector is not a list of numbers"
    return _from_numbers(row) if row else "the vector is empty"


def _from_numbers(row: list[object]) -> Vectors | str:
    try:
        # Numpy takes more than twice as long to read a list.
        packed = struct.pack(f"{len(row)}d", *row)
    except struct.error:
        numbers = _NUMBERS.issuperset(map(type, row))
        return "the vector holds a number that is too large" if numbers else "the vector holds something that is not a number"
    with np.errstate(over="ignore"):
        vector = np.frombuffer(packed, dtype=np.float64).astype(np.float32)
    # True and false have become 1 and 0: only where there is one of these the types are looked at, which takes as long again.
    if ((vector == 0) | (vector == 1)).any() and not _NUMBERS.issuperset(map(type, row)):
        return "the vector holds something that is not a number"
    return vector


def _from_base64(text: str) -> Vectors | str:
    try:
        # A tenth of the time that the standard library takes.
        raw = pybase64.b64decode(text, validate=True)
    except ValueError:
        return "the vector is a string that is not base64"
    if not raw:
        return "the vector is empty"
    if len(raw) % 4:
        return "the vector's base64 is not made of float32 numbers"
    return np.frombuffer(raw, dtype="<f4").astype(np.float32, copy=False)


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


class Reads(Protocol):
    """What of a dialect is needed here."""

    def read(self, document: Any) -> ReplyRows:
        """Return the rows of a decoded reply. Raises BadReplyError when it has another shape."""


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


@dataclass(frozen=True, slots=True, eq=False)
class ReplyCheck:
    """Reads and proves the reply to some texts, wherever it has come to.

    Attributes:
        dialect: Finds the vectors in it.
        texts: What was sent.
        expected: What was asked for.
        dimensions: How many numbers a vector must have; None: not known.
        proven: Whether the endpoint has answered as it should before.
    """

    dialect: Reads
    texts: Sequence[str]
    expected: Expected
    dimensions: int | None
    proven: bool

    def __call__(self, reply: DecodedReply) -> ProvenReply:
        """Return the proven vectors of a reply, and what is odd about it. Raises BadReplyError when there is no such vector.

        A usage that counts characters is taken away: neither a limit nor a bill can be reckoned with characters.
        """
        rows, texts = self.dialect.read(reply.document), self.texts
        proof = prove(rows.vectors, rows.indexes, len(texts), self.dimensions)
        if not proof.positions:
            # Several vectors of one other size are another model's. So is a single one before the first success; later it may be an
            # accident.
            mistaken = len(proof.other_dimensions) == 1 and (len(texts) > 1 or not self.proven)
            raise BadReplyError(next(iter(proof.rejected.values())), FailureClass.CONFIG if mistaken else FailureClass.BAD_RESPONSE)
        tokens = rows.tokens if rows.tokens is not None else reply.tokens
        warnings = {**dict(_odd_rows(rows, proof.vectors, self.expected)), **dict(_odd_usage(tokens, texts, whole=self.expected.whole))}
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
