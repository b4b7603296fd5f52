"""An executor that is watched: what each worker has done, which were lost, and what was logged in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from asyncrun.clock import Clock
from asyncrun.errors import WorkerLostError
from asyncrun.ports import Executor, WorkerAnswer, WorkerPart
from asyncrun.results import ExecutorUse, WorkerUse

MOST_SENTENCES = 100
"""Warnings of workers that are told in one run; whoever logs the number of a text in each has no end of them."""


class WatchedExecutor:
    """Does what another executor does, and counts it.

    Args:
        executor: Where calls run; it is closed with this one.
        clock: Measures calls.
        warn: Is told each sentence that was logged in a worker, once, as it came: with secrets and control characters.
    """

    def __init__(self, executor: Executor, clock: Clock, warn: Callable[[str], object]) -> None:
        self._executor = executor
        self._clock = clock
        self._warn = warn
        self._workers: dict[str, WorkerUse] = {}
        self._lost: set[str] = set()
        self._lost_calls = 0
        self._said: set[str] = set()

    @property
    def slots(self) -> int:
        """Return how many calls in flight make sense, on all workers together."""
        return self._executor.slots

    @property
    def workers(self) -> int:
        """Return how many workers there are, or will be once they have started."""
        return self._executor.workers

    async def run(self, part: WorkerPart, method: str, *arguments: Any) -> WorkerAnswer[Any]:
        """Call a method of a part on a worker, as the executor does; raises what that raises."""
        began = self._clock.monotonic()
        try:
            answer = await self._executor.run(part, method, *arguments)
        except WorkerLostError as error:
            # One sentence is one worker: it says which, and how it ended.
            self._lost.add(error.message)
            self._lost_calls += 1
            raise
        self._count(answer, self._clock.monotonic() - began - answer.queue)
        self._tell(answer.warnings)
        return answer

    def use(self) -> ExecutorUse:
        """Return what has been done so far."""
        busiest = sorted(self._workers.values(), key=lambda worker: (-worker.seconds, worker.name))
        return ExecutorUse(tuple(busiest), len(self._lost), self._lost_calls)

    async def aclose(self) -> None:
        """Close the executor; may be called twice."""
        await self._executor.aclose()

    def _count(self, answer: WorkerAnswer[Any], seconds: float) -> None:
        known = self._workers.get(answer.worker) or WorkerUse(answer.worker, 0, 0.0, 0.0)
        self._workers[answer.worker] = replace(
            known, calls=known.calls + 1, seconds=known.seconds + max(seconds, 0.0), ship=known.ship + answer.ship
        )

    def _tell(self, sentences: tuple[str, ...]) -> None:
        for sentence in sentences:
            if sentence in self._said or len(self._said) >= MOST_SENTENCES:
                continue
            self._said.add(sentence)
            self._warn(sentence if len(self._said) < MOST_SENTENCES else "workers warn of more, which is not shown")
