"""What a worker does with parts and calls, without a process: opened once, closed in one task, errors that travel."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from asyncrun.errors import JobFailedError, ResourceError, StorageError
from asyncrun.executors.worker import Raised, Returned, Worker

pytestmark = pytest.mark.asyncio


class Unsendable(Exception):
    def __init__(self, one: str, other: str) -> None:
        super().__init__(f"{one} and {other}")


class Panic(BaseException):
    """What a library in another language raises when it fails: no Exception."""


class Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Opened:
    async def task(self) -> str:
        return "called"

    async def fail(self, error: BaseException) -> None:
        raise error


@dataclass(frozen=True)
class Part:
    name: str
    log: tuple[list[Any]] = ([],)
    refuses: BaseException | None = None
    never: bool = False

    def __hash__(self) -> int:
        return hash(self.name)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Opened]:
        await asyncio.sleep(0)
        if self.never:
            await asyncio.Event().wait()
        if self.refuses is not None:
            raise self.refuses
        self.log[0].append(("opened", self.name, asyncio.current_task()))
        async with asyncio.timeout(60):  # to be left in the task in which it was entered
            yield Opened()
        self.log[0].append(("closed", self.name, asyncio.current_task()))


async def test_parts_are_opened_once_and_closed_last_first_each_in_its_own_task() -> None:
    log: list[Any] = []
    worker = Worker()
    one, other = Part("one", (log,)), Part("other", (log,))
    await asyncio.gather(*(worker.call(one, "task", ()) for _ in range(3)))
    await worker.call(other, "task", ())
    await worker.aclose()
    assert [entry[:2] for entry in log] == [("opened", "one"), ("opened", "other"), ("closed", "other"), ("closed", "one")]
    assert (log[0][2], log[1][2]) == (log[3][2], log[2][2])


async def test_the_part_of_a_call_that_is_cancelled_is_opened_for_the_others() -> None:
    log: list[Any] = []
    worker, part = Worker(), Part("one", (log,))
    first, second = (asyncio.ensure_future(worker.call(part, "task", ())) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    answer = await second
    assert isinstance(answer, Returned) and answer.value == "called"
    await worker.aclose()
    assert len(log) == 2


async def test_a_part_that_cannot_be_opened_is_tried_anew() -> None:
    worker = Worker()
    for _ in range(2):
        answer = await worker.call(Part("one", refuses=StorageError("no model there")), "task", ())
        assert isinstance(answer, Raised) and str(answer.error) == "no model there"
    await worker.aclose()


async def test_an_error_that_cannot_be_made_anew_travels_in_words() -> None:
    worker = Worker()
    answer = await worker.call(Part("one"), "fail", (Unsendable("this", "that"),))
    assert isinstance(answer, Raised)
    assert (type(answer.error), str(answer.error)) == (JobFailedError, "a worker failed: Unsendable: this and that")
    assert "in fail" in answer.frames
    with pytest.raises(JobFailedError) as caught:
        answer.raise_again()
    assert "in fail" in caught.value.__notes__[0]
    await worker.aclose()


async def test_an_answer_takes_along_what_libraries_have_said() -> None:
    said = [("careful",), ()]
    worker = Worker(lambda: said.pop(0))
    answers = [await worker.call(Part("one"), "task", ()) for _ in range(2)]
    assert [answer.warnings for answer in answers if isinstance(answer, Returned)] == [("careful",), ()]
    await worker.aclose()


async def test_a_part_that_is_still_being_opened_is_not_waited_for() -> None:
    log: list[Any] = []
    worker = Worker()
    call = asyncio.ensure_future(worker.call(Part("one", (log,), never=True), "task", ()))
    await asyncio.sleep(0)
    await worker.aclose()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert log == []


@pytest.mark.parametrize(
    ("error", "words"),
    [(Panic("index out of bounds"), "Panic: index out of bounds"), (Speechless(), "Speechless: its words cannot be read")],
)
async def test_whatever_is_raised_is_told_where_a_part_is_opened_and_where_it_is_called(error: BaseException, words: str) -> None:
    worker = Worker()
    async with asyncio.timeout(10):
        answers = [await worker.call(Part("one"), "fail", (error,)), await worker.call(Part("other", refuses=error), "task", ())]
        await worker.aclose()
    assert [str(answer.error) for answer in answers if isinstance(answer, Raised)] == [f"a worker failed: {words}"] * 2


async def test_a_part_that_is_cancelled_as_it_opens_keeps_nobody_waiting() -> None:
    worker = Worker()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            await worker.call(Part("one", refuses=asyncio.CancelledError()), "task", ())
    await worker.aclose()


async def test_memory_that_runs_out_is_told_as_that_of_the_worker() -> None:
    worker = Worker()
    answer = await worker.call(Part("a"), "fail", (MemoryError(),))
    await worker.aclose()
    assert isinstance(answer, Raised)
    assert type(answer.error) is ResourceError
    assert str(answer.error) == "there is no more memory for a worker"
