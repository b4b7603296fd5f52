"""Worker processes that end, hang, do not start or are asked for what they cannot do: always a sentence, never a hang."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from asyncrun.errors import JobFailedError, NestedLoopError, TryLaterError, UsageError, WorkerLostError
from asyncrun.executors import frames
from asyncrun.executors.processes import ProcessExecutor
from asyncrun.testing.executors import closing, until
from asyncrun.testing.worker_parts import RehearsalPart


@pytest.fixture
def part(tmp_path: Path) -> RehearsalPart:
    return RehearsalPart(str(tmp_path))


def is_gone(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.asyncio
async def test_how_a_worker_was_lost_is_told(part: RehearsalPart) -> None:
    ends = {
        ("die", signal.SIGKILL): "killed by SIGKILL, which the system does when memory runs out",
        ("die", signal.SIGSEGV): r"segmentation fault \(SIGSEGV\)",
        ("end", 3): "it ended with exit code 3",
    }
    async with closing(ProcessExecutor(1)) as executor:
        for (method, argument), how in ends.items():
            with pytest.raises(WorkerLostError, match=rf"^worker pid \d+ was lost: {how}$"):
                await executor.run(part, method, argument)


@pytest.mark.asyncio
async def test_a_worker_is_lost_though_a_process_that_it_has_forked_lives_on(part: RehearsalPart) -> None:
    async with closing(ProcessExecutor(1)) as executor:
        forked = (await executor.run(part, "leave_a_child")).value
        try:
            with pytest.raises(WorkerLostError):
                await executor.run(part, "die")
            assert not is_gone(forked)
        finally:
            os.kill(forked, signal.SIGKILL)


@pytest.mark.asyncio
async def test_processes_start_as_they_are_needed_and_no_more_calls_run_than_there_are_slots(part: RehearsalPart) -> None:
    async with closing(ProcessExecutor(2, slots_per_worker=2)) as executor:
        assert executor.slots == 4
        one_by_one = {(await executor.run(part, "give_back", number)).worker for number in range(5)}
        assert len(one_by_one) == 1
        hanging = [asyncio.ensure_future(executor.run(part, "hang")) for _ in range(6)]
        await until(lambda: part.notes().count("hanging") == 4)
        waiting = asyncio.ensure_future(executor.run(part, "give_back", 1))
        await asyncio.sleep(0)
        assert (part.notes().count("opened"), part.notes().count("hanging"), waiting.done()) == (2, 4, False)
        for call in hanging:
            call.cancel()
        answer = await waiting
        assert (answer.value, answer.queue > 0) == (1, True)


@pytest.mark.asyncio
async def test_an_interrupt_of_a_worker_is_no_business_of_its_calls(part: RehearsalPart) -> None:
    async with closing(ProcessExecutor(1)) as executor:
        meeting = asyncio.ensure_future(executor.run(part, "meet", 2))
        await until(lambda: part.notes() == ["opened"])
        number = int(Path(part.folder, "notes").read_text().split()[1])
        os.kill(number, signal.SIGINT)
        assert (await executor.run(part, "meet", 2)).worker == (await meeting).worker == f"pid {number}"


@pytest.mark.asyncio
async def test_a_worker_starts_whatever_is_on_the_search_path(part: RehearsalPart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, Path("/nowhere")])  # as people write it, and Python passes over it
    async with closing(ProcessExecutor(1)) as executor:
        assert (await executor.run(part, "give_back", 1)).value == 1


@pytest.mark.asyncio
async def test_a_process_that_cannot_be_started_is_told_to_all_who_wait(part: RehearsalPart, monkeypatch: pytest.MonkeyPatch) -> None:
    async with closing(ProcessExecutor(2)) as executor:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "path", [entry for entry in sys.path if not (Path(entry) / "numpy").exists()])
            calls = await asyncio.gather(*(executor.run(part, "give_back", 1) for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in calls] == [TryLaterError] * 3
        assert str(calls[0]).startswith(
            "no worker process can be started: it ended with exit code 1: ModuleNotFoundError: No module named '"
        )
        with monkeypatch.context() as patched:
            patched.setattr(sys, "executable", "/nowhere/python")
            with pytest.raises(TryLaterError, match="no worker process can be started: /nowhere/python: No such file or directory"):
                await executor.run(part, "give_back", 1)
            patched.setattr(sys, "executable", None)
            with pytest.raises(TryLaterError, match="no worker process can be started: TypeError"):
                await executor.run(part, "give_back", 1)
        assert (await executor.run(part, "give_back", 1)).value == 1


@pytest.mark.asyncio
async def test_what_cannot_be_sent_or_read_is_told_and_the_worker_works_on(part: RehearsalPart, monkeypatch: pytest.MonkeyPatch) -> None:
    async with closing(ProcessExecutor(1)) as executor:
        worker = (await executor.run(part, "give_back", 1)).worker
        with pytest.raises(JobFailedError, match=r"what a worker has returned cannot be sent: .*coroutine"):
            await executor.run(part, "return_a_coroutine")
        monkeypatch.setattr(frames, "LARGEST", 1 << 20)
        with pytest.raises(UsageError, match="what give_back is called with cannot be sent to a worker: it takes 2 MB"):
            await executor.run(part, "give_back", b"\0" * (2 << 20))
        monkeypatch.undo()
        monkeypatch.setattr(RehearsalPart, "__module__", "nowhere")
        monkeypatch.setitem(sys.modules, "nowhere", sys.modules["asyncrun.testing.worker_parts"])
        with pytest.raises(UsageError, match="a worker cannot read what it was sent: ModuleNotFoundError: No module named 'nowhere'"):
            await executor.run(RehearsalPart(part.folder, "another"), "give_back", 1)
        monkeypatch.undo()
        assert (await executor.run(part, "give_back", 1)).worker == worker


@pytest.mark.asyncio
async def test_a_worker_that_is_stopped_or_never_ends_is_ended_with_the_executor(part: RehearsalPart) -> None:
    executor = ProcessExecutor(2, slots_per_worker=1, grace=0.2)
    async with closing(executor):
        calls = [asyncio.ensure_future(executor.run(part, method)) for method in ("hang", "hold")]
        await until(lambda: {"hanging", "holding"} <= set(part.notes()))
        numbers = {int(line.split()[1]) for line in Path(part.folder, "notes").read_text().splitlines()}
        assert len(numbers) == 2
        os.kill(min(numbers), signal.SIGSTOP)
    for call in calls:
        with pytest.raises(TryLaterError, match="closed"):
            await call
    assert all(map(is_gone, numbers))


@pytest.mark.asyncio
async def test_nothing_is_left_of_an_executor_that_is_closed_in_haste(part: RehearsalPart) -> None:
    executor = ProcessExecutor(3)
    starting = [asyncio.ensure_future(executor.run(part, "give_back", 1)) for _ in range(3)]
    await asyncio.sleep(0.01)
    await executor.aclose()
    assert {type(each) for each in await asyncio.gather(*starting, return_exceptions=True)} == {TryLaterError}

    executor = ProcessExecutor(1, grace=60)
    number = int((await executor.run(part, "process")).value["pid"])
    os.kill(number, signal.SIGSTOP)
    closing_it = asyncio.ensure_future(executor.aclose())
    await asyncio.sleep(0.01)
    closing_it.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing_it
    assert is_gone(number)


def test_an_executor_works_in_one_event_loop(part: RehearsalPart) -> None:
    executor = ProcessExecutor(1)

    async def use() -> None:
        async with closing(executor):
            await executor.run(part, "give_back", 1)

    async def use_again() -> None:
        await ProcessExecutor.run(executor, part, "give_back", 1)

    asyncio.run(use())
    with pytest.raises((NestedLoopError, TryLaterError)):
        asyncio.run(use_again())
