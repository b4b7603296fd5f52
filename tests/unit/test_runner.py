"""A run carries out its graph: order, failures, stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.stop import MAX_RUNTIME, StopRequest
from asyncrun.aio.worker_state import waiting
from asyncrun.callbacks.base import CallbackManager
from asyncrun.callbacks.llama_debug import LlamaDebugHandler
from asyncrun.callbacks.schema import CBEventType
from asyncrun.errors import OutageError, StopRunError
from asyncrun.ports import JobRun, Progress
from asyncrun.results import Counts, JobPlan, JobResult, Status
from asyncrun.runner import PlannedJob, Runner
from asyncrun.testing.clock import FakeClock
from asyncrun.usage import Usage

Run = Callable[[], Awaitable[JobResult]]


@dataclass
class Scripted:
    """A kind that does what a test says."""

    script: Run

    async def plan(self) -> JobPlan:
        raise AssertionError("nothing is planned here")

    async def run(self, progress: Progress) -> JobResult:
        return await self.script()


@dataclass
class Stage:
    """Jobs that note when they begin."""

    stop: StopRequest = field(default_factory=StopRequest)
    debug: LlamaDebugHandler = field(default_factory=lambda: LlamaDebugHandler(print_trace_on_end=False))
    begun: list[str] = field(default_factory=list)
    jobs: list[PlannedJob] = field(default_factory=list)
    manager: CallbackManager = field(default_factory=CallbackManager)

    def __post_init__(self) -> None:
        self.manager.add_handler(self.debug)

    def add(self, name: str, *needs: str, status: Status = Status.SUCCEEDED, then: Run | None = None, reason: str | None = None) -> None:
        async def script() -> JobResult:
            self.begun.append(name)
            if then is not None:
                await then()
            return JobResult(name, "embed", status, 0 if status is Status.SUCCEEDED else 1, reason)

        def open_job() -> JobRun:
            return Scripted(script)

        self.jobs.append(PlannedJob(name, "embed", needs, open_job))

    async def run(self) -> dict[str, JobResult]:
        runner = Runner(self.jobs, progress=Progress(), manager=self.manager, stop=self.stop)
        await runner.run()
        return {result.name: result for result in runner.results()}


@pytest.mark.asyncio
async def test_jobs_begin_after_what_they_need() -> None:
    stage = Stage()
    stage.add("c", "b")
    stage.add("b", "a")
    stage.add("a")
    results = await stage.run()
    assert stage.begun == ["a", "b", "c"]
    assert [result.status for result in results.values()] == [Status.SUCCEEDED] * 3


@pytest.mark.asyncio
async def test_what_needs_a_failed_job_is_cancelled_with_the_reason_and_others_go_on() -> None:
    stage = Stage()
    stage.add("bad", status=Status.FAILED)
    stage.add("after", "bad")
    stage.add("later", "after")
    stage.add("other")
    results = await stage.run()
    assert results["after"].status is Status.CANCELLED
    assert results["after"].reason == "bad failed"
    assert results["later"].reason == "after cancelled"
    assert results["other"].status is Status.SUCCEEDED
    assert "after" not in stage.begun


@pytest.mark.asyncio
async def test_what_needs_a_job_that_has_ended_as_planned_ends_as_planned_too() -> None:
    stage = Stage()

    stage.add("waits", status=Status.STOPPED, reason=f"a batch is at the provider: {MAX_RUNTIME}")
    stage.add("after", "waits")
    stage.add("later", "after")
    results = await stage.run()
    assert results["after"].reason == f"waits stopped: {MAX_RUNTIME}"
    assert results["later"].reason == f"after cancelled: {MAX_RUNTIME}"


@pytest.mark.asyncio
async def test_independent_jobs_run_at_the_same_time() -> None:
    stage = Stage()
    meeting = asyncio.Barrier(2)

    async def meet() -> JobResult:
        async with asyncio.timeout(5):
            await meeting.wait()
        return JobResult("", "", Status.SUCCEEDED, 0)

    stage.add("one", then=meet)
    stage.add("two", then=meet)
    results = await stage.run()
    assert [result.status for result in results.values()] == [Status.SUCCEEDED] * 2


@pytest.mark.asyncio
async def test_after_a_stop_no_job_begins() -> None:
    stage = Stage()

    async def stop() -> JobResult:
        stage.stop.request("SIGTERM", 15)
        return JobResult("", "", Status.SUCCEEDED, 0)

    stage.add("one", then=stop)
    stage.add("two", "one")
    results = await stage.run()
    assert stage.begun == ["one"]
    assert results["two"].status is Status.CANCELLED
    assert results["two"].reason == "not begun: SIGTERM"


@pytest.mark.asyncio
async def test_a_job_that_cannot_be_wired_fails_alone() -> None:
    stage = Stage()

    def broken() -> JobRun:
        raise OutageError("no such host")

    stage.jobs.append(PlannedJob("broken", "embed", (), broken))
    stage.add("fine")
    results = await stage.run()
    assert (results["broken"].status, results["broken"].exit_code, results["broken"].reason) == (Status.FAILED, 75, "no such host")
    assert results["fine"].status is Status.SUCCEEDED


@pytest.mark.asyncio
async def test_each_job_is_one_event_with_its_name() -> None:
    stage = Stage()
    stage.add("one")
    stage.add("two", "one")
    await stage.run()
    pairs = stage.debug.get_event_pairs(CBEventType.ASYNC_JOB)
    assert [pair[0].payload["name"] for pair in pairs if pair[0].payload] == ["one", "two"]
    assert all(len(pair) == 2 for pair in pairs)


@pytest.mark.asyncio
async def test_the_progress_is_told_what_each_job_waits_for() -> None:
    told: list[tuple[str, str | None]] = []
    clock = FakeClock()

    class Observer(Progress):
        def waiting(self, task: str, reason: str | None) -> None:
            told.append((task, reason))

    async def request() -> None:
        with waiting("limiter", words=lambda: "rate limit 3 s"):
            await clock.sleep(1.5)

    async def script() -> JobResult:
        await run_jobs([request()], workers=1)
        await clock.sleep(1.0)
        with waiting("batches", words=lambda: "a provider: 0 of 9"):
            await clock.sleep(1.0)
        return JobResult("a", "embed", Status.SUCCEEDED, 0)

    jobs = [PlannedJob("a", "embed", (), lambda: Scripted(script))]
    await Runner(jobs, progress=Observer(), manager=CallbackManager(), stop=StopRequest(), clock=clock).run()
    assert told == [("a", "rate limit 3 s"), ("a", None), ("a", "a provider: 0 of 9")]


@pytest.mark.asyncio
async def test_a_job_that_is_cut_short_has_done_what_it_has_told() -> None:
    told = asyncio.Event()

    @dataclass
    class Endless(Scripted):
        async def run(self, progress: Progress) -> JobResult:
            progress.task_started("long", 10)
            progress.advance("long", Counts(items=3, ok=2, failed=1))
            progress.use("long", Usage(requests=2, tokens=70))
            told.set()
            return await self.script()

    async def for_ever() -> JobResult:
        await asyncio.Event().wait()
        raise AssertionError

    clock, stop = FakeClock(), StopRequest()
    jobs = [PlannedJob("long", "embed", (), lambda: Endless(for_ever)), PlannedJob("next", "embed", ("long",), lambda: Endless(for_ever))]
    runner = Runner(jobs, progress=Progress(), manager=CallbackManager(), stop=stop, clock=clock)
    task = asyncio.create_task(runner.run())
    await told.wait()
    stop.request("SIGINT")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    first, second = runner.results()
    assert (first.status, first.counts.ok, first.counts.failed, first.usage.tokens) == (Status.STOPPED, 2, 1, 70)
    assert (second.status, second.counts.items) == (Status.CANCELLED, 0)


@pytest.mark.asyncio
async def test_a_job_that_a_handler_stops_has_done_what_it_has_told() -> None:
    @dataclass
    class Stopped(Scripted):
        async def run(self, progress: Progress) -> JobResult:
            progress.advance("long", Counts(items=3, ok=2, failed=1))
            progress.use("long", Usage(requests=2, tokens=70))
            return await self.script()

    async def stop() -> JobResult:
        raise StopRunError("the night is over")

    runner = Runner(
        [PlannedJob("long", "embed", (), lambda: Stopped(stop))], progress=Progress(), manager=CallbackManager(), stop=StopRequest()
    )
    await runner.run()
    [result] = runner.results()
    assert (result.status, result.exit_code, result.reason) == (Status.STOPPED, 75, "the night is over")
    assert (result.counts.ok, result.counts.failed, result.usage.tokens) == (2, 1, 70)


class StopsAt(LlamaDebugHandler):
    """Stops the work when an event of a type starts or ends."""

    def __init__(self, where: str, event_type: CBEventType) -> None:
        super().__init__(print_trace_on_end=False)
        self.where = where
        self.event_type = event_type

    def on_event_start(self, event_type, payload=None, event_id="", parent_id="", **kwargs):
        if (self.where, self.event_type) == ("start", event_type):
            raise StopRunError("the night is over")
        return event_id

    def on_event_end(self, event_type, payload=None, event_id="", **kwargs):
        if (self.where, self.event_type) == ("end", event_type):
            raise StopRunError("the night is over")


@pytest.mark.asyncio
@pytest.mark.parametrize("swallowed", [False, True])
@pytest.mark.parametrize("where", ["start", "end"])
async def test_a_handler_that_stops_the_work_stops_the_run(where: str, swallowed: bool) -> None:
    stage = Stage(debug=StopsAt(where, CBEventType.LLM))

    async def tell() -> None:
        try:
            with stage.manager.event(CBEventType.LLM):
                pass
        except StopRunError:
            if not swallowed:
                raise

    stage.add("first", then=tell)
    stage.add("second", "first")
    results = await stage.run()
    assert stage.begun == ["first"]
    first = results["first"]
    expected = (Status.SUCCEEDED, 0) if swallowed else (Status.STOPPED, 75)
    assert (first.status, first.exit_code) == expected
    assert first.reason == (None if swallowed else "the night is over")
    assert results["second"].status is Status.CANCELLED
    assert results["second"].reason == ("not begun: the night is over" if swallowed else "first stopped")


@pytest.mark.asyncio
async def test_what_has_ended_when_a_handler_stops_the_run_counts() -> None:
    stage = Stage(debug=StopsAt("end", CBEventType.ASYNC_JOB))
    stage.add("first")
    stage.add("second", "first")
    results = await stage.run()
    assert results["first"].status is Status.SUCCEEDED
    assert results["second"].status is Status.CANCELLED


@pytest.mark.asyncio
async def test_the_seconds_of_a_job_are_all_that_its_event_lasts_whatever_it_says_itself() -> None:
    clock = FakeClock()

    async def script() -> JobResult:
        await clock.sleep(8.0)
        return JobResult("a", "embed", Status.SUCCEEDED, 0, seconds=0.2)

    def refused() -> JobRun:
        raise OutageError("down")

    jobs = [PlannedJob("a", "embed", (), lambda: Scripted(script)), PlannedJob("b", "embed", ("a",), refused)]
    runner = Runner(jobs, progress=Progress(), manager=CallbackManager(), stop=StopRequest(), clock=clock)
    await runner.run()
    assert [result.seconds for result in runner.results()] == [8.0, 0.0]
