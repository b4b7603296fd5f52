"""An executor for tests, in this event loop: calls are pickled there and back, and what is to end its worker ends it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from asyncrun.errors import WorkerLostError
from asyncrun.executors.worker import Raised, Worker
from asyncrun.ports import WorkerAnswer, WorkerPart

SENTENCE = "worker here was lost: killed by SIGKILL"


@dataclass(eq=False)
class FakeExecutor:
    """One worker with `slots`; `ends` tells of a call's arguments whether it ends the worker, which begins anew then.

    `calls` are the arguments of all calls, in their order, and `opened` counts how often a part was opened.
    """

    slots: int = 4
    workers: int = 1
    ends: Callable[[tuple[Any, ...]], bool] = lambda _: False
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    most_at_once: int = 0
    _busy: int = 0
    _worker: Worker = field(default_factory=Worker)

    async def run(self, part: WorkerPart, method: str, *arguments: Any) -> WorkerAnswer[Any]:
        """Call it here."""
        self.calls.append(arguments)
        self._busy += 1
        self.most_at_once = max(self.most_at_once, self._busy)
        try:
            if self.ends(arguments):
                raise WorkerLostError(SENTENCE)
            part, arguments = pickle.loads(pickle.dumps((part, arguments)))
            ended = pickle.loads(pickle.dumps(await self._worker.call(part, method, arguments)))
        finally:
            self._busy -= 1
        if isinstance(ended, Raised):
            raise ended.error
        return WorkerAnswer(ended.value, "here")

    async def aclose(self) -> None:
        """Close the parts."""
        await self._worker.aclose()
