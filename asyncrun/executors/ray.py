"""The executor over a Ray cluster: calls run in asynchronous actors, side by side, and a call that is lost is told, never repeated."""

from __future__ import annotations

import asyncio
import time
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from asyncrun.errors import AsyncrunError, ResourceError, TryLaterError, WorkerLostError
from asyncrun.executors.frames import decode_answer, encode_for_worker
from asyncrun.executors.ray_cluster import AUTO, RayCluster, first_line, join
from asyncrun.executors.ray_pool import Actor, ActorNeeds, ActorPool, anew
from asyncrun.executors.worker import Raised
from asyncrun.ports import WorkerAnswer, WorkerPart

PATIENCE = 300.0
"""Seconds for which calls wait while the cluster has no worker for them: a node may have to be started first."""
EXPECTED = 16
"""Workers that calls are prepared for while it is unknown how many a cluster has: more calls wait, fewer leave workers idle."""
INLINE = 100_000
"""Bytes that go with each call as they are; Ray keeps more in the object store in any case (its `max_direct_call_object_size`)."""
_REASONS = {
    "node has died": "its node is gone",
    "node died": "its node is gone",
    "node was dead": "its node is gone",
    "node is dead": "its node is gone",
    "is unavailable": "it cannot be reached any more",
    "running low on memory": "memory ran out on its node",
    "worker process has died": "its process ended",
    "Worker unexpectedly exits": "its process ended",
}
"""What Ray says in a page, and what it means."""


@dataclass(eq=False)
class RayExecutor:
    """Runs calls in `processes` actors of a Ray cluster, `slots_per_worker` at once in each; it belongs to the event loop it is used in.

    It joins the cluster at `address` (`auto`, or HOST:PORT of the head) with its first call. An actor takes `cpus` and `gpus` of a node;
    without `processes` there are as many as the nodes have room for then.

    >>> RayExecutor(processes=4).slots
    128
    """

    address: str = AUTO
    processes: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0
    slots_per_worker: int = 32
    patience: float = PATIENCE
    _openings: dict[WorkerPart, Any] = field(default_factory=dict, repr=False)
    _cluster: RayCluster | None = field(default=None, repr=False)
    _joining: asyncio.Task[ActorPool] | None = field(default=None, repr=False)
    _watching: asyncio.Task[None] | None = field(default=None, repr=False)
    _closed: bool = field(default=False, repr=False)

    @property
    def workers(self) -> int:
        """Return how many workers there are to be; before the cluster is joined, where nobody has said how many, a good number."""
        return self.processes or EXPECTED

    @property
    def slots(self) -> int:
        """Return how many calls are in flight at once, on all workers together."""
        return self.workers * self.slots_per_worker

    async def run(self, part: WorkerPart, method: str, *arguments: Any) -> WorkerAnswer[Any]:
        """Call a method of a part in an actor; see `ports.Executor`.

        Raises what the method raises, WorkerLostError, TryLaterError when no worker can be had or the executor is closed, UsageError for
        what cannot be pickled.
        """
        asked = time.monotonic()
        call = encode_for_worker((method, arguments), f"what {method} is called with").joined()
        if part not in self._openings:
            self._openings[part] = encode_for_worker(part, repr(part)).joined()
        pool = await self._pool()
        opening = self._opening(part)
        actor = await pool.take()
        sent = time.monotonic()
        try:
            answer = decode_answer(memoryview(bytearray(await self._reply(pool, actor, opening, call))))
        finally:
            pool.give_back(actor)
        if isinstance(answer, Raised):
            answer.raise_again()
        ship = max(0.0, time.monotonic() - sent - answer.seconds)
        return WorkerAnswer(answer.value, actor.name, sent - asked, ship, answer.warnings)

    async def aclose(self) -> None:
        """Cancel what is under way, close the parts and end the actors, within seconds whatever they do; may be called twice."""
        self._closed = True
        if self._joining is None:
            return
        joining, self._joining = self._joining, None
        joining.cancel()
        pool = (await asyncio.gather(joining, return_exceptions=True))[0]
        if self._watching is not None:
            self._watching.cancel()
        try:
            if isinstance(pool, ActorPool):
                pool.fail(_closed())
                await pool.aclose()
        finally:
            if self._cluster is not None:
                await self._cluster.leave()

    async def _pool(self) -> ActorPool:
        if self._closed:
            raise _closed()
        if self._joining is None:
            self._joining = asyncio.get_running_loop().create_task(self._join(), context=Context())
        # Whoever is cancelled meanwhile must not take the way in from the others.
        try:
            return await asyncio.shield(self._joining)
        except AsyncrunError as error:
            raise anew(error) from None
        except asyncio.CancelledError:
            if self._closed:
                raise _closed() from None
            raise

    async def _join(self) -> ActorPool:
        self._cluster = await join(self.address)
        needs = ActorNeeds(self.cpus, self.gpus, self.slots_per_worker)
        if self.processes is None:
            nodes = await self._cluster.nodes()
            self.processes = max(1, sum(needs.fitting(node.cpus, node.gpus) for node in nodes))
        pool = ActorPool(self._cluster.address, needs, self.patience)
        pool.start(self.processes)
        self._watching = asyncio.create_task(self._watch(self._cluster, pool))
        return pool

    async def _watch(self, cluster: RayCluster, pool: ActorPool) -> None:
        """Look after the head: a minute after it has gone, Ray ends this process."""
        await cluster.lost()
        pool.fail(TryLaterError(f"the head of the Ray cluster at {cluster.address} is gone"))

    def _opening(self, part: WorkerPart) -> Any:
        """Return what an actor makes a part of; a large one goes to each node once, and not with each call."""
        import ray

        opening = self._openings[part]
        if isinstance(opening, bytes) and len(opening) > INLINE:
            opening = self._openings[part] = ray.put(opening)
        return opening

    async def _reply(self, pool: ActorPool, actor: Actor, opening: Any, call: bytes) -> bytes:
        import ray

        reply = actor.handle.call.remote(opening, call)
        try:
            with pool.under_way(asyncio.ensure_future(_awaited(reply))) as answered:
                return await answered
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if pool.failure is not None and not (task and task.cancelling()):
                raise anew(pool.failure) from None
            ray.cancel(reply)
            raise
        except (ray.exceptions.ObjectStoreFullError, ray.exceptions.OutOfDiskError) as error:
            raise ResourceError(
                f"the object store of a node is full ({actor.name})",
                hint="Start the nodes with more --object-store-memory, or have fewer `workers`.",
            ) from error
        except ray.exceptions.RayError as error:
            pool.retire(actor)
            raise WorkerLostError(f"worker {actor.name} was lost: {_reason(error)}") from error


async def _awaited(reply: Any) -> bytes:
    answered: bytes = await reply
    return answered


def _closed() -> TryLaterError:
    return TryLaterError("the executor is closed")


def _reason(error: Exception) -> str:
    """Say in a few words why Ray has no answer."""
    words = str(error)
    return next((meaning for sign, meaning in _REASONS.items() if sign in words), first_line(words) or type(error).__name__)
