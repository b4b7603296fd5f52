import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextvars import ContextVar
from itertools import count
from typing import Any

import anyio
import pytest

from asyncrun import registry
from asyncrun.aio.jobs import run_jobs
from asyncrun.callbacks.debug import LlamaDebugHandler
from asyncrun.callbacks.manager import CallbackManager
from asyncrun.callbacks.schema import CBEventType, EventPayload
from asyncrun.ports import NullProgress
from asyncrun.records import Counts

VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="outside")


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def at_once(number: int) -> int:
    return number


async def fail(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


class Gauge:
    """Jobs that say how many of them run, and can be held."""

    def __init__(self) -> None:
        self.running = 0
        self.peak = 0
        self.ended = 0
        self.cleaned = 0
        self.release = asyncio.Event()

    async def job(self) -> int:
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            await self.release.wait()
            self.ended += 1
            return self.ended
        finally:
            self.running -= 1
            await asyncio.sleep(0)
            self.cleaned += 1

    def jobs(self, number: int) -> list[Awaitable[int]]:
        return [self.job() for _ in range(number)]


async def turns(number: int = 30) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def other_tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]


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
async def test_any_iterable_of_jobs_is_taken() -> None:
    async def asynchronous() -> AsyncIterator[Awaitable[int]]:
        for number in range(5):
            await asyncio.sleep(0)
            yield double(number)

    expected = [0, 2, 4, 6, 8]
    assert await run_jobs(tuple(double(number) for number in range(5))) == expected
    assert await run_jobs(double(number) for number in range(5)) == expected
    assert await run_jobs(map(double, range(5))) == expected
    assert await run_jobs(asynchronous()) == expected


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
async def test_jobs_are_made_only_as_slots_free_up() -> None:
    gauge = Gauge()
    made = 0

    def jobs() -> Iterator[Awaitable[int]]:
        nonlocal made
        for _ in range(10):
            made += 1
            yield gauge.job()

    calling = asyncio.create_task(run_jobs(jobs(), workers=3))
    await turns()
    assert made == 3
    gauge.release.set()
    await calling
    assert made == 10


@pytest.mark.asyncio
async def test_an_asynchronous_iterable_is_read_only_as_slots_free_up() -> None:
    gauge = Gauge()
    made = 0

    async def jobs() -> AsyncIterator[Awaitable[int]]:
        nonlocal made
        for _ in range(10):
            made += 1
            yield gauge.job()

    calling = asyncio.create_task(run_jobs(jobs(), workers=3))
    await turns()
    assert (made, gauge.running) == (3, 3)
    gauge.release.set()
    assert len(await calling) == 10


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
async def test_an_iterable_that_holds_a_context_variable_finds_it_again() -> None:
    seen = []

    def jobs() -> Iterator[Awaitable[int]]:
        token = VARIABLE.set("iterable")
        for number in range(5):
            yield double(number)
            seen.append(VARIABLE.get())
        VARIABLE.reset(token)

    await run_jobs(jobs(), workers=2)
    assert seen == ["iterable"] * 5


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
async def test_the_traceback_of_an_error_leads_from_the_caller_into_the_job() -> None:
    with pytest.raises(LookupError) as caught:
        await run_jobs([fail(LookupError())])
    assert caught.traceback[-1].name == "fail"


@pytest.mark.asyncio
async def test_an_endless_generator_is_closed_by_the_first_error() -> None:
    closed = []

    def jobs() -> Iterator[Awaitable[Any]]:
        try:
            yield double(1)
            yield fail(LookupError())
            for number in count():
                yield double(number)
        finally:
            closed.append(True)

    with pytest.raises(LookupError):
        await run_jobs(jobs(), workers=2)
    assert closed == [True]


@pytest.mark.asyncio
@pytest.mark.parametrize("workers", [1, 3])
async def test_an_iterable_that_raises_midway_stops_everything_and_its_error_is_raised(workers: int) -> None:
    gauge = Gauge()
    error = OSError("unreadable")

    def jobs() -> Iterator[Awaitable[Any]]:
        yield double(1)
        yield gauge.job() if workers > 1 else double(2)
        raise error

    async def asynchronous() -> AsyncIterator[Awaitable[Any]]:
        for job in jobs():
            yield job

    with pytest.raises(OSError) as caught:
        await run_jobs(jobs(), workers=workers)
    assert caught.value is error
    with pytest.raises(OSError) as caught:
        await run_jobs(asynchronous(), workers=workers)
    assert caught.value is error
    assert gauge.running == 0
    assert not other_tasks()


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
async def test_what_is_no_job_is_a_type_error_that_names_it() -> None:
    for job in (7, "word", None, lambda: 7):
        jobs: list[Any] = [double(1), job, double(2)]
        with pytest.raises(TypeError, match=r"(int|str|NoneType)"):
            await run_jobs(jobs)
    gc.collect()


@pytest.mark.asyncio
async def test_what_cannot_be_iterated_over_is_a_type_error() -> None:
    for jobs in (7, double(1), None):
        with pytest.raises(TypeError, match="jobs must be an iterable"):
            await run_jobs(jobs)  # type: ignore[arg-type]
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
async def test_a_job_that_swallows_cancellation_is_awaited_to_its_end() -> None:
    ended = []

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await turns()
            ended.append(True)

    with pytest.raises(LookupError):
        await run_jobs([stubborn(), fail(LookupError())])
    assert ended == [True]


@pytest.mark.asyncio
async def test_errors_while_stopping_are_reported_and_the_first_stays_the_first(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks_in_cleanup() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("in cleanup")

    with caplog.at_level(logging.WARNING), pytest.raises(LookupError):
        await run_jobs([breaks_in_cleanup(), fail(LookupError())])
    assert "in cleanup" in caplog.text


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


class Unusual(BaseException):
    pass


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [Unusual(), SystemExit(3), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("waits", [True, False])
async def test_a_base_exception_of_a_job_stops_everything_and_is_raised_itself(error: BaseException, waits: bool) -> None:
    async def raises() -> None:
        raise error

    gauge = Gauge()
    with pytest.raises(type(error)) as caught:
        await run_jobs([gauge.job(), fail(error) if waits else raises(), *gauge.jobs(5)], workers=2)
    assert caught.value is error
    assert (gauge.running, gauge.ended) == (0, 0)
    assert not other_tasks()
    gc.collect()


@pytest.mark.asyncio
async def test_a_hundred_thousand_failing_jobs_end_with_the_first_error() -> None:
    error = LookupError()

    def jobs() -> Iterator[Awaitable[Any]]:
        for _ in range(100_000):
            yield fail(error)

    with pytest.raises(LookupError) as caught:
        await run_jobs(jobs(), workers=1_000)
    assert caught.value is error
    assert not other_tasks()


@pytest.mark.asyncio
async def test_run_jobs_can_be_nested() -> None:
    async def outer(number: int) -> list[int]:
        return await run_jobs([double(number), double(number + 1)], workers=1)

    assert await run_jobs([outer(0), outer(2)], workers=1) == [[0, 2], [4, 6]]


@pytest.mark.asyncio
async def test_jobs_that_never_wait_leave_turns_to_the_rest_of_the_loop() -> None:
    ticks = 0

    async def ticker() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(ticker())
    await run_jobs((at_once(number) for number in range(50_000)), workers=2)
    other.cancel()
    assert ticks > 3


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


class Tally(NullProgress):
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def task_started(self, task: str, total: int | None) -> None:
        self.calls.append(("started", task, total))

    def advance(self, task: str, counts: Counts) -> None:
        self.calls.append(counts.items)

    def close(self) -> None:
        self.calls.append("closed")


@pytest.mark.asyncio
async def test_progress_counts_the_jobs_and_is_told_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally()
    monkeypatch.setattr(registry, "load", lambda port, name: {("progress", "bar"): lambda: tally}[port, name])
    await run_jobs([at_once(number) for number in range(1_000)], show_progress=True, desc="Embedding")
    assert tally.calls[0] == ("started", "Embedding", 1_000)
    assert tally.calls[-1] == "closed"
    counted = [call for call in tally.calls if isinstance(call, int)]
    assert sum(counted) == 1_000
    assert len(counted) < 100


class Broken(Tally):
    def __init__(self, where: str) -> None:
        super().__init__()
        self._where = where
        setattr(self, where, self._break)

    def _break(self, *_: object) -> None:
        self.calls.append(self._where)
        raise OSError("no terminal")


@pytest.mark.asyncio
@pytest.mark.parametrize("where", ["open", "task_started", "advance", "task_finished", "close"])
async def test_a_progress_that_raises_is_switched_off_and_reported_once(
    where: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def load(port: str, name: str) -> Any:
        if where == "open":
            raise ImportError(name)
        return lambda: Broken(where)

    monkeypatch.setattr(registry, "load", load)
    with caplog.at_level(logging.WARNING):
        assert await run_jobs([double(number) for number in range(5)], show_progress=True) == [0, 2, 4, 6, 8]
        error = LookupError()
        with pytest.raises(LookupError) as caught:
            await run_jobs([double(1), fail(error)], workers=1, show_progress=True)
        assert caught.value is error
    assert [record.message[:24] for record in caplog.records] == ["progress is switched off"] * 2


@pytest.mark.asyncio
async def test_each_job_is_an_event_under_the_one_that_encloses_the_call() -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    manager = CallbackManager([debug])

    async def job(number: int) -> int:
        with manager.event(CBEventType.EMBEDDING, payload={"number": number}):
            return await double(number)

    with manager.as_trace("run"), manager.event(CBEventType.QUERY) as query:
        assert await run_jobs([job(1), job(2), lambda: job(3)], workers=2) == [2, 4, 6]
    pairs = debug.get_event_pairs(CBEventType.ASYNC_JOB)
    assert sorted(start.payload["index"] for start, _ in pairs if start.payload) == [0, 1, 2]
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
