"""What flows through a run: frozen records of items, chunks, spaces, vectors and answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncrun.errors import AsyncrunError, ItemError, Place
from asyncrun.short_help import ShortHelp
from asyncrun.usage import Usage, Waits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


class InputType(StrEnum):
    """What a text is embedded as: some models treat documents and queries differently."""

    DOCUMENT = "document"
    QUERY = "query"


class Item(NamedTuple):
    """The smallest input: one text with its id, and where it stands. A tuple for the same reason as `Place`."""

    id: str
    text: str
    place: Place
    metadata: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class BadItem:
    """An input that could not be read as an item: it is named and set aside, the rest goes on."""

    id: str
    place: Place
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """An item that failed, by an answer about it."""

    id: str
    place: Place
    reason: str
    message: str
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a document's text: `text == document[start:end]`, `ordinal` counts from 0.

    `metadata` is what is known of this part alone, such as its `page` or the `headings` above it; a hit has it beside the document's.
    """

    text: str
    start: int
    end: int
    ordinal: int
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Hit(metaclass=ShortHelp):
    """A chunk that a search found; a higher `score` is better.

    >>> hit = Hit("cats#0", "cats", 0.87, "Cats purr.", {"lang": "en"}, start=0, end=10)
    >>> f"{hit.score:.2f} {hit.doc_id}: {hit.text}"
    '0.87 cats: Cats purr.'
    """

    id: str
    doc_id: str
    score: float
    text: str
    metadata: Mapping[str, Any]
    start: int
    end: int


@dataclass(frozen=True)
class Space:
    """A vector space: vectors of two spaces are never mixed or compared.

    `model` is the provider's name of the model (for `local` the sha256 of its file), `host` is set for self-hosted servers only.

    >>> Space("local", "8199be6f").fingerprint == Space("local", "8199be6f").fingerprint
    True
    """

    provider: str
    model: str
    dimensions: int | None = None
    input_type: str | None = None
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    host: str | None = None
    name: str | None = None

    @property
    def description(self) -> dict[str, Any]:
        """Return what the space is told apart by."""
        known = {item.name: getattr(self, item.name) for item in fields(self)}
        if self.name:
            known = {"name": self.name, "dimensions": self.dimensions, "input_type": self.input_type}
        return {key: value for key, value in known.items() if value}

    def describe(self) -> str:
        """Return the space as canonical JSON: the same text for the same space, on every machine."""
        return json.dumps(self.description, sort_keys=True, separators=(",", ":"))

    @cached_property
    def fingerprint(self) -> str:
        """Return 32 hexadecimal digits that name the space."""
        return fingerprint_of(self.describe())


def fingerprint_of(description: str) -> str:
    """Return what names the space that `Space.describe` describes so."""
    return hashlib.blake2b(description.encode(), digest_size=16).hexdigest()


KEY_BYTES = 16
"""The size of what stands for a text, a question or an answer."""


def text_key(text: str) -> bytes:
    """Return the KEY_BYTES bytes that stand for a text as it is sent.

    BLAKE2b with 128 bits: a billion different texts collide with a probability below 1e-20.

    >>> len(text_key("a text"))
    16
    """
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


@dataclass(frozen=True, slots=True)
class Pending:
    """A text that must be sent.

    `key` is its content key, `size` its UTF-8 bytes, `ordinal` the place of its item in the input, -1 for a text that is no item.
    """

    key: bytes
    text: str
    size: int
    ordinal: int = -1


@dataclass(frozen=True, slots=True)
class EmbedFailure:
    """Why the text at `position` of a call has no vector."""

    position: int
    reason: str
    message: str
    attempts: int = 1

    def as_error(self, which: str = "", hint: str = "Leave the text out, or set on_empty or on_too_long.") -> ItemError:
        """Return it as an error; `which` names the text where there are several."""
        return ItemError(f"{which}: {self.message}" if which else self.message, reason=self.reason, hint=hint)


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """What came of one call of an embedder.

    `vectors` has the shape (len(positions), dimensions), float32; row `i` belongs to the text at `positions[i]` of the call.
    Every position of the call is either in `positions` or in `failures`. `truncated` holds positions that were cut to the limit.
    `comparison_tokens` are those of `usage` that the known text had, by which endpoints are compared. `error` is what ended the call early,
    None when nothing did; then positions may be in neither, and what is there is paid for all the same. `model` is who has answered, in
    the server's own words, None where it says nothing. `worker` is the worker of an executor that has made the vectors (of several their
    names, with commas), None where there is no executor.
    """

    vectors: Vectors
    positions: tuple[int, ...]
    failures: tuple[EmbedFailure, ...] = ()
    truncated: frozenset[int] = frozenset()
    usage: Usage = Usage()
    waits: Waits = Waits()
    comparison_tokens: int = 0
    error: AsyncrunError | None = None
    model: str | None = None
    worker: str | None = None

    def or_raise(self) -> Embedded:
        """Return it, or raise the error that ended the call early."""
        if self.error is not None:
            raise self.error
        return self


@dataclass(frozen=True, slots=True)
class Answer(metaclass=ShortHelp):
    """What a chat model has written; `text` is None where it has written nothing.

    `finish_reason` says why it ended: `stop`, `length`, `content_filter`, `refusal`, else the server's own word; None when it says none.
    `cached_tokens` are those of `input_tokens` that the server had already read, `reasoning_tokens` those of `output_tokens` that were
    thought and not said.

    >>> Answer("Yes.", "stop", input_tokens=20, output_tokens=2).tokens
    22
    """

    text: str | None
    finish_reason: str | None
    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Return the tokens that went in and came out."""
        return self.input_tokens + self.output_tokens
