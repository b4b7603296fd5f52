"""A run of many workers in virtual time: the real pool, attempts and limiter, with simulated workers, server, ledger and driver.

What is simulated costs time only: a server that answers after a latency and refuses what exceeds its limits in any 60 s, a driver that has
one core, a ledger that commits one batch after the other. Amounts are drawn from a seed.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from asyncrun.aio.attempts import AttemptCounts, with_retries
from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import WINDOW, Limits
from asyncrun.aio.pool import outcomes
from asyncrun.aio.retry import CircuitBreaker, FailureClass, RetryBudget, RetryPolicy
from asyncrun.clock import Clock
from asyncrun.errors import WorkerLostError
from asyncrun.packing import TokensPerByte
from asyncrun.ports import WorkerAnswer, WorkerPart


@dataclass(frozen=True, slots=True)
class Case:
    """What is simulated; times are seconds, rates a minute, None is no limit.

    Attributes:
        workers: processes.
        slots: calls in flight of each.
        requests_per_minute: the server's limit, which the driver knows.
        tokens_per_minute: the same for tokens.
        latency: the median of the server's, which is log-normal.
        latency_sigma: of the logarithm.
        computes: whether a worker does one call at a time, as a model on its core; otherwise it waits for a server.
        items: texts of a batch.
        item_bytes: their mean.
        item_bytes_sd: their standard deviation.
        tokens_per_byte: the mean.
        tokens_sd: the standard deviation of a batch's, as a part of the mean.
        ship: the way to a worker and back.
        driver: what a batch takes of the driver's core.
        commit: what a batch takes of the ledger's disk.
        lost: the share of calls whose worker is lost.
        grown: whether the concurrency is at its cap from the beginning, as in the middle of a long run.
    """

    workers: int
    slots: int
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    latency: float = 0.8
    latency_sigma: float = 0.5
    computes: bool = False
    items: int = 96
    item_bytes: float = 800.0
    item_bytes_sd: float = 600.0
    tokens_per_byte: float = 0.25
    tokens_sd: float = 0.05
    ship: float = 0.0
    driver: float = 0.0
    commit: float = 0.0
    lost: float = 0.0
    grown: bool = False


@dataclass(slots=True, eq=False)
class Flow:
    """What came of a run.

    Attributes:
        arrived: when each request was taken by the server or begun by a model.
        tokens: of each of them.
        ended: when each batch was durable.
        refused: requests that were refused as too many.
        lost: calls whose worker was lost.
        failed: batches that were given up.
        allowed: requests that might have been in flight when the last batch began, see `AdaptiveConcurrency`.
        most_in_flight: requests at once.
        fed_until: when the last batch began.
        driver_busy: seconds of the driver's core.
        ledger_busy: seconds of the ledger's disk.
        workers_busy: seconds of all slots, or of all cores where workers compute.
    """

    arrived: list[float] = field(default_factory=list)
    tokens: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    refused: int = 0
    lost: int = 0
    failed: int = 0
    allowed: int = 0
    most_in_flight: int = 0
    fed_until: float = 0.0
    driver_busy: float = 0.0
    ledger_busy: float = 0.0
    workers_busy: float = 0.0


class RefusedError(Exception):
    """The server has had enough for this minute."""


@dataclass(slots=True)
class Turns:
    """Something that does one thing at a time, first come, first served."""

    clock: Clock
    busy: float = 0.0
    free_at: float = -math.inf

    async def take(self, seconds: float) -> None:
        if seconds <= 0:
            return
        now = self.clock.monotonic()
        self.free_at = max(now, self.free_at) + seconds
        self.busy += seconds
        await self.clock.sleep(self.free_at - now)


@dataclass(slots=True, eq=False)
class Server:
    """Answers after a latency, and refuses what exceeds a limit in the last 60 s; what it has refused does not count."""

    case: Case
    clock: Clock
    rng: random.Random
    flow: Flow
    _counted: dict[str, deque[tuple[float, float]]] = field(default_factory=lambda: {"requests": deque(), "tokens": deque()})
    _sums: dict[str, float] = field(default_factory=lambda: {"requests": 0.0, "tokens": 0.0})

    async def answer(self, tokens: float) -> float:
        """Return the tokens. Raises RefusedError."""
        latency = self.case.latency * math.exp(self.rng.gauss(0.0, self.case.latency_sigma))
        if not self._admits({"requests": 1.0, "tokens": tokens}):
            self.flow.refused += 1
            await self.clock.sleep(latency)
            raise RefusedError
        self.flow.arrived.append(self.clock.monotonic())
        self.flow.tokens.append(tokens)
        self.flow.workers_busy += latency
        await self.clock.sleep(latency)
        return tokens

    def _admits(self, amounts: dict[str, float]) -> bool:
        now = self.clock.monotonic()
        limits = {"requests": self.case.requests_per_minute, "tokens": self.case.tokens_per_minute}
        for unit, counted in self._counted.items():
            while counted and counted[0][0] <= now - WINDOW:
                self._sums[unit] -= counted.popleft()[1]
        if any(limit is not None and self._sums[unit] + amounts[unit] > limit for unit, limit in limits.items()):
            return False
        for unit, counted in self._counted.items():
            counted.append((now, amounts[unit]))
            self._sums[unit] += amounts[unit]
        return True


@dataclass(frozen=True, slots=True, eq=False)
class Client:
    """A worker's part that sends to the server; its calls go on side by side."""

    server: Server

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        yield self

    async def embed(self, tokens: float) -> float:
        return await self.server.answer(tokens)


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A worker's part that computes, one call at a time."""

    server: Server

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        yield _OpenModel(self.server, Turns(self.server.clock))


@dataclass(frozen=True, slots=True, eq=False)
class _OpenModel:
    server: Server
    core: Turns

    async def embed(self, tokens: float) -> float:
        case, flow = self.server.case, self.server.flow
        seconds = case.latency * math.exp(self.server.rng.gauss(0.0, case.latency_sigma))
        flow.arrived.append(self.server.clock.monotonic())
        flow.tokens.append(tokens)
        flow.workers_busy += seconds
        await self.core.take(seconds)
        return tokens


class SimulatedExecutor:
    """Workers that are there at once (the Executor port); the free slot that has waited longest is the next, a lost worker comes back."""

    def __init__(self, case: Case, clock: Clock, rng: random.Random, flow: Flow) -> None:
        self.workers = case.workers
        self.slots = case.workers * case.slots
        self._case, self._clock, self._rng, self._flow = case, clock, rng, flow
        self._free = deque(number for _ in range(case.slots) for number in range(case.workers))
        self._opened: dict[tuple[int, int], Any] = {}
        self._open: list[Any] = []

    async def run(self, part: WorkerPart, method: str, *arguments: Any) -> WorkerAnswer[Any]:
        if not self._free:
            raise RuntimeError("more calls than slots: whoever calls keeps to them here")
        worker = self._free.popleft()
        try:
            await self._clock.sleep(self._case.ship / 2)
            if self._case.lost and self._rng.random() < self._case.lost:
                self._flow.lost += 1
                raise WorkerLostError(f"worker {worker} was lost")
            opened = await self._open_in(worker, part)
            value = await getattr(opened, method)(*arguments)
            await self._clock.sleep(self._case.ship / 2)
        finally:
            self._free.append(worker)
        return WorkerAnswer(value, str(worker), ship=self._case.ship)

    async def _open_in(self, worker: int, part: WorkerPart) -> Any:
        key = worker, id(part)
        if key not in self._opened:
            context = part.open()
            self._open.append(context)
            self._opened[key] = await context.__aenter__()
        return self._opened[key]

    async def aclose(self) -> None:
        while self._open:
            await self._open.pop().__aexit__(None, None, None)


class Driver:
    """Sends batches for some time, and ends when all are answered; `run` returns what came of it."""

    def __init__(self, case: Case, clock: Clock, seed: int) -> None:
        self.case, self.clock = case, clock
        self.rng = random.Random(seed)
        self.flow = Flow()
        window = case.workers * case.slots
        limits = Limits(case.requests_per_minute, case.tokens_per_minute, concurrency=window)
        self.limiter = Limiter(limits, clock, self.rng, adaptive=not (case.computes or case.grown))
        self.executor = SimulatedExecutor(case, clock, self.rng, self.flow)
        server = Server(case, clock, self.rng, self.flow)
        self.part: WorkerPart = Model(server) if case.computes else Client(server)
        self.budget, self.circuit, self.policy = RetryBudget(), CircuitBreaker(), RetryPolicy()
        self.core, self.disk = Turns(clock), Turns(clock)
        self.per_byte = TokensPerByte()

    async def run(self, *, seconds: float = math.inf, batches: int | None = None) -> Flow:
        """Begin batches for so many seconds, or so many of them."""
        workers = self.case.workers * self.case.slots
        calls = self._batches(seconds, batches)
        async with outcomes(calls, workers=workers, order="completed", on_error="collect", clock=self.clock) as answered:
            async for outcome in answered:
                self.flow.failed += outcome.error is not None
        await self.executor.aclose()
        self.flow.driver_busy, self.flow.ledger_busy = self.core.busy, self.disk.busy
        return self.flow

    def _batches(self, seconds: float, batches: int | None) -> Iterator[Awaitable[None]]:
        end, begun, case = self.clock.monotonic() + seconds, 0, self.case
        while self.clock.monotonic() < end and (batches is None or begun < batches):
            size = max(1.0, self.rng.gauss(case.items * case.item_bytes, math.sqrt(case.items) * case.item_bytes_sd))
            tokens = max(1.0, size * case.tokens_per_byte * self.rng.gauss(1.0, case.tokens_sd))
            begun += 1
            self.flow.fed_until, self.flow.allowed = self.clock.monotonic(), self.limiter.concurrency
            yield self._batch(size, tokens)

    async def _batch(self, size: float, tokens: float) -> None:
        await self.core.take(self.case.driver)
        await with_retries(
            partial(self._attempt, tokens),
            policy=self.policy,
            budget=self.budget,
            circuit=self.circuit,
            limiter=self.limiter,
            clock=self.clock,
            rng=self.rng,
            tokens=self.per_byte.mean * size,
            inputs=self.case.items,
            classify=_meaning,
            used=float,
            counts=AttemptCounts(),
        )
        self.per_byte.add(tokens=round(tokens), size=round(size))
        await self.disk.take(self.case.commit)
        self.flow.ended.append(self.clock.monotonic())

    async def _attempt(self, tokens: float, _: int) -> float:
        self.flow.most_in_flight = max(self.flow.most_in_flight, self.limiter.in_flight)
        value: float = (await self.executor.run(self.part, "embed", tokens)).value
        return value


def _meaning(error: Exception) -> tuple[FailureClass, float | None]:
    if isinstance(error, RefusedError):
        return FailureClass.THROTTLE, None
    if isinstance(error, WorkerLostError):
        return FailureClass.TRANSIENT, None
    raise error
