"""The embedder port: texts in, proven vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from asyncrun.packing import BatchLimits
from asyncrun.ports import Tokenizer
from asyncrun.records import Embedded, InputType, Space

if TYPE_CHECKING:
    from asyncrun.aio.limits import Limits

TooLong = Literal["fail", "truncate", "split"]
Empty = Literal["fail", "skip"]


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
    def reads(self) -> int | None:
        """Return how many tokens of a text are read at most, where the rest is cut off; None where a text is read whole, or not known."""

    @property
    def dimensions(self) -> int | None:
        """Return how many numbers a vector has, None before that is known."""

    @property
    def place(self) -> str:
        """Return who serves the model and where: two places of one space are compared before vectors of both are mixed."""

    @property
    def rate_limits(self) -> Limits | None:
        """Return what is known of the endpoint's limits, None for an embedder without an endpoint."""

    @property
    def first_items(self) -> int | None:
        """Return how many texts the first request of a run carries at most, before all others; None: as many as any."""

    @property
    def proofs(self) -> int:
        """Return how many requests with a text of our own a run sends before its first batch, to compare places that serve one model."""

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
