"""The executor without workers of its own: calls run in this event loop."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from asyncrun.errors import TryLaterError
from asyncrun.executors.worker import Raised, Returned, Worker
from asyncrun.ports import WorkerAnswer, WorkerPart


@dataclass(eq=False)
class LocalExecutor:
    """Runs calls in the event loop it is used in, `slots` at once. Nothing is pickled; a worker cannot be lost."""

    slots: int = 64
    _worker: Worker = field(default_factory=Worker, repr=False)
    _calls: set[asyncio.Task[Returned | Raised]] = field(default_factory=set, repr=False)
    _closed: bool = False

    def __post_init__(self) -> None:
        self._free = asyncio.Semaphore(self.slots)

    @property
    def workers(self) -> int:
        """Return 1: this loop."""
        return 1

    async def run(self, part: WorkerPart, method: str, *arguments: Any) -> WorkerAnswer[Any]:
        """Call a method of a part; see `ports.Executor`."""
        asked = time.monotonic()
        async with self._free:
            if self._closed:
                raise TryLaterError("the executor is closed")
            began = time.monotonic()
            call = asyncio.create_task(self._worker.call(part, method, arguments))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)
            try:
                answer = await call
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if self._closed and task is not None and not task.cancelling():
                    raise TryLaterError("the executor is closed") from None
                raise
        if isinstance(answer, Raised):
            answer.raise_again()
        return WorkerAnswer(answer.value, "this process", queue=began - asked)

    async def aclose(self) -> None:
        """Cancel what is under way, and close the parts."""
        self._closed = True
        await self._worker.aclose(list(self._calls))
