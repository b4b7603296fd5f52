import asyncio
import gc
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from asyncrun.aio.jobs import run_jobs

from .conftest import Gauge, at_once, double, fail, other_tasks, turns

VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="outside")


@pytest.mark.asyncio
async def test_any_awaitable_is_a_job_and_so_is_a_callable_that_makes_one() -> None:
    class Answer:
        def __await__(self) -> Iterator[Any]:
            yield from asyncio.sleep(0).__await__()
            return 4

    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    future.set_result(3)
    jobs: list[Any] = [double(1), asyncio.create_task(double(2)), future, Answer(), lambda: double(5), lambda: future]
    assert await run_jobs(jobs) == [2, 4, 3, 4, 10, 3]


@pytest.mark.asyncio
async def test_a_variable_set_in_one_job_is_not_seen_in_another() -> None:
    async def job(name: str) -> tuple[str, str]:
        before = VARIABLE.get()
        VARIABLE.set(name)
        await asyncio.sleep(0)
        return before, VARIABLE.get()

    async def job_that_never_waits(name: str) -> tuple[str, str]:
        before = VARIABLE.get()
        VARIABLE.set(name)
        return before, VARIABLE.get()

    VARIABLE.set("caller")
    names = [str(number) for number in range(20)]
    expected = [("caller", name) for name in names]
    assert await run_jobs([job(name) for name in names], workers=2) == expected
    assert await run_jobs([job_that_never_waits(name) for name in names], workers=2) == expected
    assert await run_jobs([lambda name=name: job(name) for name in names], workers=2) == expected
    assert VARIABLE.get() == "caller"


@pytest.mark.asyncio
async def test_a_variable_set_by_a_job_is_seen_in_the_tasks_and_callbacks_that_it_begins() -> None:
    async def child() -> str:
        return VARIABLE.get()

    async def job(name: str) -> list[str]:
        VARIABLE.set(name)
        await asyncio.sleep(0)
        called: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: called.set_result(VARIABLE.get()))
        return [await asyncio.create_task(child()), await called, await asyncio.to_thread(VARIABLE.get)]

    assert await run_jobs([job("a"), job("b")], workers=1) == [["a"] * 3, ["b"] * 3]


@pytest.mark.asyncio
async def test_the_traceback_of_an_error_leads_from_the_caller_into_the_job() -> None:
    with pytest.raises(LookupError) as caught:
        await run_jobs([fail(LookupError())])
    assert caught.traceback[-1].name == "fail"


@pytest.mark.asyncio
async def test_what_is_no_job_is_a_type_error_that_names_it() -> None:
    for job in (7, "word", None, lambda: 7):
        jobs: list[Any] = [double(1), job, double(2)]
        with pytest.raises(TypeError, match=r"(int|str|NoneType)"):
            await run_jobs(jobs)
    gc.collect()


@pytest.mark.asyncio
async def test_a_coroutine_that_was_awaited_or_is_being_awaited_is_an_error_of_its_job() -> None:
    used = double(1)
    await used
    with pytest.raises(RuntimeError, match="already awaited"):
        await run_jobs([used])

    gauge = Gauge()
    shared = gauge.job()
    elsewhere = asyncio.create_task(shared)
    await turns()
    with pytest.raises(RuntimeError, match="being awaited already"):
        await run_jobs([shared])
    with pytest.raises(LookupError):
        await run_jobs([fail(LookupError()), shared], workers=1)
    gauge.release.set()
    assert await elsewhere == 1


@pytest.mark.asyncio
async def test_a_job_that_is_cancelled_from_inside_cancels_the_call() -> None:
    async def cancels_itself() -> None:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        await asyncio.sleep(0)

    gauge = Gauge()
    with pytest.raises(asyncio.CancelledError):
        await run_jobs([gauge.job(), cancels_itself()])
    assert (gauge.running, gauge.cleaned) == (0, 1)
    assert not other_tasks()


@pytest.mark.asyncio
async def test_a_cancellation_that_a_job_leaves_behind_does_not_reach_the_next() -> None:
    async def cancels_itself_and_goes() -> str:
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        return "gone"

    assert await run_jobs([cancels_itself_and_goes(), double(1), at_once(2)], workers=1) == ["gone", 2, 2]  # type: ignore[list-item]


@pytest.mark.asyncio
async def test_whoever_cancels_the_task_of_a_job_that_has_ended_reaches_no_other_job() -> None:
    tasks = []

    async def leaves_its_task() -> None:
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0)

    async def cancels_them() -> str:
        for task in tasks:
            task.cancel()
        await turns()
        return "untouched"

    assert (await run_jobs([leaves_its_task(), leaves_its_task(), cancels_them()], workers=1))[2] == "untouched"


@pytest.mark.asyncio
async def test_a_job_can_use_timeouts_task_groups_and_scopes() -> None:
    forever = asyncio.Event()

    async def timeout() -> str:
        try:
            async with asyncio.timeout(0):
                await forever.wait()
        except TimeoutError:
            await asyncio.sleep(0)
            return "timeout"
        return "no"

    async def wait_for() -> str:
        try:
            await asyncio.wait_for(forever.wait(), 0.001)
        except TimeoutError:
            return "wait_for"
        return "no"

    async def group() -> str:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(forever.wait())
                tasks.create_task(fail(LookupError()))
                await forever.wait()
        except* LookupError:
            pass
        await asyncio.sleep(0)
        return "group"

    async def scope() -> str:
        with anyio.move_on_after(0) as moved:
            await anyio.sleep_forever()
        await anyio.lowlevel.checkpoint()
        return "scope" if moved.cancelled_caught else "no"

    async def any_group() -> str:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        await anyio.lowlevel.checkpoint()
        return "any_group"

    made = [timeout, wait_for, group, scope, any_group]
    for workers in (1, 2, 20):
        results = await run_jobs([job() for job in made * 4], workers=workers)
        assert results == [job.__name__ for job in made] * 4


@pytest.mark.asyncio
async def test_jobs_inside_of_groups_scopes_and_timeouts_are_cancelled_with_the_call() -> None:
    cleaned = []

    async def child(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            if name != "anyio":  # its cancellations come again at every wait
                await asyncio.sleep(0)
            cleaned.append(name)

    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(child("TaskGroup"))

    async def any_group() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(child, "anyio")

    async def timeout() -> None:
        async with asyncio.timeout(60):
            await child("timeout")

    async def wait_for() -> None:
        await asyncio.wait_for(child("wait_for"), 60)

    async def nested() -> None:
        await run_jobs([child("nested")])

    async def shielded() -> None:
        inner = asyncio.create_task(child("shield"))
        try:
            await asyncio.shield(inner)
        finally:
            inner.cancel()
            await asyncio.wait([inner])

    calling = asyncio.create_task(run_jobs([group(), any_group(), timeout(), wait_for(), nested(), shielded()], workers=6))
    await turns()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert sorted(cleaned) == ["TaskGroup", "anyio", "nested", "shield", "timeout", "wait_for"]
    assert not other_tasks()
