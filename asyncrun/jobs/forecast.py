"""What a run would send, counted as a run counts it: tokens, requests, cost, time at the limits; nothing is sent to know it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from asyncrun.aio.limits import Limits, need_of
from asyncrun.embedders.interface import Embedder
from asyncrun.embedders.same_model import KNOWN_TEXT
from asyncrun.ledger.job_records import Amount
from asyncrun.packing import pack
from asyncrun.records import KEY_BYTES, InputType, Pending, Space
from asyncrun.results import JobPlan
from asyncrun.usage import Load, Waits, cost_of

if TYPE_CHECKING:
    from asyncrun.llms.interface import Llm

BYTES_PER_TOKEN = 4
"""Of English prose: the rule as long as no server has counted in this space."""
LIKELY_ANSWER = 300
"""Tokens of an answer of a chat model, as long as nothing tells it; an estimate for budgets and plans."""


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


@dataclass(frozen=True, slots=True)
class AnswerForecast:
    """What conversations with a model are expected to use; estimates.

    `rate` are the tokens that a request has a byte, `seen` those that an answer of this model has had so far, None where there was none.
    """

    llm: Llm
    rate: TokenRate
    seen: int | None

    @property
    def likely(self) -> int:
        """Return how many tokens an answer is expected to have."""
        likely = LIKELY_ANSWER if self.seen is None else self.seen
        return min(likely, self.llm.max_output_tokens or likely)

    @property
    def basis(self) -> str:
        """Return what the estimate rests on."""
        seen = "a guess as long as there was none" if self.seen is None else "as many as those so far had"
        return f"{self.rate.basis}; {self.likely:,} for each answer, {seen}"

    def of(self, size: int) -> Amount:
        """Return what a conversation of so many bytes is expected to use."""
        into, out = self.rate.of([size]), self.likely
        return Amount(into + out, 0.0 if self.llm.price is None else self.llm.price.of(into, out))


def load_of(sizes: Sequence[int], embedder: Embedder) -> Load:
    """Return the load of texts with these sizes in bytes; what the model cuts off takes no time."""
    if embedder.truncates_at is None:
        return Load(len(sizes), sum(sizes))
    return Load(len(sizes), sum(min(size, embedder.truncates_at * BYTES_PER_TOKEN) for size in sizes))


def expected(embedder: Embedder, input_type: InputType, rate: TokenRate, texts: Sequence[Pending]) -> Amount:
    """Return what a call with these texts is expected to use; the cost is 0 where the price is not known. Blocks."""
    counts = [embedder.count_tokens(each.text, input_type) for each in texts]
    tokens = rate.of([each.size for each in texts]) if None in counts else sum(count or 0 for count in counts)
    return Amount(tokens, cost_of(tokens, embedder.price_per_million_tokens or 0.0))


def at_limits(limits: Limits | None, requests: int, tokens: int, inputs: int, output_tokens: int = 0) -> tuple[float | None, str | None]:
    """Return how many seconds it takes at least by what is known per minute, and which limit says so; None when nothing is known.

    `output_tokens` are those of `tokens` that come out.

    >>> at_limits(Limits(requests_per_minute=60, tokens_per_minute=1000), 10, 1000, 5)
    (60.0, 'tokens_per_minute')
    >>> at_limits(None, 0, 0, 0)
    (0.0, None)
    """
    if not requests:
        return 0.0, None
    amounts = need_of(tokens, inputs, output_tokens) | {"requests": requests}
    known = {} if limits is None else {unit: rate for unit, rate in limits.per_minute().items() if rate is not None}
    seconds = {f"{unit}_per_minute": 60.0 * amounts[unit] / rate for unit, rate in known.items()}
    bound = max(seconds, key=seconds.__getitem__, default=None)
    return (None, None) if bound is None else (seconds[bound], bound)


def bound_by(waits: Waits, limit: str | None) -> str | None:
    """Return what most of the time of all batches went to, None when nothing is known of it.

    A limit has its name in the job file (`limit` is the tightest rate), all else the name that traces have for it.

    >>> bound_by(Waits(rate=2.0, request=1.0), "tokens_per_minute"), bound_by(Waits(queue=2.0, request=1.0), None)
    ('tokens_per_minute', 'concurrency')
    """
    seconds = waits.payload()
    if not seconds:
        return None
    longest = max(seconds, key=seconds.__getitem__).removeprefix("waits.")
    if longest == "queue" and waits.compute:
        longest = "compute"  # Who waits for a thread waits for the processor.
    return {"rate": limit or "rate", "queue": "concurrency"}.get(longest, longest)


class Forecast:
    """The plan of a run, job after job: what an earlier job sends is not sent again, and an embedder's first request is small once."""

    def __init__(self) -> None:
        self._begun: set[int] = set()
        self._texts: dict[str, set[bytes]] = {}
        self._compared: set[tuple[str, str]] = set()

    def foresees(self, space: str, keys: bytes) -> bool:
        """Tell whether one of the keys, one after the other, of the space with this fingerprint is to be sent."""
        known = self._texts.get(space, set())
        return any(keys[start : start + KEY_BYTES] in known for start in range(0, len(keys), KEY_BYTES))

    def unforeseen(self, space: Space, pending: Iterable[Pending]) -> Iterator[Pending]:
        """Yield those texts that no job before sends."""
        known = self._texts.setdefault(space.fingerprint, set())
        for text in pending:
            if text.key not in known:
                known.add(text.key)
                yield text

    def foresee(
        self, plan: JobPlan, rounds: Iterable[Iterable[Pending]], embedder: Embedder, input_type: InputType, rate: TokenRate
    ) -> tuple[JobPlan, int]:
        """Return the plan of a job that packs its texts in such rounds, and how many texts it sends. Blocks where a tokenizer counts."""
        requests = inputs = tokens = unbound = 0
        counting = embedder.tokenizer is not None
        for texts in rounds:
            sizes = []
            for text in texts:
                sizes.append(text.size)
                if counting:
                    tokens += embedder.count_tokens(text.text, input_type) or 0
            if sizes and id(embedder) not in self._begun:
                tokens += embedder.comparison_requests * (
                    embedder.count_tokens(KNOWN_TEXT, input_type) or rate.of([self._known_size(embedder)])
                )
            inputs += len(sizes)
            tokens += 0 if counting else rate.of(sizes)
            batches = self._batches(sizes, embedder)
            requests += batches
            unbound += batches if embedder.batch.max_tokens is None else self._unbound(sizes, embedder, batches)
        price = embedder.price_per_million_tokens
        notes = () if counting or not inputs else (f"tokens are an estimate: {rate.basis}",)
        if unbound != requests:
            notes = (*notes, "requests are at most so many: batches get larger once the server has counted tokens")
        seconds, bound = at_limits(embedder.rate_limits, requests, tokens, inputs)
        plan = replace(
            plan,
            requests=requests,
            inputs=inputs,
            tokens=tokens,
            exact=counting or not inputs,
            cost=None if price is None else cost_of(tokens, price),
            seconds=seconds,
            bound_by=bound,
            notes=(*plan.notes, *notes),
        )
        return plan, inputs

    def compares(self, space: Space, endpoint: str) -> bool:
        """Tell whether this job is the first that needs the endpoint compared with others of the space; those after it do not ask again."""
        first = (space.fingerprint, endpoint) not in self._compared
        self._compared.add((space.fingerprint, endpoint))
        return first

    def _known_size(self, embedder: Embedder) -> int:
        return len(embedder.as_sent(KNOWN_TEXT, InputType.DOCUMENT).encode())

    def _batches(self, sizes: Sequence[int], embedder: Embedder) -> int:
        first, count = None, 0
        for batch in pack(((size, size) for size in sizes), embedder.batch, lambda: embedder.tokens_per_byte):
            first = len(batch) if first is None else first
            count += 1
        if first is None or id(embedder) in self._begun:
            return count
        self._begun.add(id(embedder))
        return count + embedder.comparison_requests + int(embedder.first_items is not None and first > embedder.first_items)

    def _unbound(self, sizes: Sequence[int], embedder: Embedder, batches: int) -> int:
        """Return how many batches there were if tokens did not bind them; the first request is counted as in `batches`."""
        bound = sum(1 for _ in pack(((size, size) for size in sizes), embedder.batch, lambda: embedder.tokens_per_byte))
        free = sum(1 for _ in pack(((size, size) for size in sizes), replace(embedder.batch, max_tokens=None)))
        return batches - bound + free
