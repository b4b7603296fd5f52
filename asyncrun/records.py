"""What flows through a run: frozen records of items, batches, vectors, results, and a run's outcome with its exit code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import cached_property
from operator import add, attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncrun.errors import AsyncrunError, Place

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

EXIT_PRIORITY = (129, 130, 143, 70, 77, 74, 73, 2, 1, 4, 75, 3)
"""Which exit code wins when several apply: a signal first, a partial result last."""


class Status(StrEnum):
    """How a job or a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    STOPPED = "stopped"
    CANCELLED = "cancelled"


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
    """A part of a document's text: `text == document[start:end]`, `ordinal` counts from 0."""

    text: str
    start: int
    end: int
    ordinal: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that a search found; a higher `score` is better."""

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


def content_key(text: str) -> bytes:
    """Return the 16 bytes that stand for a text as it is sent.

    BLAKE2b with 128 bits: a billion different texts collide with a probability below 1e-20.

    >>> len(content_key("a text"))
    16
    """
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds of one batch, by what they were spent on.

    `queue` for a free slot or worker thread, `rate` for a rate limit, `gate` after a throttle, `backoff` before another attempt;
    `connect` is making connections, `request` the rest of a call until its last byte, `compute` the work of a model on our own threads,
    `decode` reading and proving the reply; `store` is writing to a vector store, or searching it, `write` the wait until vectors are
    durable in the ledger.
    """

    queue: float = 0.0
    rate: float = 0.0
    gate: float = 0.0
    backoff: float = 0.0
    connect: float = 0.0
    request: float = 0.0
    compute: float = 0.0
    decode: float = 0.0
    store: float = 0.0
    write: float = 0.0

    def __add__(self, other: Waits) -> Waits:
        return Waits(*map(add, _seconds(self), _seconds(other)))

    def told(self) -> dict[str, float]:
        """Return what an event says of them: those that there were, as `waits.<name>`.

        >>> Waits(rate=1.5).told()
        {'waits.rate': 1.5}
        """
        return {f"waits.{item.name}": seconds for item in fields(self) if (seconds := getattr(self, item.name))}

    @property
    def in_line(self) -> float:
        """Return the seconds in which nobody worked on the batch."""
        return self.queue + self.rate + self.gate + self.backoff + self.connect


_seconds = attrgetter(*(item.name for item in fields(Waits)))


@dataclass(frozen=True, slots=True)
class Load:
    """How much is sent: the number of texts, and their `size` in UTF-8 bytes, those left out that a model cuts off.

    >>> Load(2, 300) - Load(3, 100) + Load(1, 50)
    Load(texts=1, size=250)
    """

    texts: int = 0
    size: int = 0

    def __add__(self, other: Load) -> Load:
        return Load(self.texts + other.texts, self.size + other.size)

    def __sub__(self, other: Load) -> Load:
        return Load(max(self.texts - other.texts, 0), max(self.size - other.size, 0))


@dataclass(frozen=True, slots=True)
class Usage:
    """What requests used: `tokens` as the server counts them, `cost` in USD where a price or the server says it."""

    requests: int = 0
    retries: int = 0
    tokens: int = 0
    cost: float | None = None

    def __add__(self, other: Usage) -> Usage:
        costs = [cost for cost in (self.cost, other.cost) if cost is not None]
        return Usage(
            self.requests + other.requests,
            self.retries + other.retries,
            self.tokens + other.tokens,
            sum(costs) if costs else None,
        )


def cost_of(tokens: int, price: float) -> float:
    """Return what tokens cost in USD, at a price for a million of them.

    >>> cost_of(500_000, 0.5)
    0.25
    """
    return tokens * price / 1e6


@dataclass(frozen=True, slots=True)
class EmbedFailure:
    """Why the text at `position` of a call has no vector."""

    position: int
    reason: str
    message: str
    attempts: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """What came of one call of an embedder.

    `vectors` has the shape (len(positions), dimensions), float32; row `i` belongs to the text at `positions[i]` of the call.
    Every position of the call is either in `positions` or in `failures`. `truncated` holds positions that were cut to the limit.
    `beside` are those tokens of `usage` that other texts than those of the call had. `error` is what ended the call early, None when
    nothing did; then positions may be in neither, and what is there is paid for all the same.
    """

    vectors: Vectors
    positions: tuple[int, ...]
    failures: tuple[EmbedFailure, ...] = ()
    truncated: frozenset[int] = frozenset()
    usage: Usage = Usage()
    waits: Waits = Waits()
    beside: int = 0
    error: AsyncrunError | None = None

    def or_raise(self) -> Embedded:
        """Return it, or raise the error that ended the call early."""
        if self.error is not None:
            raise self.error
        return self


@dataclass(frozen=True, slots=True)
class Answer:
    """What a chat model has written; `text` is None where it has written nothing.

    `finish_reason` is the server's word for why it ended (`stop`, `length`, `content_filter`, ...), or `refusal`; None when it says none.

    >>> Answer("Yes.", "stop", input_tokens=20, output_tokens=2).tokens
    22
    """

    text: str | None
    finish_reason: str | None
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def tokens(self) -> int:
        """Return the tokens that went in and came out."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Counts:
    """How many items of a job ended how: items = ok + failed + skipped; `cached` is part of `ok`."""

    items: int = 0
    ok: int = 0
    failed: int = 0
    skipped: int = 0
    cached: int = 0
    removed: int = 0
    truncated: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(self)))


@dataclass(frozen=True, slots=True)
class JobPlan:
    """What a run of one job would do; nothing was sent to know it. `seconds`, `cost` and `disk` (bytes) are None when unknown.

    `exact` says whether `tokens` are counted and not estimated, `bound_by` which limit `seconds` follow from.
    """

    name: str
    kind: str
    items: int
    new: int
    changed: int = 0
    unchanged: int = 0
    delete: int = 0
    failed: int = 0
    skipped: int = 0
    requests: int = 0
    tokens: int = 0
    cost: float | None = None
    seconds: float | None = None
    bound_by: str | None = None
    disk: int | None = None
    exact: bool = False
    notes: tuple[str, ...] = ()

    def noted(self, *notes: str) -> JobPlan:
        """Return the plan with these notes before its own."""
        return replace(self, notes=(*notes, *self.notes))


@dataclass(frozen=True, slots=True)
class SpaceSize:
    """How much a ledger holds of a space: `description` is that of `Space`, `bytes` are those of keys, vectors and answers."""

    fingerprint: str
    description: str
    vectors: int
    bytes: int
    answers: int = 0


@dataclass(frozen=True, slots=True)
class Imported:
    """How many vectors and answers a ledger has taken in, and how many it had already."""

    taken: int = 0
    known: int = 0


@dataclass(frozen=True, slots=True)
class Superseded:
    """Batches of a ledger of which every vector was made again: their numbers, how many vectors they hold, and in how many bytes."""

    batches: tuple[int, ...] = ()
    vectors: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Cleaning:
    """What was removed of old runs (their ids), unused spaces, and vectors that were made again; `dry_run`: what would be.

    `freed` is how many bytes the files lost. `kept` says why no space is removed, None when all job files were looked through.
    """

    dry_run: bool
    runs: tuple[str, ...] = ()
    spaces: tuple[SpaceSize, ...] = ()
    freed: int = 0
    kept: str | None = None
    superseded: Superseded = Superseded()


@dataclass(frozen=True, slots=True)
class JobResult:
    """How one job of a run ended. `bound_by` says what most of its batches' time went to, None when that is not known."""

    name: str
    kind: str
    status: Status
    exit_code: int
    reason: str | None = None
    hint: str | None = None
    counts: Counts = Counts()
    usage: Usage = Usage()
    seconds: float = 0.0
    bound_by: str | None = None
    output: str | None = None
    failures: tuple[ItemFailure, ...] = ()


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended: the results of its jobs, and the exit code that follows from them."""

    run_id: str
    jobs: tuple[JobResult, ...]
    seconds: float
    signal: int | None = None

    @property
    def exit_code(self) -> int:
        """Return the exit code of the whole run."""
        codes = {job.exit_code for job in self.jobs}
        if self.signal is not None:
            codes.add(128 + self.signal)
        return winning_exit_code(codes)

    @property
    def status(self) -> Status:
        """Return the status of the whole run."""
        if self.signal is not None:
            return Status.STOPPED
        statuses = {job.status for job in self.jobs}
        for status in (Status.FAILED, Status.STOPPED, Status.CANCELLED, Status.PARTIAL):
            if status in statuses:
                return status
        return Status.SUCCEEDED

    @property
    def counts(self) -> Counts:
        """Return the counts of all jobs together."""
        return sum((job.counts for job in self.jobs), Counts())

    @property
    def bound_by(self) -> str | None:
        """Return what bound the job that took longest."""
        return max(self.jobs, key=lambda job: job.seconds).bound_by if self.jobs else None

    @property
    def usage(self) -> Usage:
        """Return the usage of all jobs together."""
        return sum((job.usage for job in self.jobs), Usage())


def winning_exit_code(codes: Iterable[int]) -> int:
    """Return the code that a caller should see when several apply.

    >>> winning_exit_code([0, 3, 75])
    75
    """
    present = set(codes) - {0}
    return next((code for code in EXIT_PRIORITY if code in present), max(present, default=0))
