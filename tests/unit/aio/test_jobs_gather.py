import asyncio
import gc
from collections.abc import Awaitable, Iterator
from itertools import count, islice
from typing import Any

import pytest

from asyncrun import registry
from asyncrun.aio.jobs import batch_gather, chunks, run_async_tasks
from asyncrun.errors import NestedLoopError
from asyncrun.ports import Progress

from .conftest import double, fail


def unreadable(error: Exception) -> Iterator[Awaitable[int]]:
    yield double(1)
    raise error


@pytest.fixture(params=[False, True], ids=["silent", "progress"])
def show_progress(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(registry, "load", lambda port, name: Progress)
    return bool(request.param)


def test_tasks_run_from_synchronous_code(show_progress: bool) -> None:
    assert run_async_tasks([double(number) for number in range(20)], show_progress, "Doubling") == [2 * n for n in range(20)]
    assert run_async_tasks([], show_progress) == []
    assert run_async_tasks((double(number) for number in range(3)), show_progress) == [0, 2, 4]


@pytest.mark.asyncio
async def test_tasks_run_inside_of_a_running_loop(show_progress: bool) -> None:
    assert run_async_tasks([double(1), double(2)], show_progress) == [2, 4]


@pytest.mark.asyncio
async def test_tasks_of_the_running_loop_are_an_error_that_says_so_and_are_left_alone() -> None:
    tasks = [asyncio.create_task(double(number)) for number in range(5)]
    with pytest.raises(NestedLoopError, match="another event loop"):
        run_async_tasks(tasks)
    assert await asyncio.gather(*tasks[1:]) == [2, 4, 6, 8]


def test_all_tasks_run_at_once() -> None:
    arrived = 0

    async def all_there(gate: asyncio.Event) -> int:
        nonlocal arrived
        arrived += 1
        if arrived == 100:
            gate.set()
        await gate.wait()
        return arrived

    gate = asyncio.Event()
    assert run_async_tasks([all_there(gate) for _ in range(100)]) == [100] * 100


def test_the_error_is_the_same_with_and_without_progress(show_progress: bool) -> None:
    for error in (LookupError("mine"), RuntimeError("mine"), SystemExit(3)):
        with pytest.raises(type(error)) as caught:
            run_async_tasks([double(1), fail(error), *(double(number) for number in range(5))], show_progress)
        assert caught.value is error
    gc.collect()


def test_an_iterable_that_raises_midway_raises_its_error(show_progress: bool) -> None:
    error = OSError()
    with pytest.raises(OSError) as caught:
        run_async_tasks(unreadable(error), show_progress)
    assert caught.value is error


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_batches_give_all_results_in_order(size: int) -> None:
    assert await batch_gather([double(number) for number in range(7)], size) == [2 * number for number in range(7)]
    assert await batch_gather([], size) == []


@pytest.mark.asyncio
async def test_a_batch_begins_when_the_one_before_it_has_ended() -> None:
    running: set[int] = set()
    seen: list[set[int]] = []

    async def job(number: int) -> None:
        running.add(number)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        seen.append(set(running))
        running.discard(number)

    made = 0

    def jobs() -> Iterator[Awaitable[None]]:
        nonlocal made
        for number in range(5):
            assert made - len(seen) < 2
            made += 1
            yield job(number)

    await batch_gather(jobs(), batch_size=2)
    assert seen[0] == {0, 1}
    assert seen[2] == {2, 3}
    assert seen[4] == {4}


@pytest.mark.asyncio
async def test_none_is_passed_over() -> None:
    assert await batch_gather([double(1), None, None, None, double(2)], batch_size=2) == [2, 4]


@pytest.mark.asyncio
async def test_verbose_says_how_many_are_done(capsys: pytest.CaptureFixture[str]) -> None:
    await batch_gather([double(number) for number in range(5)], batch_size=2, verbose=True)
    await batch_gather((double(number) for number in range(2)), batch_size=2, verbose=True)
    assert capsys.readouterr().out.splitlines() == [
        "Completed 2 out of 5 tasks",
        "Completed 4 out of 5 tasks",
        "Completed 5 out of 5 tasks",
        "Completed 2 tasks",
    ]


@pytest.mark.asyncio
async def test_the_first_error_of_a_batch_leaves_nothing_open() -> None:
    error = LookupError()
    with pytest.raises(LookupError) as caught:
        await batch_gather([double(1), fail(error), *(double(number) for number in range(50))], batch_size=3)
    assert caught.value is error
    with pytest.raises(OSError, match="midway"):
        await batch_gather(unreadable(OSError("midway")), batch_size=3)
    gc.collect()


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [0, -1])
async def test_too_small_a_batch_is_a_value_error_and_no_coroutine_is_left_open(size: int) -> None:
    with pytest.raises(ValueError, match="batch_size must be 1 or more"):
        await batch_gather([double(1)], size)
    gc.collect()


def test_chunks_are_filled_up_with_none() -> None:
    assert list(chunks(range(7), 3)) == [(0, 1, 2), (3, 4, 5), (6, None, None)]
    assert list(chunks([1, 2], 2)) == [(1, 2)]
    assert list(chunks([], 2)) == []


def test_chunks_are_lazy() -> None:
    assert list(islice(chunks(count(), 2), 2)) == [(0, 1), (2, 3)]


def test_too_small_a_chunk_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="size must be 1 or more"):
        chunks([1], 0)


def test_what_is_no_job_is_a_type_error(show_progress: bool) -> None:
    jobs: list[Any] = [double(1), 7]
    with pytest.raises(TypeError, match="int"):
        run_async_tasks(jobs, show_progress)
    gc.collect()
