"""The embedder port: texts in, proven vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from asyncrun.ports import Tokenizer
from asyncrun.records import Embedded, InputType, Space

TooLong = Literal["fail", "truncate", "split"]
Empty = Literal["fail", "skip"]


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much one request may carry; None: no limit known."""

    max_items: int = 128
    max_tokens: int | None = None
    max_bytes: int | None = None


class Embedder(Protocol):
    """What the kinds need of an embedder; `base.BaseEmbedding` is its only root."""

    provider: str
    model_name: str
    batch: BatchLimits
    workers: int
    """How many calls of `aembed` in flight make sense; the limiter decides how many run."""
    price_per_million_tokens: float | None

    @property
    def tokenizer(self) -> Tokenizer | None:
        """Return the model's tokenizer, None when only the safe bound (tokens <= UTF-8 bytes) is known."""

    def check(self) -> None:
        """Raise UsageError for what is known to be wrong before anything is sent, such as a key that is not set."""

    def space(self, input_type: InputType) -> Space:
        """Return the vector space that texts of this input type come into."""

    def as_sent(self, text: str, input_type: InputType) -> str:
        """Return what stands for the text in its item key: the prefix included, and the policy where it changes the vector."""

    async def aembed(self, texts: Sequence[str], input_type: InputType = InputType.DOCUMENT) -> Embedded:
        """Embed a batch that keeps to `batch`; every text ends with a proven vector or with a failure.

        The policies for empty and too long texts are applied here. Raises AuthError, QuotaError, ThrottledError,
        OutageError, EndpointError: answers about the endpoint, not about a text.
        """

    async def aclose(self) -> None:
        """Close connections and threads; may be called twice."""
