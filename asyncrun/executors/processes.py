"""The executor over processes of this machine: each is started when it is needed, and another takes the place of one that is lost."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any

from asyncrun.errors import NestedLoopError, TryLaterError
from asyncrun.executors.child_process import Call, ChildProcess, StartError
from asyncrun.executors.frames import Body, encode_for_worker
from asyncrun.executors.worker import Raised
from asyncrun.ports import WorkerAnswer, WorkerPart

TRIES = 3
"""Processes in a row that fail as they start, before those who wait are told."""
LONGEST_PAUSE = 5.0
"""Seconds before another is started, after several in a row have failed."""


@dataclass(eq=False)
class ProcessExecutor:
    """Runs calls in up to `workers` processes, `slots_per_worker` at once in each; it belongs to the event loop it is used in.

    At the end, workers have `grace` seconds to close their parts in.

    >>> ProcessExecutor(4).slots
    128
    """

    workers: int
    slots_per_worker: int = 32
    grace: float = 5.0
    _ready: list[ChildProcess] = field(default_factory=list, repr=False)
    _starting: set[asyncio.Task[None]] = field(default_factory=set, repr=False)
    _burying: set[asyncio.Task[None]] = field(default_factory=set, repr=False)
    _waiting: deque[Call] = field(default_factory=deque, repr=False)
    _parts: dict[WorkerPart, tuple[int, Body]] = field(default_factory=dict, repr=False)
    _failed_starts: int = field(default=0, repr=False)
    _why: str = field(default="", repr=False)
    _closed: bool = field(default=False, repr=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, repr=False)

    @property
    def slots(self) -> int:
        """Return how many calls are in flight at once, on all workers together."""
        return self.workers * self.slots_per_worker

    async def run(self, part: WorkerPart, method: str, *arguments: Any) -> WorkerAnswer[Any]:
        """Call a method of a part in a worker; see `ports.Executor`.

        Raises what the method raises, WorkerLostError, TryLaterError when no process can be started or the executor is closed, UsageError
        for what cannot be pickled.
        """
        if self._closed:
            raise _closed()
        self._loop = self._loop or asyncio.get_running_loop()
        if self._loop is not asyncio.get_running_loop():
            raise NestedLoopError("an executor works in the event loop in which it was used first")
        asked = time.monotonic()
        call = self._call(part, method, arguments)
        self._waiting.append(call)
        self._hand_out()
        answer = await call.answered
        if isinstance(answer, Raised):
            answer.raise_again()
        ship = max(0.0, time.monotonic() - call.sent - answer.seconds)
        return WorkerAnswer(answer.value, call.worker, call.sent - asked, ship, answer.warnings)

    async def aclose(self) -> None:
        """Cancel what is under way, close the parts and end the processes, within seconds whatever they do; may be called twice."""
        self._closed = True
        _end_with(self._waiting, _closed)
        for child in self._ready:
            child.give_up(_closed)
        children, self._ready = self._ready, []
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*(child.aclose(self.grace) for child in children), *self._starting, *self._burying, return_exceptions=True)

    def _call(self, part: WorkerPart, method: str, arguments: tuple[Any, ...]) -> Call:
        if part not in self._parts:
            self._parts[part] = (len(self._parts), encode_for_worker(part, repr(part)))
        number, part_body = self._parts[part]
        body = encode_for_worker((number, method, arguments), f"what {method} is called with")
        return Call(number, part_body, body, asyncio.get_running_loop().create_future())

    def _hand_out(self) -> None:
        """Give what waits to the workers that have the least to do, and start another where all have something to do."""
        for child in [child for child in self._ready if child.lost]:
            self._ready.remove(child)
            self._keep(self._burying, child.bury())
        if self._failed_starts >= TRIES and not self._ready and not self._starting:
            self._failed_starts = 0
            _end_with(self._waiting, lambda: TryLaterError(f"no worker process can be started: {self._why}"))
        while self._waiting:
            if self._waiting[0].answered.done():  # it was cancelled
                self._waiting.popleft()
                continue
            free = min(self._ready, key=lambda child: child.busy, default=None)
            if (free is None or free.busy) and self._may_start():
                self._keep(self._starting, self._start())
            if free is None or free.busy >= self._most():
                return
            free.submit(self._waiting.popleft(), time.monotonic())

    def _may_start(self) -> bool:
        return len(self._ready) + len(self._starting) < self.workers and (self._failed_starts < TRIES or bool(self._ready))

    def _most(self) -> int:
        """Return how many calls one worker is given; while others start, it leaves them their part."""
        if not self._starting:
            return self.slots_per_worker
        calls = len(self._waiting) + sum(child.busy for child in self._ready)
        return min(self.slots_per_worker, -(-calls // self.workers))

    async def _start(self) -> None:
        if self._failed_starts:
            await asyncio.sleep(min(LONGEST_PAUSE, 0.1 * 2**self._failed_starts))
        child = ChildProcess(self._hand_out)
        try:
            await child.start()
        except Exception as error:  # whatever it is, nobody may wait for ever
            self._failed_starts += 1
            self._why = str(error) if isinstance(error, StartError) else f"{type(error).__name__}: {error}"
        else:
            self._failed_starts = 0
            self._ready.append(child)

    def _keep(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        """Have something done that belongs to no call, and look again when it is done."""

        def done(task: asyncio.Task[None]) -> None:
            tasks.discard(task)
            if not self._closed:
                self._hand_out()

        task = asyncio.get_running_loop().create_task(work, context=Context())
        tasks.add(task)
        task.add_done_callback(done)


def _end_with(waiting: deque[Call], error: Callable[[], Exception]) -> None:
    while waiting:
        if not (answered := waiting.popleft().answered).done():
            answered.set_exception(error())


def _closed() -> Exception:
    return TryLaterError("the executor is closed")
