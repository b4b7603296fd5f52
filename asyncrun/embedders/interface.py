"""The embedder port: texts in, an outcome of proven vectors and failures out; outcomes of parts of a call are put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np

from asyncrun.errors import AsyncrunError
from asyncrun.packing import BatchLimits
from asyncrun.ports import Tokenizer
from asyncrun.records import Embedded, EmbedFailure, InputType, Space
from asyncrun.usage import Usage, Waits

if TYPE_CHECKING:
    from asyncrun.aio.limits import Limits

TooLong = Literal["fail", "truncate", "split"]
Empty = Literal["fail", "skip"]
_NOTHING = Usage()
_NO_WAITS = Waits()


class Embedder(Protocol):
    """What the kinds need of an embedder; `base.BaseEmbedding` is its only root."""

    provider: str
    model_name: str
    batch: BatchLimits
    workers: int
    """How many calls of `aembed` in flight make sense; the limiter decides how many run."""
    price_per_million_tokens: float | None

    @property
    def tokens_per_byte(self) -> float:
        """Return how many tokens a byte of text stands for at most, as far as is known: 1.0 is the safe bound."""

    @property
    def tokenizer(self) -> Tokenizer | None:
        """Return the model's tokenizer, None when only the safe bound (tokens <= UTF-8 bytes) is known."""

    @property
    def truncates_at(self) -> int | None:
        """Return how many tokens of a text are read at most, where the rest is cut off; None where a text is read whole, or not known."""

    @property
    def dimensions(self) -> int | None:
        """Return how many numbers a vector has, None before that is known."""

    @property
    def served_by(self) -> str:
        """Return who serves the model and where: two endpoints of one space are compared before vectors of both are mixed."""

    @property
    def rate_limits(self) -> Limits | None:
        """Return what is known of the endpoint's limits, None for an embedder without an endpoint."""

    @property
    def first_items(self) -> int | None:
        """Return how many texts the first request of a run carries at most, before all others; None: as many as any."""

    @property
    def comparison_requests(self) -> int:
        """Return how many requests with a text of our own a run sends before its first batch, to compare endpoints of one model."""

    def count_tokens(self, text: str, input_type: InputType) -> int | None:
        """Return how many tokens are used for a text, prefix and limit included; None without a tokenizer. Blocks."""

    def check(self) -> None:
        """Raise UsageError for what is known to be wrong before anything is sent, such as a key that is not set."""

    def space(self, input_type: InputType) -> Space:
        """Return the vector space that texts of this input type come into."""

    def as_sent(self, text: str, input_type: InputType) -> str:
        """Return what stands for the text in its item key: the prefix included, and the policy where it changes the vector."""

    async def aembed(self, texts: Sequence[str], input_type: InputType = InputType.DOCUMENT) -> Embedded:
        """Embed texts, no more than `batch` allows in one request; every text ends with a proven vector or with a failure.

        The policies for empty and too long texts are applied here. What is about the endpoint and not about a text (AuthError, QuotaError,
        ThrottledError, OutageError, EndpointError) ends the call early: it is the outcome's `error`, beside what was answered before.
        Raised instead, it is taken to have answered and used nothing.
        """

    async def renew_connections(self) -> None:
        """Close what is open, as after the machine was suspended: new requests make new connections, those under way keep theirs."""

    async def aclose(self) -> None:
        """Close connections and threads; may be called twice."""


@runtime_checkable
class BatchEmbedder(Embedder, Protocol):
    """An embedder whose requests may be sent by somebody else, and whose replies may come later: those behind HTTP."""

    on_too_long: TooLong

    def request_body(self, texts: Sequence[str], input_type: InputType) -> dict[str, Any]:
        """Return the JSON of the request for texts, as online: prefix included, nothing cut."""

    def read_reply(self, count: int, document: Any, input_type: InputType) -> Embedded:
        """Return what a reply to so many texts holds, its vectors proven as online. Raises BadReplyError where it holds none.

        A reply of another model than the one that answers is the outcome's `error`.
        """


def no_vectors(
    failures: Sequence[EmbedFailure] = (), usage: Usage = _NOTHING, waits: Waits = _NO_WAITS, error: AsyncrunError | None = None
) -> Embedded:
    """Return an outcome without a single vector."""
    return Embedded(np.empty((0, 0), np.float32), (), tuple(failures), usage=usage, waits=waits, error=error)


def renumber(answer: Embedded, positions: Sequence[int]) -> Embedded:
    """Return the answer to a part as a piece of the whole: the part's text `i` is the whole's text `positions[i]`.

    >>> renumber(no_vectors([EmbedFailure(1, "empty", "")]), [4, 7]).failures[0].position
    7
    """
    return replace(
        answer,
        positions=tuple(positions[index] for index in answer.positions),
        failures=tuple(replace(failure, position=positions[failure.position]) for failure in answer.failures),
        truncated=frozenset(positions[index] for index in answer.truncated),
    )


def merge_outcomes(parts: Sequence[Embedded]) -> Embedded:
    """Return several answers about different texts of one call as one, in the order of positions; of several errors it has the first.

    Raises ValueError when a position is answered twice or the vectors differ in dimension.
    """
    if len(parts) == 1 and list(parts[0].positions) == sorted(parts[0].positions):
        return parts[0]
    filled = [part for part in parts if part.positions]
    positions = [position for part in filled for position in part.positions]
    failures = sorted((failure for part in parts for failure in part.failures), key=lambda failure: failure.position)
    answered = positions + [failure.position for failure in failures]
    if len(set(answered)) != len(answered):
        raise ValueError("a text is answered twice")
    vectors = np.concatenate([part.vectors for part in filled]) if filled else np.empty((0, 0), np.float32)
    order = np.argsort(positions, kind="stable")
    return Embedded(
        vectors[order] if filled else vectors,
        tuple(positions[row] for row in order),
        tuple(failures),
        frozenset[int]().union(*(part.truncated for part in parts)),
        sum((part.usage for part in parts), Usage()),
        sum((part.waits for part in parts), Waits()),
        sum(part.comparison_tokens for part in parts),
        next((part.error for part in parts if part.error is not None), None),
        next((part.model for part in parts if part.model is not None), None),
        ", ".join(dict.fromkeys(part.worker for part in parts if part.worker)) or None,
    )
