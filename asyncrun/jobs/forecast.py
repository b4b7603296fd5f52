"""What a run would send, counted as a run counts it: requests, tokens, cost, time at the limits; nothing is sent to know it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from asyncrun.batching.pack import pack
from asyncrun.embedders.compare import KNOWN_TEXT
from asyncrun.embedders.interface import Embedder
from asyncrun.jobs.estimate import TokenRate
from asyncrun.jobs.pace import at_limits
from asyncrun.jobs.pending import Pending
from asyncrun.records import InputType, Space
from asyncrun.results import JobPlan
from asyncrun.usage import cost_of


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would be sent; `exact` says whether the tokens are counted and not estimated."""

    inputs: int
    requests: int
    tokens: int
    exact: bool
    cost: float | None
    seconds: float | None
    bound_by: str | None
    notes: tuple[str, ...]

    def on(self, plan: JobPlan) -> JobPlan:
        """Return the plan with these figures."""
        return replace(
            plan,
            requests=self.requests,
            tokens=self.tokens,
            exact=self.exact,
            cost=self.cost,
            seconds=self.seconds,
            bound_by=self.bound_by,
            notes=(*plan.notes, *self.notes),
        )


class Forecast:
    """The plan of a run, job after job: what an earlier job sends is not sent again, and an embedder's first request is small once."""

    def __init__(self) -> None:
        self._begun: set[int] = set()
        self._texts: dict[str, set[bytes]] = {}
        self._compared: set[tuple[str, str]] = set()

    def unforeseen(self, space: Space, pending: Iterable[Pending]) -> Iterator[Pending]:
        """Yield those texts that no job before sends."""
        known = self._texts.setdefault(space.fingerprint, set())
        for text in pending:
            if text.key not in known:
                known.add(text.key)
                yield text

    def foresee(self, rounds: Iterable[Iterable[Pending]], embedder: Embedder, input_type: InputType, rate: TokenRate) -> Foreseen:
        """Return what a job sends that packs its texts in such rounds. Blocks where a tokenizer counts."""
        requests = inputs = tokens = unbound = 0
        counting = embedder.tokenizer is not None
        for texts in rounds:
            sizes = []
            for text in texts:
                sizes.append(text.size)
                if counting:
                    tokens += embedder.count_tokens(text.text, input_type) or 0
            if sizes and id(embedder) not in self._begun:
                tokens += embedder.proofs * (embedder.count_tokens(KNOWN_TEXT, input_type) or rate.of([self._known_size(embedder)]))
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
        return Foreseen(
            *(inputs, requests, tokens, counting or not inputs),
            cost=None if price is None else cost_of(tokens, price),
            seconds=seconds,
            bound_by=bound,
            notes=notes,
        )

    def compares(self, space: Space, place: str) -> bool:
        """Tell whether this job is the first that needs the place compared with others of the space; those after it do not ask again."""
        first = (space.fingerprint, place) not in self._compared
        self._compared.add((space.fingerprint, place))
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
        return count + embedder.proofs + int(embedder.first_items is not None and first > embedder.first_items)

    def _unbound(self, sizes: Sequence[int], embedder: Embedder, batches: int) -> int:
        """Return how many batches there were if tokens did not bind them; the first request is counted as in `batches`."""
        bound = sum(1 for _ in pack(((size, size) for size in sizes), embedder.batch, lambda: embedder.tokens_per_byte))
        free = sum(1 for _ in pack(((size, size) for size in sizes), replace(embedder.batch, max_tokens=None)))
        return batches - bound + free
