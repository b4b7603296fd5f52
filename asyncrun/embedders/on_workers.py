"""An embedder whose batches are embedded on workers, where it is made anew; a worker that is lost costs a second try, and no run."""

from __future__ import annotations

import asyncio
import logging
import pickle
import platform
import random
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from asyncrun import registry
from asyncrun.aio.worker_state import waiting
from asyncrun.embedders.interface import Embedder, merge_outcomes, no_vectors, renumber
from asyncrun.errors import AsyncrunError, JobFailedError, Reason, WorkerLostError
from asyncrun.packing import BatchLimits, TokensPerByte, byte_size, split
from asyncrun.ports import Executor, WorkerPart
from asyncrun.records import Embedded, EmbedFailure, InputType
from asyncrun.usage import Usage, Waits

if TYPE_CHECKING:
    from asyncrun.aio.limiter import Limiter

IN_FLIGHT = 2
"""Batches at each worker: while one is worked on, the next is on its way."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EmbedderPart:
    """An embedder as a worker makes it. Its `settings` are pickled; `with_own` adds what stays with a run, as a worker has it.

    A limit is not among them: who sends a batch has its permit.
    """

    provider: str
    batch: BatchLimits
    settings: bytes = field(repr=False)
    with_own: bool = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Embedder]:
        """Make it, in the worker."""
        settings = pickle.loads(self.settings)  # noqa: S301  # our own words
        try:
            embedder = registry.load("embedders", self.provider)(**settings, **(_workers_own() if self.with_own else {}))
        except AsyncrunError:
            raise
        except Exception as error:  # It could be made where the command runs.
            raise JobFailedError(
                f"the embedder {self.provider!r} cannot be made on node {platform.node()}: {type(error).__name__}: {error}",
                hint="What it needs, such as a file of its model or a device, must be on every node.",
            ) from error
        embedder.batch = self.batch
        try:
            yield embedder
        finally:
            await embedder.aclose()


@dataclass(frozen=True, slots=True)
class _Part:
    """Texts that are sent together, by their positions in the call; `suspected` once they have lost a worker."""

    positions: tuple[int, ...]
    suspected: bool = False

    def again(self, error: WorkerLostError, *, together: bool) -> tuple[list[_Part], list[EmbedFailure]]:
        """Return what is sent next of texts that have lost a worker, and which of them (by their indexes here) fail for good."""
        if not self.suspected:
            return [_Part(self.positions, suspected=True)], []
        if len(self.positions) == 1 or together:
            return [], [EmbedFailure(index, Reason.WORKER_LOST, error.message, attempts=2) for index in range(len(self.positions))]
        return [_Part(tuple(half), suspected=True) for half in split(self.positions)], []


RUNS_OWN = ("limiter", "circuit", "budget", "clock", "rng", "warn", "answering_model")
"""Settings of a plugin's embedder that stay with the run."""


def _workers_own() -> dict[str, Any]:
    """Return what stands for them in a worker: time, chance, and a limiter without limits."""
    from asyncrun.aio.limiter import Limiter
    from asyncrun.aio.limits import Limits
    from asyncrun.aio.retry import CircuitBreaker, RetryBudget
    from asyncrun.clock import SystemClock
    from asyncrun.embedders.same_model import AnsweringModel

    clock, rng = SystemClock(), random.Random()  # noqa: S311  # jitter, no secret
    own = (Limiter(Limits(), clock, rng), CircuitBreaker(), RetryBudget(), clock, rng, logger.warning, AnsweringModel())
    return dict(zip(RUNS_OWN, own, strict=True))


def embed_on_workers(
    embedder: Embedder, executor: Executor, provider: str, settings: Mapping[str, Any], limiter: Limiter | None
) -> Embedder:
    """Return an embedder that does its work on the workers of an executor, or itself where that is to make requests: it makes them there.

    Args:
        embedder: The one whose work it is.
        executor: Where it is done.
        provider: Its name in the registry, by which workers make it with its `settings`.
        settings: What it was made with.
        limiter: That of the run, None for a model without an endpoint.
    """
    from asyncrun.embedders.http_embedder import HttpEmbedder
    from asyncrun.embedders.several import SeveralEmbedders

    if isinstance(embedder, HttpEmbedder | SeveralEmbedders):
        embedders = embedder.embedders if isinstance(embedder, SeveralEmbedders) else [embedder]
        for each in embedders:
            each.endpoint.executor = executor
            each.workers = each.endpoint.workers
        embedder.workers = min(sum(each.workers for each in embedders), executor.slots)
        return embedder
    own = any(name in settings for name in RUNS_OWN)
    sent = {name: value for name, value in settings.items() if name not in RUNS_OWN}
    return WorkerEmbedder(embedder, executor, EmbedderPart(provider, embedder.batch, pickle.dumps(sent), own), limiter)


def _as_here(name: str) -> Any:
    return property(lambda embedder: getattr(embedder.here, name))


class WorkerEmbedder:
    """Embeds on the workers of an executor what the embedder `here` would embed: it says the same of itself, and is sent nothing.

    A batch that has lost its worker has a second try. Lost again it is divided, until one text is left to blame. All that was lost once
    is sent one after the other: what ends its worker takes no other batch with it twice.

    Args:
        here: Is asked for all but vectors.
        executor: Where vectors are made.
        part: Makes the same embedder on a worker.
        limiter: Lets each call pass; None for an embedder without an endpoint.
    """

    def __init__(self, here: Embedder, executor: Executor, part: WorkerPart, limiter: Limiter | None = None) -> None:
        self.here = here
        self.executor, self._part, self._limiter = executor, part, limiter
        self._one_suspect = asyncio.Lock()
        self._per_byte = TokensPerByte()

    workers: Any = property(lambda embedder: min(embedder.executor.slots, IN_FLIGHT * embedder.executor.workers))
    provider = _as_here("provider")
    model_name = _as_here("model_name")
    batch = _as_here("batch")
    price_per_million_tokens = _as_here("price_per_million_tokens")
    tokenizer = _as_here("tokenizer")
    tokens_per_byte = _as_here("tokens_per_byte")
    truncates_at = _as_here("truncates_at")
    dimensions = _as_here("dimensions")
    served_by = _as_here("served_by")
    rate_limits = _as_here("rate_limits")
    first_items = _as_here("first_items")
    comparison_requests = _as_here("comparison_requests")
    count_tokens = _as_here("count_tokens")
    check = _as_here("check")
    space = _as_here("space")
    as_sent = _as_here("as_sent")
    renew_connections = _as_here("renew_connections")
    aclose = _as_here("aclose")

    async def aembed(self, texts: Sequence[str], input_type: InputType = InputType.DOCUMENT) -> Embedded:
        """Embed texts, as the port says; a text whose worker was lost twice, the second time with no other text, fails as `worker_lost`."""
        outcomes: list[Embedded] = []
        left = deque([_Part(tuple(range(len(texts))))])
        while left and not (outcomes and outcomes[-1].error):
            part = left.popleft()
            try:
                async with self._one_suspect if part.suspected else nullcontext():
                    answer = await self._embed([texts[position] for position in part.positions], input_type)
            except WorkerLostError as error:
                parts, failures = part.again(error, together=getattr(self.here, "keeps_together", False))
                left.extendleft(reversed(parts))
                answer = no_vectors(failures, Usage(requests=1, retries=len(parts)))
            except AsyncrunError as error:
                answer = no_vectors(error=error)
            outcomes.append(renumber(answer, part.positions))
        return merge_outcomes(outcomes)

    async def _embed(self, texts: Sequence[str], input_type: InputType) -> Embedded:
        size, limiter = sum(map(byte_size, texts)), self._limiter
        asked = nullcontext() if limiter is None else limiter.permit(tokens=self._per_byte.mean * size, inputs=len(texts))
        async with asked as permit:
            with waiting("compute", idle=False):
                answer = await self.executor.run(self._part, "aembed", list(texts), input_type)
            embedded: Embedded = answer.value
            waits = embedded.waits + Waits(queue=answer.queue, ship=answer.ship)
            if permit is not None:
                waits += permit.waits
                if (tokens := embedded.usage.tokens) and size:
                    self._per_byte.add(tokens=tokens, size=size)
                    permit.settle(tokens=tokens)
                permit.succeeded()
        return replace(embedded, worker=answer.worker, waits=waits)
