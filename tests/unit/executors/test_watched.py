"""What the workers of a run have done is counted where all calls pass, and what they warn of is said once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncrun.errors import ItemError, WorkerLostError
from asyncrun.executors.watched import MOST_SENTENCES, WatchedExecutor
from asyncrun.ports import WorkerAnswer, WorkerPart
from asyncrun.results import ExecutorUse, WorkerUse
from asyncrun.testing.clock import FakeClock


class Answering:
    """Gives each call its answer, or raises it, after a second."""

    slots, workers, closed = 8, 2, 0

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock

    async def run(self, part: WorkerPart, method: str, *arguments: Any) -> WorkerAnswer[Any]:
        await self.clock.sleep(1)
        [answer] = arguments
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, WorkerAnswer)
        return answer

    async def aclose(self) -> None:
        self.closed += 1


class Part:
    def open(self) -> Any:
        raise NotImplementedError


class Watched:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.said: list[str] = []
        self.inner = Answering(self.clock)
        self.executor = WatchedExecutor(self.inner, self.clock, self.said.append)

    async def call(self, answer: WorkerAnswer[Any] | Exception) -> Any:
        return (await self.executor.run(Part(), "method", answer)).value


@pytest.mark.asyncio
async def test_each_worker_has_its_calls_its_seconds_and_the_part_of_them_on_the_way() -> None:
    watched = Watched()
    for worker, queue, ship in (("b", 0.5, 0.125), ("a", 0.0, 0.25), ("a", 0.0, 0.25)):
        assert await watched.call(WorkerAnswer(5, worker, queue, ship)) == 5
    assert watched.executor.use() == ExecutorUse((WorkerUse("a", 2, 2.0, 0.5), WorkerUse("b", 1, 0.5, 0.125)))


@pytest.mark.asyncio
async def test_a_worker_that_was_lost_with_several_calls_is_one_lost_worker() -> None:
    watched = Watched()
    for number in (4711, 4711, 4712):
        with pytest.raises(WorkerLostError, match=str(number)):
            await watched.call(WorkerLostError(f"worker pid {number} was lost: killed by SIGKILL"))
    assert watched.executor.use() == ExecutorUse((), lost_workers=2, lost_calls=3)


@pytest.mark.asyncio
async def test_what_a_method_raises_comes_as_it_is_and_loses_no_worker() -> None:
    watched = Watched()
    with pytest.raises(ItemError, match="the page is broken"):
        await watched.call(ItemError("the page is broken", reason="parse_error"))
    assert watched.executor.use() == ExecutorUse()


@pytest.mark.asyncio
async def test_a_sentence_that_many_workers_warn_of_is_said_once() -> None:
    watched = Watched()
    for worker in ("a", "b", "a"):
        await watched.call(WorkerAnswer(None, worker, warnings=("the model is old", "no GPU")))
    assert watched.said == ["the model is old", "no GPU"]


@pytest.mark.asyncio
async def test_warnings_that_are_all_different_end_with_a_sentence_that_there_are_more() -> None:
    watched = Watched()
    for number in range(MOST_SENTENCES * 2):
        await watched.call(WorkerAnswer(None, "a", warnings=(f"text {number} is odd",)))
    assert len(watched.said) == MOST_SENTENCES
    assert "more" in watched.said[-1]


@pytest.mark.asyncio
async def test_it_is_as_large_as_the_executor_and_closes_it() -> None:
    watched = Watched()
    assert (watched.executor.slots, watched.executor.workers) == (8, 2)
    await asyncio.gather(watched.executor.aclose())
    assert watched.inner.closed == 1
