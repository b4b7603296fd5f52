"""The contract suite of executors: subclass `ExecutorContract`, give it the fixture `open_executor`, and run it with pytest-asyncio."""

# ruff: noqa: D102, S101 - a suite for pytest: tests assert, and their names say what is promised

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest

from asyncrun.errors import ItemError, Place, TryLaterError, UsageError, WorkerLostError
from asyncrun.ports import Executor
from asyncrun.testing.worker_parts import RehearsalPart

OpenExecutor: TypeAlias = Callable[[int], Executor]
PATIENCE = 60.0
"""Seconds in which whatever is waited for has to happen."""


@asynccontextmanager
async def closing(executor: Executor) -> AsyncIterator[Executor]:
    """Close an executor at the end, whatever happens."""
    try:
        async with asyncio.timeout(PATIENCE * 2):
            yield executor
    finally:
        await executor.aclose()


async def until(happened: Callable[[], bool]) -> None:
    """Wait until it is so."""
    end = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < end, "it has not happened"
        await asyncio.sleep(0.01)


class ExecutorContract:
    """What every executor promises. The fixture `open_executor` returns what makes one of so many workers, with slots for three calls each.

    `own_process` is False for one whose workers are not processes: they cannot be lost.

    >>> from asyncrun.executors.processes import ProcessExecutor
    >>> class TestMine(ExecutorContract):
    ...     @pytest.fixture
    ...     def open_executor(self):
    ...         return ProcessExecutor
    """

    own_process = True

    @pytest.fixture
    def open_executor(self) -> OpenExecutor:
        """Return what makes an executor of a number of workers."""
        raise NotImplementedError

    @pytest.fixture
    def part(self, tmp_path: Path) -> RehearsalPart:
        """Return a part that writes into a folder."""
        return RehearsalPart(str(tmp_path), secret="hunter2-hunter2")  # noqa: S106 (nobody's)

    @pytest.mark.asyncio
    async def test_what_goes_in_and_comes_out_is_equal_however_large(self, open_executor: OpenExecutor, part: RehearsalPart) -> None:
        async with closing(open_executor(1)) as executor:
            assert executor.slots >= executor.workers == 1
            for value in (None, "caf\u00e9 \U0001f600", b"\0" * 70_000, {"a": [1, 2.5, (3,)]}, "x" * 5_000_000):
                assert (await executor.run(part, "give_back", value)).value == value
            for array in (np.array([[0.1, -1e-30]], np.float32), np.empty((0, 3), np.float32), np.arange(3_000_000, dtype=np.float32)):
                answer = await executor.run(part, "give_back", [array, (array[:1], "with others")])
                back, (first, _) = answer.value
                assert (back.dtype, back.shape) == (np.float32, array.shape)
                assert np.array_equal(back, array) and np.array_equal(first, array[:1])
            large = (await executor.run(part, "ones", 10_000_000)).value
            assert (large.dtype, large.nbytes, float(large.min()), float(large.max())) == (np.float32, 40_000_000, 1, 1)

    @pytest.mark.asyncio
    async def test_calls_run_side_by_side_in_a_part_that_is_opened_once(self, open_executor: OpenExecutor, part: RehearsalPart) -> None:
        async with closing(open_executor(1)) as executor:
            slow, *others = (asyncio.ensure_future(executor.run(part, "meet", 3)) for _ in range(3))
            assert not slow.done()
            assert [(await each).value for each in (*others, slow)] == [3, 3, 3]
            again = RehearsalPart(part.folder, part.secret)
            answers = [await executor.run(again, "give_back", number) for number in range(9)]
            assert [answer.value for answer in answers] == [*range(9)]
            assert len({answer.worker for answer in answers}) == 1
            assert all(answer.queue >= 0 and answer.ship >= 0 for answer in answers)
            assert part.notes() == ["opened"]
            another = RehearsalPart(part.folder, "another")
            await executor.run(another, "give_back", 1)
            assert part.notes() == ["opened", "opened"]
            await executor.aclose()
            assert part.notes() == ["opened", "opened", "closed", "closed"]
            await executor.aclose()
            with pytest.raises(TryLaterError, match="closed"):
                await executor.run(part, "give_back", 1)

    @pytest.mark.asyncio
    async def test_what_a_method_raises_is_raised(self, open_executor: OpenExecutor, part: RehearsalPart) -> None:
        refused = ItemError("it is empty", reason="empty", place=Place("notes.jsonl", 3), hint="Write something.")
        async with closing(open_executor(1)) as executor:
            with pytest.raises(ItemError) as caught:
                await executor.run(part, "raise_it", refused)
            error = caught.value
            assert (str(error), error.reason, error.place, error.hint) == (str(refused), refused.reason, refused.place, refused.hint)
            with pytest.raises(ZeroDivisionError, match="by nought"):
                await executor.run(part, "raise_it", ZeroDivisionError("by nought"))
            with pytest.raises(ItemError, match="it is empty"):
                await executor.run(RehearsalPart(part.folder, refuses=refused), "give_back", 1)
            with pytest.raises(AttributeError, match="no_such_method"):
                await executor.run(part, "no_such_method")
            assert (await executor.run(part, "give_back", 1)).value == 1
            if self.own_process:
                with pytest.raises(UsageError, match="cannot be sent"):
                    await executor.run(part, "give_back", lambda: None)
                assert (await executor.run(part, "give_back", 1)).value == 1

    @pytest.mark.asyncio
    async def test_a_call_that_is_cancelled_is_cancelled_in_its_worker(self, open_executor: OpenExecutor, part: RehearsalPart) -> None:
        async with closing(open_executor(1)) as executor:
            calls = [asyncio.ensure_future(executor.run(part, "hang")) for _ in range(2)]
            await until(lambda: part.notes().count("hanging") == 2)
            calls[0].cancel()
            with pytest.raises(asyncio.CancelledError):
                await calls[0]
            await until(lambda: "cancelled" in part.notes())
            assert (await executor.run(part, "give_back", 1)).value == 1
            await executor.aclose()
            with pytest.raises(TryLaterError, match="closed"):
                await calls[1]
            assert (part.notes().count("cancelled"), part.notes()[-1]) == (2, "closed")

    @pytest.mark.asyncio
    async def test_each_call_of_a_worker_that_is_lost_is_told_once(self, open_executor: OpenExecutor, part: RehearsalPart) -> None:
        if not self.own_process:
            return
        async with closing(open_executor(2)) as executor:
            waiting = [asyncio.ensure_future(executor.run(part, "hang")) for _ in range(4)]
            await until(lambda: part.notes().count("hanging") == 4)
            results: list[Any] = await asyncio.gather(executor.run(part, "die"), return_exceptions=True)
            assert [type(result) for result in results] == [WorkerLostError]
            await until(lambda: sum(call.done() for call in waiting) > 0)
            lost = [call for call in waiting if call.done()]
            assert {type(call.exception()) for call in lost} == {WorkerLostError}
            assert len({id(call.exception()) for call in lost}) == len(lost) < 4
            answers = await asyncio.gather(*(executor.run(part, "give_back", number) for number in range(20)))
            assert [answer.value for answer in answers] == [*range(20)]
            for call in waiting:
                call.cancel()
            await asyncio.wait(waiting)

    @pytest.mark.asyncio
    async def test_secrets_of_a_part_are_seen_nowhere_and_warnings_arrive(
        self, open_executor: OpenExecutor, part: RehearsalPart, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not self.own_process:
            return
        monkeypatch.setenv("SOME_API_KEY", part.secret)
        async with closing(open_executor(1)) as executor:
            process = await executor.run(part, "process")
            assert process.value["environment"]
            for shown in (*process.value.values(), process.worker, repr(executor), repr(process), repr(part)):
                assert part.secret not in shown
            for number in (1, 1, 2):
                await executor.run(part, "complain", f"careful {number}")
            told = (await executor.run(part, "give_back", 1)).warnings
            assert told == ()
            assert (await executor.run(part, "complain", "careful 3")).warnings == ("rehearsal: careful 3",)
