import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable
from functools import partial

import pytest
from blockbuster import blockbuster_ctx

from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.pool import outcomes
from asyncrun.callbacks.base import CallbackManager
from asyncrun.callbacks.llama_debug import LlamaDebugHandler
from asyncrun.callbacks.schema import CBEventType, EventPayload

from .conftest import Gauge, double, fail, other_tasks, turns


@pytest.mark.asyncio
@pytest.mark.parametrize("workers", [1, 2, 3, 100])
async def test_results_come_in_the_order_of_the_input(workers: int) -> None:
    async def slower_first(number: int) -> int:
        await turns(10 - number)
        return number

    assert await run_jobs([slower_first(number) for number in range(10)], workers=workers) == list(range(10))


@pytest.mark.asyncio
async def test_no_jobs_give_no_results() -> None:
    assert await run_jobs([]) == []
    assert await run_jobs(iter(())) == []


@pytest.mark.asyncio
async def test_the_defaults_are_those_of_llama_index() -> None:
    gauge = Gauge()
    calling = asyncio.create_task(run_jobs(gauge.jobs(9)))
    await turns()
    assert gauge.running == 4
    gauge.release.set()
    assert len(await calling) == 9
    assert gauge.peak == 4


@pytest.mark.asyncio
@pytest.mark.parametrize("workers", [0, -1])
async def test_too_few_workers_are_a_value_error_and_no_coroutine_is_left_open(workers: int) -> None:
    with pytest.raises(ValueError, match="workers must be 1 or more"):
        await run_jobs([double(1)], workers=workers)
    gc.collect()


@pytest.mark.asyncio
async def test_workers_that_are_no_number_leave_no_coroutine_open() -> None:
    with pytest.raises(TypeError):
        await run_jobs([double(1)], workers=None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        outcomes([double(1)], workers=None)  # type: ignore[arg-type]
    gc.collect()


@pytest.mark.asyncio
async def test_the_first_error_is_raised_itself_and_the_rest_is_cancelled_cleaned_up_and_closed() -> None:
    gauge = Gauge()
    error = LookupError("mine")

    async def fail_later() -> None:
        await turns()
        raise error

    with pytest.raises(LookupError) as caught:
        await run_jobs([gauge.job(), gauge.job(), fail_later(), *gauge.jobs(50)], workers=4)
    assert caught.value is error
    assert caught.value.__context__ is None
    assert (gauge.running, gauge.ended, gauge.cleaned) == (0, 0, 3)
    assert not other_tasks()
    gc.collect()


@pytest.mark.asyncio
async def test_cancelling_the_caller_leaves_nothing_running() -> None:
    gauge = Gauge()
    calling = asyncio.create_task(run_jobs(gauge.jobs(10), workers=3))
    await turns()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert (gauge.running, gauge.cleaned) == (0, 3)
    assert not other_tasks()
    gc.collect()


@pytest.mark.asyncio
async def test_cancelling_the_caller_at_once_leaves_nothing_running() -> None:
    gauge = Gauge()
    calling = asyncio.create_task(run_jobs(gauge.jobs(10), workers=3))
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert gauge.running == gauge.ended == 0
    assert not other_tasks()
    gc.collect()


@pytest.mark.asyncio
async def test_run_jobs_can_be_nested() -> None:
    async def outer(number: int) -> list[int]:
        return await run_jobs([double(number), double(number + 1)], workers=1)

    assert await run_jobs([outer(0), outer(2)], workers=1) == [[0, 2], [4, 6]]


@pytest.mark.asyncio
async def test_no_call_blocks_the_loop() -> None:
    async def asynchronous() -> AsyncIterator[Awaitable[int]]:
        for number in range(5):
            yield double(number)

    with blockbuster_ctx():
        assert await run_jobs([double(number) for number in range(5)], show_progress=True) == [0, 2, 4, 6, 8]
        assert [outcome.value async for outcome in outcomes(asynchronous(), timeout=60)] == [0, 2, 4, 6, 8]


@pytest.mark.asyncio
async def test_each_job_is_an_event_under_the_one_that_encloses_the_call() -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    manager = CallbackManager([debug])

    async def job(number: int) -> int:
        with manager.event(CBEventType.EMBEDDING, payload={"number": number}):
            return await double(number)

    with manager.as_trace("run"), manager.event(CBEventType.QUERY) as query:
        assert await run_jobs([job(1), partial(job, 2), lambda: job(3)], workers=2) == [2, 4, 6]
    pairs = debug.get_event_pairs(CBEventType.ASYNC_JOB)
    told = sorted((start.payload["index"], start.payload["job"].rpartition(".")[2]) for start, _ in pairs if start.payload)
    assert told == [(0, "job"), (1, "job"), (2, "<lambda>")]
    jobs = [start.id_ for start, _ in pairs]
    assert sorted(manager.trace_map[query.event_id]) == sorted(jobs)
    assert all(len(manager.trace_map[job_id]) == 1 for job_id in jobs)


@pytest.mark.asyncio
async def test_the_event_of_a_job_that_fails_carries_its_error() -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    error = LookupError()
    with pytest.raises(LookupError):
        await run_jobs([fail(error)], callback_manager=CallbackManager([debug]))
    ((_, end),) = debug.get_event_pairs(CBEventType.ASYNC_JOB)
    assert end.payload == {EventPayload.EXCEPTION: error}


@pytest.mark.asyncio
async def test_a_manager_without_handlers_is_as_good_as_none() -> None:
    assert await run_jobs([double(1)], callback_manager=CallbackManager([])) == [2]
