"""The pool against a model of it: jobs, consumer and caller do whatever they may, in any order, and every promise holds all the time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Coroutine, Iterator
from itertools import count
from typing import Any, Literal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from asyncrun.aio.jobs import run_jobs
from asyncrun.aio.pool import Outcome, Outcomes, outcomes
from tests.depth import times

CLEANUP_TIMEOUT = 30
"""Seconds that the pool gives a cancelled job, of `run_jobs` too."""
MADE = 9
"""Jobs of a list."""
ENDLESS = 10**6
TURNS = 20
"""Turns of the loop after which nothing goes on by itself."""

Form = Literal["run_jobs", "input", "completed"]
Jobs = Literal["list", "generator", "stream"]


class Fatal(BaseException):
    """What no pool may keep to itself."""


class Loop(asyncio.SelectorEventLoop):
    """A loop whose time passes when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0
        super().__init__()

    def time(self) -> float:
        return self.seconds


class Time:
    """The loop's time, for the pool."""

    def __init__(self, loop: Loop) -> None:
        self.now = self.monotonic = loop.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Pool(RuleBasedStateMachine):
    """One pool, with everything that can be done to it, and what is known of its jobs."""

    @initialize(
        form=st.sampled_from(["run_jobs", "input", "completed"]),
        jobs=st.sampled_from(["list", "generator", "stream"]),
        workers=st.integers(1, 3),
        room=st.integers(0, 3),
        timeout=st.sampled_from([None, 10]),
        collect=st.booleans(),
        calm=st.integers(0, 20),
    )
    def begin(self, form: Form, jobs: Jobs, workers: int, room: int, timeout: float | None, collect: bool, calm: int) -> None:
        self.form = form
        self.calm = calm
        self.workers = workers
        self.ahead = ENDLESS if form == "run_jobs" else workers + room
        self.timeout = None if form == "run_jobs" else timeout
        self.collect = collect and form != "run_jobs"
        self.loop = Loop()
        self.loop.set_debug(True)
        # What the jobs are, and did. The defiant are those that run on although they have been cancelled.
        self.coroutines: list[Coroutine[Any, Any, int]] = []
        self.begun: list[int] = []
        self.started: dict[int, float] = {}
        self.running: list[int] = []
        self.most = 0
        self.ended: list[int] = []
        self.orders: dict[int, asyncio.Future[int]] = {}
        self.stubborn: set[int] = set()
        self.defiant: set[int] = set()
        self.late: set[int] = set()
        self.results: dict[int, int | BaseException | type[BaseException]] = {}
        # What the source did.
        self.arrived = 0
        self.complete = False
        self.source_ended = False
        self.news = asyncio.Event()
        # What the consumer has.
        self.taken: list[int] = []
        self.failure: BaseException | type[BaseException] | None = None
        self.over = False
        self.taking: asyncio.Task[Any] | None = None
        self.stream: Outcomes[int] | None = None
        source: Any = {"list": self.listed, "generator": self.generated, "stream": self.streamed}[jobs]()
        self.jobs = jobs
        if form == "run_jobs":
            self.taking = self.loop.create_task(run_jobs(source, workers=workers))
        else:
            errors: Literal["collect", "raise"] = "collect" if collect else "raise"
            options: dict[str, Any] = {"workers": workers, "order": form, "timeout": timeout, "on_error": errors, "ahead": self.ahead}
            self.stream = outcomes(source, cleanup_timeout=CLEANUP_TIMEOUT, clock=Time(self.loop), **options)
        self.asked = form == "run_jobs"
        self.settle()

    # Jobs and where they come from -----------------------------------------------------------------------------------------------------

    async def job(self, index: int) -> int:
        self.begun.append(index)
        self.started[index] = self.loop.time()
        self.running.append(index)
        self.most = max(self.most, len(self.running))
        try:
            while True:
                self.orders[index] = self.loop.create_future()
                try:
                    return await self.orders[index]
                except asyncio.CancelledError:
                    if index in self.stubborn:
                        self.stubborn.discard(index)
                        continue
                    await asyncio.sleep(0)
                    raise
        finally:
            self.running.remove(index)
            self.ended.append(index)

    def make(self) -> Coroutine[Any, Any, int]:
        self.coroutines.append(self.job(len(self.coroutines)))
        return self.coroutines[-1]

    def listed(self) -> list[Coroutine[Any, Any, int]]:
        self.complete = True
        self.arrived = MADE
        return [self.make() for _ in range(MADE)]

    def generated(self) -> Iterator[Coroutine[Any, Any, int]]:
        self.arrived = ENDLESS
        return self.endless()

    def endless(self) -> Iterator[Coroutine[Any, Any, int]]:
        try:
            for _ in count():
                yield self.make()
        finally:
            self.source_ended = True

    async def streamed(self) -> AsyncIterator[Coroutine[Any, Any, int]]:
        try:
            while True:
                while len(self.coroutines) < self.arrived:
                    yield self.make()
                if self.complete:
                    return
                self.news.clear()
                await self.news.wait()
        finally:
            await asyncio.sleep(0)
            self.source_ended = True

    # What may happen -------------------------------------------------------------------------------------------------------------------

    def is_open(self) -> bool:
        return not self.over

    def some_run(self) -> bool:
        return not self.over and self.failure is None and bool(self.running)

    def may_end(self) -> bool:
        """Return whether the pool has lived for so many steps that it may end; else most would end before anything has happened."""
        return not self.over and self.calm <= 0

    def failure_is_no_end(self) -> bool:
        return self.some_run() and (self.collect or self.may_end())

    @precondition(lambda self: not self.over and self.jobs == "stream" and not self.complete)
    @rule(number=st.integers(1, 4))
    def jobs_arrive(self, number: int) -> None:
        self.arrived += number
        self.news.set()
        self.settle()

    @precondition(lambda self: not self.over and self.jobs == "stream" and not self.complete)
    @rule()
    def no_more_jobs_will_arrive(self) -> None:
        self.complete = True
        self.news.set()
        self.settle()

    @precondition(some_run)
    @rule(which=st.integers(0, 2))
    def a_job_finishes(self, which: int) -> None:
        index = self.running[which % len(self.running)]
        self.results[index] = 10 * index
        self.orders[index].set_result(10 * index)
        self.settle()

    @precondition(failure_is_no_end)
    @rule(which=st.integers(0, 2))
    def a_job_fails(self, which: int) -> None:
        self.fail(which, LookupError())

    @precondition(lambda self: self.some_run() and self.may_end())
    @rule(which=st.integers(0, 2))
    def a_job_raises_what_is_no_exception(self, which: int) -> None:
        self.fail(which, Fatal())

    def fail(self, which: int, error: BaseException) -> None:
        index = self.running[which % len(self.running)]
        self.results[index] = error
        if not (self.collect and isinstance(error, Exception)):
            self.failure = error
        self.orders[index].set_exception(error)
        self.settle()

    @precondition(some_run)
    @rule(which=st.integers(0, 2))
    def a_job_will_swallow_its_next_cancellation(self, which: int) -> None:
        self.stubborn.add(self.running[which % len(self.running)])

    @precondition(lambda self: not self.over and (self.timeout is None or self.failure_is_no_end()))
    @rule(seconds=st.sampled_from([1, 4, 11]))
    def time_passes(self, seconds: int) -> None:
        self.loop.seconds += seconds
        limit = ENDLESS if self.timeout is None else self.timeout
        late = [index for index in self.running if index not in self.late and self.loop.seconds >= self.started[index] + limit]
        self.late.update(late)
        stopped = [index for index in late if index not in self.stubborn]
        self.results.update(dict.fromkeys(stopped, TimeoutError))
        if stopped and not self.collect:
            self.failure = TimeoutError
        self.settle()
        assert set(stopped).isdisjoint(self.running)

    @precondition(lambda self: not self.over and self.taking is None)
    @rule()
    def the_consumer_asks_for_one(self) -> None:
        self.asked = True
        assert self.stream is not None
        self.taking = self.loop.create_task(self.stream.__anext__())
        self.settle()

    @precondition(lambda self: self.may_end() and self.taking is not None)
    @rule(arriving=st.integers(0, 2))
    def the_caller_is_cancelled(self, arriving: int) -> None:
        assert self.taking is not None
        self.arrive_now(arriving)
        self.taking.cancel()
        error = self.wait_for(self.taking)
        assert isinstance(error, asyncio.CancelledError)
        self.is_closed()

    def arrive_now(self, number: int) -> None:
        """Let jobs arrive in the very moment in which something else happens."""
        if self.jobs == "stream" and not self.complete:
            self.arrived += number
            self.news.set()

    @precondition(lambda self: self.may_end() and self.form != "run_jobs")
    @rule(arriving=st.integers(0, 2))
    def the_consumer_leaves(self, arriving: int) -> None:
        assert self.stream is not None
        self.arrive_now(arriving)
        assert self.wait_for(self.loop.create_task(self.stream.aclose())) is None
        if self.taking is not None:
            assert isinstance(self.wait_for(self.taking), StopAsyncIteration | LookupError | Fatal | TimeoutError)
        self.is_closed()

    @precondition(lambda self: self.may_end() and self.form != "run_jobs" and self.taking is None and self.asked)
    @rule()
    def the_consumer_breaks(self) -> None:
        """Drop the stream: nobody waits, so nobody insists with a job that has swallowed its cancellation, and it goes on to its end."""
        self.stubborn.clear()
        self.stream = None
        self.turns()
        assert set(self.running) <= self.defiant
        for index in self.running:
            self.orders[index].set_result(0)
        self.turns()
        self.is_closed()

    @precondition(lambda self: self.over)
    @rule()
    def nothing_happens_any_more(self) -> None:
        """Go on: an example has steps to its end."""

    # What must be so -------------------------------------------------------------------------------------------------------------------

    @invariant()
    def no_more_run_than_there_are_workers(self) -> None:
        assert self.most <= self.workers

    @invariant()
    def each_job_begins_once_and_in_order(self) -> None:
        assert self.begun == list(range(len(self.begun)))

    @invariant()
    def each_outcome_comes_once(self) -> None:
        assert len(set(self.taken)) == len(self.taken)
        assert self.form == "completed" or self.taken == list(range(len(self.taken)))

    @precondition(is_open)
    @invariant()
    def so_many_run_as_there_is_work_and_room(self) -> None:
        if not self.asked:
            assert self.begun == []
        elif self.failure is None:
            assert len(self.begun) == min(self.arrived, len(self.ended) + self.workers, len(self.taken) + self.ahead)
        else:
            assert set(self.running) <= self.defiant

    @precondition(is_open)
    @invariant()
    def jobs_are_read_as_slots_free_up(self) -> None:
        if self.jobs != "list":
            assert len(self.coroutines) <= len(self.begun) + (self.jobs == "stream")

    @precondition(is_open)
    @invariant()
    def whoever_waits_gets_what_there_is(self) -> None:
        """A consumer waits only for what is not there, and is told of the end."""
        if self.taking is None:
            return
        assert self.form == "run_jobs" or self.turn() is None
        assert self.failure is None
        assert not (self.complete and len(self.ended) == self.arrived)

    # How it is told --------------------------------------------------------------------------------------------------------------------

    def turn(self) -> int | None:
        """Return the job whose outcome is to be taken next, if it has ended."""
        done = [index for index in self.ended if index in self.results and self.results[index] is not self.failure]
        if self.form == "completed":
            return next((index for index in done if index not in self.taken), None)
        return len(self.taken) if len(self.taken) in done else None

    def turns(self) -> None:
        async def some() -> None:
            for _ in range(TURNS):
                await asyncio.sleep(0)

        self.loop.run_until_complete(some())

    def settle(self) -> None:
        """Let everything happen that can, and look at what the consumer got."""
        stubborn = self.stubborn.copy()
        self.calm -= 1
        self.turns()
        self.defiant = {*(stubborn & set(self.running)), *(self.defiant & set(self.running))}
        if self.taking is not None and (self.taking.done() or self.failure is not None):
            taking, expected = self.taking, self.turn()
            if self.form == "run_jobs":
                self.settle_call(taking)
            elif expected is not None:
                self.settle_outcome(taking, expected)
            else:
                self.settle_end(taking)

    def settle_call(self, calling: asyncio.Task[list[int]]) -> None:
        error = self.wait_for(calling)
        if self.failure is None:
            assert error is None
            assert self.complete
            assert calling.result() == [10 * index for index in range(self.arrived)]
        else:
            assert error is self.failure
        self.is_closed()

    def settle_outcome(self, taking: asyncio.Task[Outcome[int]], expected: int) -> None:
        self.taking = None
        assert taking.done()
        outcome, result = taking.result(), self.results[expected]
        assert outcome.index == expected
        if isinstance(result, int):
            assert (outcome.value, outcome.error) == (result, None)
        elif isinstance(result, BaseException):
            assert outcome.error is result
        else:
            assert type(outcome.error) is result
        assert outcome.start == self.started[expected]
        self.taken.append(expected)
        self.turns()

    def settle_end(self, taking: asyncio.Task[Outcome[int]]) -> None:
        error = self.wait_for(taking)
        if self.failure is None:
            assert isinstance(error, StopAsyncIteration)
            assert self.complete
            assert len(self.taken) == self.arrived
        else:
            assert error is self.failure or type(error) is self.failure
        self.is_closed()

    def wait_for(self, task: asyncio.Task[Any]) -> BaseException | None:
        """Return the error that a task ends with, after all the patience that it may take."""
        self.turns()
        for _ in range(4):
            if not task.done():
                self.loop.seconds += CLEANUP_TIMEOUT
                self.turns()
        assert task.done()
        return asyncio.CancelledError() if task.cancelled() else task.exception()

    def is_closed(self) -> None:
        """Check that nothing runs, and nothing is left open."""
        self.over = True
        self.stream = self.taking = None
        assert self.running == []
        self.turns()
        assert asyncio.all_tasks(self.loop) == set()
        assert {inspect.getcoroutinestate(coroutine) for coroutine in self.coroutines} <= {inspect.CORO_CLOSED}
        assert self.source_ended or self.jobs == "list" or not self.coroutines

    def teardown(self) -> None:
        if not hasattr(self, "loop"):
            return
        try:
            if not self.over and self.form == "run_jobs":
                self.the_caller_is_cancelled(0)
            elif not self.over:
                self.the_consumer_leaves(0)
        finally:
            self.loop.close()


def test_a_pool_keeps_its_promises_whatever_happens_in_whatever_order() -> None:
    run_state_machine_as_test(Pool, settings=settings(max_examples=times(quick=30, deep=200), stateful_step_count=30))
