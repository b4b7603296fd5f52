"""How many tokens texts have: exact where the tokenizer is known, else by what servers have counted so far, else by a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asyncrun.embedders.interface import Embedder
from asyncrun.ledger.job_records import Amount
from asyncrun.records import InputType
from asyncrun.usage import Load, cost_of

BYTES_PER_TOKEN = 4
"""Of English prose: the rule as long as no server has counted in this space."""


@dataclass(slots=True)
class TokenRate:
    """Tokens that servers have counted in a space, and the UTF-8 bytes that they had."""

    tokens: int = 0
    bytes: int = 0

    def add(self, tokens: int, size: int) -> None:
        """Add what a server has counted."""
        self.tokens += tokens
        self.bytes += size

    def of(self, sizes: Sequence[int]) -> int:
        """Return the tokens of texts with these sizes in bytes, an estimate.

        >>> TokenRate().of([4, 5]), TokenRate(tokens=10, bytes=20).of([4, 5])
        (3, 5)
        """
        if not self.bytes:
            return sum(-(-size // BYTES_PER_TOKEN) for size in sizes)
        return -(-sum(sizes) * self.tokens // self.bytes)

    @property
    def basis(self) -> str:
        """Return what the estimate rests on."""
        if self.bytes:
            return f"{self.tokens / self.bytes:.3f} tokens a byte, as counted in this space so far"
        return f"a token for every {BYTES_PER_TOKEN} bytes of a text, since no server has counted in this space yet"


def load_of(sizes: Sequence[int], embedder: Embedder) -> Load:
    """Return the load of texts with these sizes in bytes; what the model cuts off takes no time."""
    if embedder.reads is None:
        return Load(len(sizes), sum(sizes))
    return Load(len(sizes), sum(min(size, embedder.reads * BYTES_PER_TOKEN) for size in sizes))


def expected(embedder: Embedder, input_type: InputType, rate: TokenRate, texts: Sequence[str], sizes: Sequence[int]) -> Amount:
    """Return what a call with these texts is expected to use; the cost is 0 where the price is not known. Blocks."""
    counts = [embedder.count_tokens(text, input_type) for text in texts]
    tokens = rate.of(sizes) if None in counts else sum(count or 0 for count in counts)
    return Amount(tokens, cost_of(tokens, embedder.price_per_million_tokens or 0.0))
