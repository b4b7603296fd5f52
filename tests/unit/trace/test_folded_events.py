"""Folding: a million events that are alike become a few spans, and every count and sum stays exact."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncrun.aio.jobs import run_jobs
from asyncrun.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from asyncrun.redact import Redactor
from asyncrun.trace.recorder import TraceRecorder
from asyncrun.trace.run_record import Span
from asyncrun.trace.span_sampling import FIRST, MOST_FAILED, MOST_SAMPLED, SLOWEST
from asyncrun.trace.store import TraceStore
from tests.depth import times

from .conftest import STARTED, HandClock

MOST_EXACT = FIRST + SLOWEST + MOST_SAMPLED

Play = Callable[[CallbackManager, TraceRecorder], None]


@pytest.fixture
def record(tmp_path: Path, clock: HandClock) -> Iterator[Callable[[Play], list[Span]]]:
    recorder = TraceRecorder(tmp_path / "traces.db", Redactor(), clock)
    recorder.open()

    def play(scene: Play) -> list[Span]:
        run_id = recorder.begin_run()
        scene(CallbackManager([recorder]), recorder)
        recorder.end_run(status="succeeded", exit_code=0)
        with TraceStore(tmp_path / "traces.db", read_only=True) as store:
            return store.spans(run_id)

    yield play
    recorder.close()


def count(spans: list[Span]) -> int:
    return sum(int(span.attributes.get("folded.count", 1)) for span in spans)


def total(spans: list[Span], key: str) -> float:
    return sum(float(span.attributes.get(key, 0)) for span in spans)


def seconds(spans: list[Span]) -> float:
    return sum(float(span.attributes.get("folded.seconds", span.seconds)) for span in spans)


def of(spans: list[Span], kind: str) -> tuple[list[Span], list[Span]]:
    """Return the spans of a type that are one event, and those that stand for many."""
    found = [span for span in spans if span.type == kind]
    return [span for span in found if "folded.count" not in span.attributes], [span for span in found if "folded.count" in span.attributes]


def test_few_that_are_alike_keep_spans_of_their_own(record, clock: HandClock) -> None:
    def scene(manager: CallbackManager, recorder: TraceRecorder) -> None:
        for _ in range(FIRST):
            with manager.event(CBEventType.EMBEDDING):
                clock.pass_by(1)

    spans = record(scene)
    assert [span.id for span in spans] == list(range(1, FIRST + 1))


@pytest.mark.parametrize("flush_every", [10_000, 7])
def test_many_fold_and_the_slowest_the_failed_and_a_sample_do_not(record, clock: HandClock, flush_every: int) -> None:
    # Whole eighths, so that sums are exact.
    took = [1 + (number * 7919 % 1000) / 8 for number in range(1000)]

    def scene(manager: CallbackManager, recorder: TraceRecorder) -> None:
        with manager.event(CBEventType.QUERY):
            for number, time in enumerate(took):
                with manager.event(CBEventType.EMBEDDING, payload={"model": "small", "number": str(number), "index": number}) as event:
                    clock.pass_by(time)
                    event.on_end(payload={"tokens": number, "waits.rate": 0.5, **({"status": "failed"} if number % 100 == 50 else {})})
                if number % flush_every == 0:
                    recorder.flush()

    spans = record(scene)
    exact, [fold] = of(spans, "embedding")
    assert count(exact) + fold.attributes["folded.count"] == 1000
    assert seconds([*exact, fold]) == sum(took)
    assert total([*exact, fold], "tokens") == sum(range(1000))
    assert total([*exact, fold], "waits.rate") == 500
    assert len(exact) <= MOST_EXACT + 10
    assert {span.attributes["index"] for span in exact if span.status == "failed"} == {100 * number + 50 for number in range(10)}
    slowest = sorted(took, reverse=True)[:SLOWEST]
    assert {span.seconds for span in exact} >= set(slowest)
    assert max(fold.attributes["folded.max"], 0) <= slowest[-1]
    folded = set(range(1000)) - {int(span.attributes["index"]) for span in exact}
    assert fold.attributes["folded.min"] == min(took[number] for number in folded)
    assert fold.attributes["folded.max"] == max(took[number] for number in folded)
    assert fold.attributes["folded.p50"] == pytest.approx(sorted(took)[499], rel=0.02)
    assert fold.attributes["folded.p95"] == pytest.approx(sorted(took)[949], rel=0.02)
    assert fold.attributes["model"] == "small"
    assert "number" not in fold.attributes
    assert "index" not in fold.attributes
    sample = sorted(int(span.attributes["index"]) for span in exact if span.attributes["index"] >= FIRST)
    assert max(later - earlier for earlier, later in pairwise(sample)) < 100
    assert (fold.status, fold.parent) == ("succeeded", spans[0].id)
    assert fold.start == STARTED + sum(took[: min(folded)])
    assert fold.end == pytest.approx(STARTED + sum(took[: max(folded) + 1]))
    # Nothing else happened, so that nearly all of it is its children's.
    assert spans[0].attributes["folded.below"] == sum(took)


def test_events_with_children_fold_together_with_them(record, clock: HandClock) -> None:
    def scene(manager: CallbackManager, recorder: TraceRecorder) -> None:
        for _ in range(500):
            with manager.event(CBEventType.ASYNC_JOB):
                for _ in range(2):
                    with manager.event(CBEventType.RETRIEVE):
                        clock.pass_by(1)
                        with manager.event(CBEventType.EMBEDDING) as event:
                            clock.pass_by(2)
                            event.on_end(payload={"tokens": 3})
                clock.pass_by(0.5)
            recorder.flush()

    spans = record(scene)
    for kind, number, each in (("async_job", 500, 6.5), ("retrieve", 1000, 3), ("embedding", 1000, 2)):
        exact, folds = of(spans, kind)
        assert count([*exact, *folds]) == number
        assert seconds([*exact, *folds]) == number * each
    assert total(spans, "tokens") == 3000
    by_id = {span.id: span for span in spans}
    [job] = of(spans, "async_job")[1]
    assert job.attributes["folded.own"] == job.attributes["folded.count"] * 0.5
    [retrieve] = [span for span in spans if span.parent == job.id]
    assert (retrieve.type, retrieve.attributes["folded.count"]) == ("retrieve", job.attributes["folded.count"] * 2)
    assert retrieve.attributes["folded.own"] == retrieve.attributes["folded.count"]
    assert all(span.parent is None or span.parent < span.id for span in spans)
    assert all(span.parent is None or span.parent in by_id for span in spans)


def test_what_has_a_failure_below_it_is_not_folded(record, clock: HandClock) -> None:
    def scene(manager: CallbackManager, recorder: TraceRecorder) -> None:
        for number in range(300):
            with manager.event(CBEventType.ASYNC_JOB), manager.event(CBEventType.EMBEDDING) as event:
                event.on_end(payload={"index": number, "status": "failed" if number == 200 else "succeeded"})

    spans = record(scene)
    [failed] = [span for span in spans if span.status == "failed"]
    assert failed.attributes["index"] == 200
    [parent] = [span for span in spans if span.id == failed.parent]
    assert "folded.count" not in parent.attributes


def test_a_batch_with_an_attempt_that_failed_folds_like_others_and_nothing_is_lost(record, clock: HandClock) -> None:
    def scene(manager: CallbackManager, recorder: TraceRecorder) -> None:
        with manager.event(CBEventType.ASYNC_JOB):
            for _ in range(2000):
                with manager.event(CBEventType.EMBEDDING) as batch, batch.enclosing():
                    with manager.event(CBEventType.ATTEMPT) as attempt:
                        clock.pass_by(0.5)
                        attempt.on_end(payload={"name": "transient", "status": "failed", "http.response.status_code": 503})
                    with manager.event(CBEventType.WAIT, payload={"name": "backoff"}) as wait:
                        clock.pass_by(0.25)
                        wait.on_end(payload={"waits.backoff": 0.25})
                    with manager.event(CBEventType.ATTEMPT):
                        clock.pass_by(1)

    spans = record(scene)
    assert len(spans) < 500
    exact, folds = of(spans, "attempt")
    assert count([*exact, *folds]) == 4000
    assert sum(span.status == "failed" for span in exact) + total(folds, "folded.failed") == 2000
    assert seconds([*exact, *folds]) == 3000
    assert total([span for span in spans if span.type == "wait"], "waits.backoff") == 500
    assert all("http.response.status_code" not in span.attributes for span in folds)


def test_past_so_many_failures_they_are_counted(record) -> None:
    def scene(manager: CallbackManager, recorder: TraceRecorder) -> None:
        for _ in range(MOST_FAILED + 5):
            with manager.event(CBEventType.EMBEDDING) as event:
                event.on_end(payload={"status": "failed"})

    exact, [fold] = of(record(scene), "embedding")
    assert (len(exact), fold.attributes["folded.count"], fold.attributes["folded.failed"]) == (MOST_FAILED, 5, 5)


def test_what_is_still_open_below_an_event_keeps_it(record, clock: HandClock) -> None:
    def scene(manager: CallbackManager, recorder: TraceRecorder) -> None:
        for number in range(200):
            with manager.event(CBEventType.ASYNC_JOB, event_id=f"job {number}"):
                if number == 150:
                    manager.on_event_start(CBEventType.LLM, event_id="open")
        # And one that begins below a job that is folded by now.
        recorder.flush()
        manager.on_event_start(CBEventType.LLM, event_id="late", parent_id="job 160")

    spans = record(scene)
    opened, late = [span for span in spans if span.type == "llm"]
    by_id = {span.id: span for span in spans}
    assert "folded.count" not in by_id[opened.parent or 0].attributes
    assert by_id[late.parent or 0].type == "async_job"


def test_names_without_number_fold_by_type(record) -> None:
    def scene(manager: CallbackManager, recorder: TraceRecorder) -> None:
        for number in range(1000):
            with manager.event(CBEventType.QUERY, payload={"name": f"question {number}"}):
                pass

    spans = record(scene)
    assert count(spans) == 1000
    assert len(spans) < 200
    assert [span.name for span in spans if "folded.count" in span.attributes] == [""]


@settings(max_examples=times(quick=10, deep=30))
@given(
    st.lists(
        st.tuples(st.sampled_from(["query", "embedding", "llm"]), st.integers(0, 40), st.booleans(), st.booleans(), st.booleans()),
        max_size=400,
    )
)
def test_counts_and_sums_are_exact_whatever_happens(tmp_path_factory: pytest.TempPathFactory, events) -> None:
    clock = HandClock()
    path = tmp_path_factory.mktemp("traces") / "traces.db"
    told: list[Span] = []
    recorder = TraceRecorder(path, Redactor(), clock, follow=lambda run, spans: told.extend(spans))
    recorder.open()
    manager = CallbackManager([recorder])
    run_id = recorder.begin_run()
    for kind, time, failed, nested, flushed in events:
        with manager.event(CBEventType.ASYNC_JOB), manager.event(CBEventType(kind), payload={"tokens": time}) as event:
            if nested:
                with manager.event(CBEventType.RETRIEVE, payload={"tokens": 1}):
                    clock.pass_by(time)
                if flushed:
                    recorder.flush()
            event.on_end(payload={"status": "failed" if failed else "succeeded"})
        if flushed:
            recorder.flush()
    recorder.end_run(status="succeeded", exit_code=0)
    recorder.close()
    with TraceStore(path, read_only=True) as store:
        spans = store.spans(run_id)
    assert count(spans) == 2 * len(events) + sum(nested for *_, nested, _ in events)
    assert total(spans, "tokens") == sum(time + nested for _, time, _, nested, _ in events)
    ids = {span.id for span in spans}
    assert all(span.parent is None or (span.parent in ids and span.parent < span.id) for span in spans)
    assert sum(span.status == "failed" for span in spans if span.type == "embedding") == sum(
        failed for kind, _, failed, _, _ in events if kind == "embedding"
    )
    assert len({span.id for span in told}) == len(told)
    final = {span.id: span for span in spans}
    assert [span for span in told if final.get(span.id) != span] == []


def test_a_follower_is_told_of_what_has_ended_below_what_is_still_open(tmp_path: Path, clock: HandClock) -> None:
    told: list[str] = []
    recorder = TraceRecorder(tmp_path / "traces.db", Redactor(), clock, follow=lambda run, spans: told.extend(span.name for span in spans))
    recorder.open()
    recorder.begin_run()
    manager = CallbackManager([recorder])
    with manager.event(CBEventType.ASYNC_JOB, payload={"name": "notes"}):
        with manager.event(CBEventType.EMBEDDING, payload={"name": "batch"}):
            pass
        recorder.flush()
        assert told == ["batch"]
    recorder.end_run(status="succeeded", exit_code=0)
    assert told == ["batch", "notes"]
    recorder.close()


def test_what_encloses_an_event_that_a_follower_was_told_of_is_kept(tmp_path: Path, clock: HandClock) -> None:
    told: list[Span] = []
    recorder = TraceRecorder(tmp_path / "traces.db", Redactor(), clock, follow=lambda run, spans: told.extend(spans))
    recorder.open()
    run_id = recorder.begin_run()
    manager = CallbackManager([recorder])
    longer = [manager.on_event_start(CBEventType.QUERY, parent_id="root") for _ in range(SLOWEST)]
    clock.pass_by(1)
    outer = manager.on_event_start(CBEventType.QUERY, parent_id="root")
    with manager.event(CBEventType.EMBEDDING):
        pass
    recorder.flush()
    for _ in range(1001):
        manager.on_event_end(CBEventType.QUERY, event_id=manager.on_event_start(CBEventType.QUERY, parent_id="root"))
    for event in (*longer, outer):
        manager.on_event_end(CBEventType.QUERY, event_id=event)
    recorder.end_run(status="succeeded", exit_code=0)
    recorder.close()
    with TraceStore(tmp_path / "traces.db", read_only=True) as store:
        ids = {span.id for span in store.spans(run_id)}
    assert {told[0].id, told[0].parent} <= ids


# Jobs of a pool ------------------------------------------------------------------------------------------------------------------------


async def nothing() -> None:
    pass


def test_jobs_of_a_pool_are_children_of_their_call(record) -> None:
    async def call(manager: CallbackManager) -> None:
        with manager.event(CBEventType.QUERY):
            await run_jobs([nothing() for _ in range(10)], callback_manager=manager)
        await run_jobs([nothing() for _ in range(1000)], callback_manager=manager)

    spans = record(lambda manager, _: asyncio.run(call(manager)))
    query = spans[0]
    below = [span for span in spans if span.parent == query.id]
    assert [(span.type, span.name, span.attributes["index"]) for span in below] == [
        ("async_job", "nothing", number) for number in range(10)
    ]
    above = [span for span in spans if span.parent is None and span is not query]
    assert count(above) == 1000
    assert len(above) <= MOST_EXACT + 1


def test_jobs_with_events_inside_of_them_are_their_parents(record) -> None:
    async def call(manager: CallbackManager) -> None:
        async def job(number: int) -> None:
            await asyncio.sleep(0)
            with manager.event(CBEventType.RETRIEVE, payload={"number": number}):
                await asyncio.sleep(0)

        await run_jobs([job(number) for number in range(20)], workers=5, callback_manager=manager)

    spans = record(lambda manager, _: asyncio.run(call(manager)))
    by_id = {span.id: span for span in spans}
    children = [span for span in spans if span.type == "retrieve"]
    assert len(children) == 20
    assert [by_id[span.parent or 0].attributes["index"] for span in children] == [span.attributes["number"] for span in children]


def test_jobs_that_fail_or_are_cancelled_say_so(record) -> None:
    async def call(manager: CallbackManager) -> None:
        async def job(number: int) -> None:
            await asyncio.sleep(0)
            if number == 2:
                raise ValueError("odd")
            await asyncio.Event().wait()

        with pytest.raises(ValueError, match="odd"):
            await run_jobs([job(number) for number in range(4)], workers=4, callback_manager=manager)

    spans = record(lambda manager, _: asyncio.run(call(manager)))
    assert {span.attributes["index"]: span.status for span in spans} == {0: "cancelled", 1: "cancelled", 2: "failed", 3: "cancelled"}
    [failed] = [span for span in spans if span.status == "failed"]
    assert failed.attributes["error.message"] == "odd"


def test_jobs_that_are_open_are_seen_while_they_run(record, tmp_path: Path) -> None:
    seen: list[list[Span]] = []

    async def call(manager: CallbackManager, recorder: TraceRecorder) -> None:
        go_on = asyncio.Event()

        async def job() -> None:
            await go_on.wait()

        async def look() -> None:
            recorder.flush()
            with TraceStore(tmp_path / "traces.db", read_only=True) as store:
                seen.append(store.spans(recorder.run_id or ""))
            go_on.set()

        await run_jobs([job(), job(), look()], workers=3, callback_manager=manager)

    spans = record(lambda manager, recorder: asyncio.run(call(manager, recorder)))
    assert [(span.attributes["index"], span.end) for span in seen[0]] == [(0, None), (1, None), (2, None)]
    assert {span.attributes["index"] for span in spans} == {0, 1, 2}
    assert all(span.status == "succeeded" for span in spans)


def test_other_handlers_are_told_of_each_job_too(record) -> None:
    other = LlamaDebugHandler(print_trace_on_end=False)

    async def call(manager: CallbackManager) -> None:
        async def nested() -> None:
            with manager.event(CBEventType.RETRIEVE):
                pass

        async def fails() -> None:
            raise ValueError("odd")

        manager.add_handler(other)
        with manager.as_trace("run"), manager.event(CBEventType.QUERY):
            await run_jobs([nothing(), nested(), *(nothing() for _ in range(200))], callback_manager=manager)
            with pytest.raises(ValueError, match="odd"):
                await run_jobs([fails()], callback_manager=manager)

    traced: dict[str, list[str]] = {}

    def scene(manager: CallbackManager, _: TraceRecorder) -> None:
        asyncio.run(call(manager))
        traced.update(manager.trace_map)

    spans = record(scene)
    pairs = other.get_event_pairs()
    assert [len(pair) for pair in pairs] == [2] * 205
    [query] = traced["root"]
    jobs = [start for start, _ in other.get_event_pairs(CBEventType.ASYNC_JOB)]
    assert {start.id_ for start in jobs} == set(traced[query])
    assert [(start.payload or {})["index"] for start in jobs] == [*range(202), 0]
    [retrieve] = [start.id_ for start, _ in other.get_event_pairs(CBEventType.RETRIEVE)]
    assert traced[jobs[1].id_] == [retrieve]
    assert count(spans) == 205
    by_id = {span.id: span for span in spans}
    assert [by_id[span.parent or 0].attributes["index"] for span in spans if span.type == "retrieve"] == [1]
    assert [span.attributes["error.message"] for span in spans if span.status == "failed" and span.type == "async_job"] == ["odd"]


def test_a_call_goes_on_when_the_recording_ends_or_another_handler_comes(record) -> None:
    other = LlamaDebugHandler(print_trace_on_end=False)

    async def call(manager: CallbackManager, recorder: TraceRecorder) -> None:
        async def add() -> None:
            manager.add_handler(other)

        async def end() -> None:
            recorder.end_run(status="succeeded", exit_code=0)

        await run_jobs([nothing(), add(), nothing(), end(), nothing()], workers=1, callback_manager=manager)

    spans = record(lambda manager, recorder: asyncio.run(call(manager, recorder)))
    # The job that ended the recording has no end in it.
    assert sorted((span.attributes["index"], span.end is None) for span in spans) == [(0, False), (1, False), (2, False), (3, True)]
    assert len(other.get_event_pairs()) == 3
