"""An embedder on workers: the same answers, and a worker that is lost costs a second try, then the one text that is to blame."""

from __future__ import annotations

import asyncio
import pickle
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import Limits
from asyncrun.embedders.base import BaseEmbedding
from asyncrun.embedders.on_workers import EmbedderPart, WorkerEmbedder
from asyncrun.errors import JobFailedError, OutageError, TryLaterError
from asyncrun.packing import BatchLimits
from asyncrun.records import Embedded, InputType, Space
from asyncrun.testing.clock import FakeClock
from asyncrun.usage import Usage
from tests.executors import SENTENCE, FakeExecutor


class Lengths(BaseEmbedding):
    """A vector is the length of its text."""

    provider = "lengths"

    def __init__(self, *, down: bool = False) -> None:
        super().__init__(model="m", batch=BatchLimits(max_items=8), workers=1, document_prefix="> ")
        self.down = down

    def space(self, input_type: InputType) -> Space:
        return Space("lengths", "m")

    async def _embed(self, texts: Sequence[str], input_type: InputType, *, cut: bool = False) -> Embedded:
        if self.down:
            raise OutageError("it is down")
        await asyncio.sleep(0)
        vectors = np.array([[len(text)] for text in texts], np.float32)
        return Embedded(vectors, tuple(range(len(texts))), usage=Usage(requests=1, tokens=len(texts)))


@dataclass(frozen=True)
class LengthsPart:
    down: bool = False

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Lengths]:
        yield Lengths(down=self.down)


def holds(text: str) -> Any:
    return lambda arguments: text in arguments[0]


def embed(executor: FakeExecutor, texts: list[str], *, down: bool = False) -> Embedded:
    return asyncio.run(WorkerEmbedder(Lengths(), executor, LengthsPart(down)).aembed(texts))


def test_the_answer_is_that_of_the_embedder_itself() -> None:
    texts = ["a", "", "ccc"]
    here, there = asyncio.run(Lengths().aembed(texts)), embed(FakeExecutor(), texts)
    assert there.vectors.tolist() == here.vectors.tolist() == [[3.0], [5.0]]
    assert (there.positions, there.failures, there.usage) == (here.positions, here.failures, here.usage)


def test_it_says_the_same_of_itself_and_has_two_batches_at_each_worker() -> None:
    here = Lengths()
    there = WorkerEmbedder(here, FakeExecutor(slots=64, workers=3), LengthsPart())
    assert there.workers == 6
    assert there.as_sent("a", InputType.DOCUMENT) == "> a"
    assert (there.space(InputType.QUERY), there.batch, there.served_by) == (here.space(InputType.QUERY), here.batch, here.served_by)


def test_a_batch_that_has_lost_its_worker_has_a_second_try_which_is_counted() -> None:
    executor = FakeExecutor()
    executor.ends = lambda _: len(executor.calls) == 1
    answer = embed(executor, ["a", "bb"])
    assert answer.positions == (0, 1)
    assert (answer.usage.requests, answer.usage.retries) == (2, 1)


@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_a_text_that_ends_its_worker_fails_alone(count: int) -> None:
    texts = [f"text {number}" for number in range(count - 1)] + ["poison"]
    answer = embed(FakeExecutor(ends=holds("poison")), texts)
    assert answer.positions == tuple(range(count - 1))
    [failure] = answer.failures
    assert (failure.position, failure.reason, failure.message) == (count - 1, "worker_lost", SENTENCE)
    assert answer.error is None


def test_one_text_is_sent_twice_and_not_again() -> None:
    executor = FakeExecutor(ends=holds("poison"))
    assert embed(executor, ["poison"]).failures[0].attempts == len(executor.calls) == 2


@given(st.sets(st.integers(0, 11)))
def test_every_text_has_its_vector_or_has_ended_its_worker(poisons: set[int]) -> None:
    texts = [f"{number} {'poison' if number in poisons else 'text'}" for number in range(12)]
    answer = embed(FakeExecutor(ends=lambda arguments: any("poison" in text for text in arguments[0])), texts)
    assert {failure.position for failure in answer.failures} == poisons
    assert set(answer.positions) == set(range(12)) - poisons
    assert [row[0] for row in answer.vectors.tolist()] == [len(texts[position]) + 2 for position in answer.positions]


class Watched(FakeExecutor):
    """Loses every call once, and sees how many of those that were lost are under way again at the same time."""

    again = most = 0

    async def run(self, part: Any, method: str, *arguments: Any) -> Any:
        lost_before = arguments in self.calls
        self.ends = lambda _: not lost_before
        self.again += lost_before
        self.most = max(self.most, self.again)
        try:
            return await super().run(part, method, *arguments)
        finally:
            self.again -= lost_before


def test_what_was_lost_is_sent_alone_so_that_it_takes_nobody_with_it_twice() -> None:
    async def main() -> int:
        executor = Watched()
        embedder = WorkerEmbedder(Lengths(), executor, LengthsPart())
        answers = await asyncio.gather(*(embedder.aembed([f"text {number}"]) for number in range(5)))
        assert all(answer.positions == (0,) for answer in answers)
        return executor.most

    assert asyncio.run(main()) == 1


def test_what_is_wrong_with_the_embedder_is_the_error_of_the_call() -> None:
    answer = embed(FakeExecutor(), ["a"], down=True)
    assert isinstance(answer.error, OutageError)
    assert (answer.error.message, answer.positions, answer.failures) == ("it is down", (), ())


def test_without_any_worker_the_call_ends_to_be_tried_later() -> None:
    class Unreachable(FakeExecutor):
        async def run(self, *_: Any) -> Any:
            raise TryLaterError("no worker can be started")

    answer = embed(Unreachable(), ["a"])
    assert isinstance(answer.error, TryLaterError)
    assert answer.failures == ()


def test_the_limit_of_a_plugins_endpoint_holds_for_all_workers_together() -> None:
    async def main() -> float:
        clock = FakeClock()
        limiter = Limiter(Limits(requests_per_minute=60), clock, random.Random(1))
        embedder = WorkerEmbedder(Lengths(), FakeExecutor(slots=64, workers=8), LengthsPart(), limiter)
        answers = await asyncio.gather(*(embedder.aembed(["a"]) for _ in range(30)))
        assert all(answer.positions == (0,) for answer in answers)
        assert sum(answer.waits.rate for answer in answers) > 0
        return clock.monotonic()

    assert asyncio.run(main()) >= 25


@pytest.mark.asyncio
async def test_an_embedder_that_cannot_be_made_on_a_node_names_the_node_and_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(**_: Any) -> Any:
        raise FileNotFoundError("no file /models/weights.bin")

    monkeypatch.setattr("asyncrun.registry.load", lambda port, name: made)
    part = EmbedderPart("heavy", BatchLimits(max_items=8), pickle.dumps({}))
    with pytest.raises(JobFailedError, match=r"'heavy' cannot be made on node .+: FileNotFoundError: no file /models/weights\.bin"):
        async with part.open():
            pass
