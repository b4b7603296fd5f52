"""The actors of an executor: each place is kept filled, whoever waits for a slot is served in the order of arrival."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from asyncrun import __version__
from asyncrun.aio.thread_calls import in_background, in_own_thread
from asyncrun.errors import AsyncrunError, TryLaterError
from asyncrun.executors.ray_actor import Greeting, actor_class
from asyncrun.executors.ray_cluster import first_line

T = TypeVar("T")
GRACE = 5.0
"""Seconds that workers have at the end, to close their parts in."""
KILL_WITHIN = 3.0
"""Seconds in which the head takes the word that they are to end."""
TRIES = 4
"""Workers in a row that fail as they start, in a place, before those who wait are told: if no other place has one."""
_LONGEST_PAUSE = 30.0
_SETTLED = 60.0
"""Seconds after which a worker that is lost is no sign that the next one will be, too."""
_SPARE = 4
"""Calls of an actor that are not ours: the greeting, the watch, the end."""


@dataclass(frozen=True, slots=True)
class ActorNeeds:
    """What an actor takes of a node, and how many calls it runs at once."""

    cpus: float
    gpus: float
    slots: int

    def __str__(self) -> str:
        return f"{self.cpus:g} CPU" + (f" and {self.gpus:g} GPU" if self.gpus else "")

    def fitting(self, cpus: float, gpus: float) -> int:
        """Return how many actors a node has room for.

        >>> ActorNeeds(1, 0.5, 1).fitting(8, 2), ActorNeeds(1, 0, 1).fitting(8, 2), ActorNeeds(0, 0, 1).fitting(8, 0)
        (4, 8, 8)
        """
        fits = [int(has // each) for has, each in ((cpus, self.cpus), (gpus, self.gpus)) if each]
        return min(fits) if fits else int(cpus)


@dataclass(eq=False)
class Actor:
    """A worker that takes calls, and how many it has."""

    handle: Any
    name: str
    calls: int = 0


@dataclass(eq=False)
class ActorPool:
    """The actors in a cluster, which `where` names; calls wait for `patience` seconds at most while there is none."""

    where: str
    needs: ActorNeeds
    patience: float
    _actors: list[Actor] = field(default_factory=list)
    _handles: set[Any] = field(default_factory=set)
    _waiting: deque[asyncio.Future[Actor]] = field(default_factory=deque)
    _keepers: list[asyncio.Task[None]] = field(default_factory=list)
    _under_way: set[asyncio.Future[Any]] = field(default_factory=set)
    _alarm: asyncio.TimerHandle | None = None
    failure: AsyncrunError | None = None

    def start(self, places: int) -> None:
        """Begin to fill so many places; those that the cluster has no room for are filled when a node joins."""
        self._set_alarm()
        self._keepers = [asyncio.create_task(self._keep()) for _ in range(places)]

    async def take(self) -> Actor:
        """Wait for a free slot, in the order of arrival. Raises why there will be none."""
        if self.failure is not None:
            raise anew(self.failure)
        waiter: asyncio.Future[Actor] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._hand_out()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.give_back(waiter.result())
            raise

    def give_back(self, actor: Actor) -> None:
        """Free a slot."""
        actor.calls -= 1
        self._hand_out()

    def retire(self, actor: Actor) -> None:
        """Give no more calls to an actor, and end it; another takes its place."""
        import ray

        if actor in self._actors:
            self._actors.remove(actor)
            if not self._actors and self.failure is None:
                self._set_alarm()
        in_background(partial(ray.kill, actor.handle))

    def fail(self, error: AsyncrunError) -> None:
        """Tell all who wait, and all who come, why there is no worker."""
        self.failure = error
        if self._alarm is not None:
            self._alarm.cancel()
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(anew(error))
        for call in self._under_way:
            call.cancel()

    @contextmanager
    def under_way(self, call: asyncio.Future[T]) -> Iterator[asyncio.Future[T]]:
        """Have a call cancelled with all others, when there will be no answer."""
        self._under_way.add(call)
        try:
            yield call
        finally:
            self._under_way.discard(call)

    async def aclose(self) -> None:
        """Have the actors close their parts, and end them, within seconds."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        actors, handles, self._handles, self._actors = self._actors, self._handles, set(), []
        try:
            closing = [asyncio.ensure_future(_close(actor.handle)) for actor in actors]
            if closing:
                _, late = await asyncio.wait(closing, timeout=GRACE)
                for each in late:
                    each.cancel()
        finally:
            with suppress(TimeoutError):  # Where the head is gone, Ray waits for it.
                await in_own_thread(lambda: _kill(handles), KILL_WITHIN)

    async def _keep(self) -> None:
        """Keep one place filled: start an actor, wait until it is lost, and start another."""
        import ray

        actors: Any = ray.remote(actor_class())
        options = {"num_cpus": self.needs.cpus, "num_gpus": self.needs.gpus, "max_concurrency": self.needs.slots + _SPARE}
        failures, been = 0, False
        while True:
            handle = actors.options(**options, max_restarts=0, max_task_retries=0, enable_task_events=False).remote()
            self._handles.add(handle)
            began = asyncio.get_running_loop().time()
            try:
                greeting = Greeting(*await handle.hello.remote())
                if (refused := greeting.refusal(__version__)) is None:
                    been = True
                    await self._serve(Actor(handle, greeting.name))
                elif not been:
                    self.fail(refused)
                    return
            except ray.exceptions.RayError as error:
                if failures + 1 >= TRIES and not self._actors:
                    self.fail(TryLaterError(f"no worker can be started in the Ray cluster at {self.where}: {first_line(str(error))}"))
                    return
            self._handles.discard(handle)
            in_background(partial(ray.kill, handle))
            failures = failures + 1 if asyncio.get_running_loop().time() - began < _SETTLED else 0
            await asyncio.sleep(min(_LONGEST_PAUSE, 0.25 * 2**failures) if failures > 1 else 0.0)

    async def _serve(self, actor: Actor) -> None:
        """Have an actor take calls until it is lost."""
        import ray

        self._actors.append(actor)
        if self._alarm is not None:
            self._alarm.cancel()
        self._hand_out()
        try:
            await actor.handle.watch.remote()
        except ray.exceptions.RayError:
            self.retire(actor)

    def _hand_out(self) -> None:
        while self._waiting:
            waiter = self._waiting[0]
            if not waiter.done():
                actor = min(self._actors, key=lambda each: each.calls, default=None)
                if actor is None or actor.calls >= self.needs.slots:
                    return
                actor.calls += 1
                waiter.set_result(actor)
            self._waiting.popleft()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        error = TryLaterError(
            f"the Ray cluster at {self.where} had no worker for {self.patience:.0f} s: one takes {self.needs}",
            hint="`ray status` shows what the nodes have left; ask for fewer `cpus` or `gpus`, or add a node.",
        )
        self._alarm = asyncio.get_running_loop().call_later(self.patience, self.fail, error)


def _kill(handles: set[Any]) -> None:
    import ray

    for handle in handles:
        ray.kill(handle)


async def _close(handle: Any) -> None:
    import ray

    with suppress(ray.exceptions.RayError):  # One that is gone has nothing to close.
        await handle.aclose.remote()


def anew(error: AsyncrunError) -> AsyncrunError:
    """Return an error anew, for another one who waits: one object that is raised twice gathers the frames of both."""
    return type(error)(error.message, place=error.place, hint=error.hint)
