"""Spans of `run_jobs` in LlamaIndex's instrumentation: those that its own `run_jobs` has."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from copy import copy
from typing import Any

import pytest

from asyncrun import StopRunError, run_jobs
from asyncrun.callbacks import CallbackManager, CBEventType, LlamaDebugHandler

pytestmark = pytest.mark.needs("llama-index")


class Spans:
    """What a span handler was told, with each id as the name before it."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.told: list[tuple[str, ...]] = []
        self.names: dict[str | None, str] = {None: "-"}
        self.results: list[Any] = []
        self.workers: list[Any] = []
        self.tags: list[Any] = []


@pytest.fixture
def spans() -> Iterator[Spans]:
    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.span_handlers import BaseSpanHandler

    seen = Spans()

    class Handler(BaseSpanHandler[Any]):
        def new_span(self, *args: Any, **options: Any) -> None: ...
        def prepare_to_exit_span(self, *args: Any, **options: Any) -> None: ...
        def prepare_to_drop_span(self, *args: Any, **options: Any) -> None: ...

        def span_enter(self, id_: str, bound_args: Any, instance: Any = None, parent_id: str | None = None, **options: Any) -> None:
            seen.names[id_] = name = id_[: -len("-00000000-0000-0000-0000-000000000000")]
            seen.told.append(("enter", name, seen.names[parent_id]))
            seen.workers.append(bound_args.arguments.get("workers"))
            seen.tags.append(options.get("tags"))

        def span_exit(self, id_: str, bound_args: Any, instance: Any = None, result: Any = None, **options: Any) -> None:
            seen.told.append(("exit", seen.names[id_]))
            seen.results.append(result)

        def span_drop(self, id_: str, bound_args: Any, instance: Any = None, err: Any = None, **options: Any) -> None:
            seen.told.append(("drop", seen.names[id_], type(err).__name__))

    root = get_dispatcher()
    before = list(root.span_handlers)
    root.span_handlers = [*before, Handler()]
    yield seen
    root.span_handlers = before


async def double(number: int) -> int:
    await asyncio.sleep(0)
    if number > 5:
        raise ValueError("too large")
    return 2 * number


def run_ours_and_theirs(numbers: list[int], spans: Spans) -> list[Spans]:
    from llama_index.core.async_utils import run_jobs as theirs

    found = []
    for run in (run_jobs, theirs):
        spans.forget()
        with contextlib.suppress(ValueError):
            asyncio.run(run([double(number) for number in numbers], workers=1))
        found.append(copy(spans))
    return found


def test_a_call_and_each_of_its_jobs_are_spans_as_with_theirs(spans: Spans) -> None:
    ours, theirs = run_ours_and_theirs([1, 2], spans)
    assert sorted(ours.told) == sorted(theirs.told)
    assert ours.told[0] == ("enter", "run_jobs", "-")
    assert ours.told[1] == ("enter", "run_jobs.<locals>.worker", "run_jobs")
    assert ours.results == theirs.results == [2, 4, [2, 4]]
    assert ours.workers[0] == theirs.workers[0] == 1


def test_a_job_that_fails_drops_its_span_and_that_of_the_call(spans: Spans) -> None:
    [ours, _] = run_ours_and_theirs([9], spans)
    assert ours.told[-2:] == [("drop", "run_jobs.<locals>.worker", "ValueError"), ("drop", "run_jobs", "ValueError")]


@pytest.mark.usefixtures("spans")
def test_an_event_tells_of_each_span_that_is_dropped_as_with_theirs() -> None:
    assert dropped_ours_and_theirs() == [[("run_jobs.<locals>.worker", "too large"), ("run_jobs", "too large")]] * 2


def test_who_handles_events_alone_is_told_of_dropped_spans() -> None:
    assert dropped_ours_and_theirs()[0] == [("run_jobs.<locals>.worker", "too large"), ("run_jobs", "too large")]


def test_spans_have_the_tags_of_their_context(spans: Spans) -> None:
    from llama_index.core.instrumentation.dispatcher import instrument_tags

    with instrument_tags({"user": "u"}):
        asyncio.run(run_jobs([double(1)]))
    assert spans.tags == [{"user": "u"}] * 2


def dropped_ours_and_theirs() -> list[list[tuple[str, str]]]:
    from llama_index.core.async_utils import run_jobs as theirs
    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.event_handlers import BaseEventHandler
    from llama_index.core.instrumentation.events.span import SpanDropEvent

    told: list[SpanDropEvent] = []

    class Handler(BaseEventHandler):
        def handle(self, event: Any, **_: Any) -> None:
            told.append(event)

    root, found = get_dispatcher(), []
    before = list(root.event_handlers)
    root.event_handlers = [*before, Handler()]
    try:
        for run in (run_jobs, theirs):
            told.clear()
            with pytest.raises(ValueError, match="too large"):
                asyncio.run(run([double(9)], workers=1))
            found.append([(event.span_id[:-37], event.err_str) for event in told])
    finally:
        root.event_handlers = before
    return found


def test_events_keep_the_names_of_jobs(spans: Spans) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    asyncio.run(run_jobs([double(1)], callback_manager=CallbackManager([debug])))
    [[start, _]] = debug.get_event_pairs(CBEventType.ASYNC_JOB)
    assert start.payload == {"index": 0, "job": "double"}
    assert len(spans.told) == 4


def test_a_handler_that_stops_the_work_before_a_job_begins_leaves_no_job_behind(spans: Spans) -> None:
    class Stopping(LlamaDebugHandler):
        def on_event_start(self, *args: Any, **options: Any) -> str:
            raise StopRunError("enough")

    manager = CallbackManager([Stopping(print_trace_on_end=False)])
    with pytest.raises(StopRunError, match="enough"):
        asyncio.run(run_jobs([double(1), double(2)], workers=1, callback_manager=manager))
    assert [told[0] for told in spans.told] == ["enter", "enter", "drop", "drop"]


def test_a_job_that_is_cancelled_drops_its_span_and_the_outer_span_goes_on(spans: Spans) -> None:
    from llama_index.core.instrumentation.span import active_span_id

    async def cancelled() -> str | None:
        active_span_id.set("outer")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await run_jobs([asyncio.sleep(60), asyncio.sleep(60)], workers=1)
        return active_span_id.get()

    spans.names["outer"] = "outer"
    assert asyncio.run(cancelled()) == "outer"
    assert [told[0] for told in spans.told] == ["enter", "enter", "drop", "drop"]
