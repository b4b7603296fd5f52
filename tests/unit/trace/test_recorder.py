"""The recorder: every event becomes a span, off the loop, and no disk and no payload breaks the run."""

from __future__ import annotations

import asyncio
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asyncrun import __version__
from asyncrun.aio.jobs import run_jobs
from asyncrun.callbacks import CallbackManager, CBEventType, EventPayload
from asyncrun.errors import DamagedStateError
from asyncrun.redact import Redactor
from asyncrun.trace.recorder import TraceRecorder
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.store import TraceStore
from asyncrun.usage import Waits

from .conftest import HOSTILE, STARTED, HandClock

SECRET = "hunter2-hunter2-hunter2"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traces.db"


@pytest.fixture
def recorder(path: Path, clock: HandClock) -> Iterator[TraceRecorder]:
    tokens = iter(["4f2a", "4f2a", "b00c"])
    recorder = TraceRecorder(path, Redactor([SECRET]), clock, lambda: next(tokens))
    recorder.open()
    yield recorder
    recorder.close()


def read(path: Path) -> tuple[list[RunRecord], list[list[Span]]]:
    with TraceStore(path, read_only=True) as store:
        runs = store.runs()
        return runs, [store.spans(run.run_id) for run in runs]


def test_a_run_is_recorded_with_its_events(path: Path, clock: HandClock, recorder: TraceRecorder) -> None:
    manager = CallbackManager([recorder])
    run_id = recorder.begin_run(job_file="jobs.yaml", host="here")
    with manager.event(CBEventType.ASYNC_JOB, payload={"name": "embed-notes"}):
        clock.pass_by(1)
        with manager.event(CBEventType.EMBEDDING, payload={"items": 2}) as event:
            clock.pass_by(0.5)
            event.on_end(payload={"tokens": 9, "waits": Waits(rate=0.25)})
    recorder.end_run(status="succeeded", exit_code=0, summary={"items": 2})
    [run], [[job, batch]] = read(path)
    assert run_id == recorder.run_id == "20261124-021500-4f2a"
    assert (run.run_id, run.started, run.ended, run.seconds) == (run_id, STARTED, STARTED + 1.5, 1.5)
    assert (run.status, run.exit_code, run.summary, run.lost) == ("succeeded", 0, {"items": 2}, 0)
    assert (run.job_file, run.version, run.host) == ("jobs.yaml", __version__, "here")
    assert job == Span(run_id, 1, None, "async_job", "embed-notes", STARTED, STARTED + 1.5, "succeeded", {})
    assert (batch.parent, batch.type, batch.name, batch.start, batch.end) == (1, "embedding", "", STARTED + 1, STARTED + 1.5)
    assert batch.attributes == {f"waits.{name}": 0.0 for name in Waits.__slots__} | {"waits.rate": 0.25, "items": 2, "tokens": 9}


def test_open_spans_are_seen_while_the_run_goes_on(path: Path, clock: HandClock, recorder: TraceRecorder) -> None:
    manager = CallbackManager([recorder])
    recorder.begin_run()
    with manager.event(CBEventType.ASYNC_JOB, payload={"name": "notes"}):
        with manager.event(CBEventType.EMBEDDING):
            clock.pass_by(1)
        recorder.flush()
        [run], [spans] = read(path)
        assert [(span.type, span.name, span.end) for span in spans] == [("async_job", "notes", None), ("embedding", "", STARTED + 1)]
        assert (run.ended, run.seen, run.status_at(clock.now())) == (None, STARTED + 1, "running")
        # What a kill would leave here: nothing more is ever heard.
        assert run.status_at(clock.now() + 60) == "unfinished"
    recorder.flush()
    assert [span.end is None for span in read(path)[1][0]] == [False, False]


def test_what_is_outside_of_a_run_is_not_recorded(path: Path, recorder: TraceRecorder) -> None:
    manager = CallbackManager([recorder])
    with manager.event(CBEventType.QUERY):
        recorder.begin_run()
    recorder.end_run(status="succeeded", exit_code=0)
    with manager.event(CBEventType.QUERY):
        pass
    assert read(path)[1] == [[]]


def test_a_second_run_of_the_same_second_has_an_id_of_its_own(path: Path, recorder: TraceRecorder) -> None:
    ids = []
    for _ in range(2):
        ids.append(recorder.begin_run())
        recorder.end_run(status="succeeded", exit_code=0)
    assert ids == ["20261124-021500-4f2a", "20261124-021500-b00c"]
    assert [run.run_id for run in read(path)[0]] == ids


def test_a_jump_of_the_wall_clock_changes_no_duration(path: Path, clock: HandClock, recorder: TraceRecorder) -> None:
    manager = CallbackManager([recorder])
    recorder.begin_run()
    with manager.event(CBEventType.QUERY):
        clock.wall -= 3600
        clock.ticks += 2
    recorder.end_run(status="succeeded", exit_code=0)
    [run], [[span]] = read(path)
    assert (run.seconds, span.seconds) == (2, 2)


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("odd"), "failed"), (asyncio.CancelledError(), "cancelled"), (KeyboardInterrupt(), "cancelled")]
)
def test_every_event_that_an_exception_leaves_has_its_status(
    path: Path, recorder: TraceRecorder, error: BaseException, status: str
) -> None:
    manager = CallbackManager([recorder])
    recorder.begin_run()
    with pytest.raises(type(error)), manager.event(CBEventType.ASYNC_JOB), manager.event(CBEventType.EMBEDDING):
        raise error
    recorder.end_run(status="failed", exit_code=1)
    spans = read(path)[1][0]
    assert [span.status for span in spans] == [status, status]
    assert [span.attributes["error.type"] for span in spans] == [type(error).__name__] * 2


def test_an_end_may_say_its_status(path: Path, recorder: TraceRecorder) -> None:
    manager = CallbackManager([recorder])
    recorder.begin_run()
    with manager.event(CBEventType.ASYNC_JOB) as event:
        event.on_end(payload={"status": "partial"})
    with manager.event(CBEventType.ASYNC_JOB) as event:
        event.on_end(payload={EventPayload.EXCEPTION: ValueError("odd")})
    recorder.end_run(status="partial", exit_code=3)
    assert [span.status for span in read(path)[1][0]] == ["partial", "failed"]


def test_neither_secrets_nor_texts_are_written(path: Path, recorder: TraceRecorder) -> None:
    manager = CallbackManager([recorder])
    recorder.begin_run(job_file=f"{SECRET}.yaml", host=SECRET)
    payload = {"name": f"job {SECRET}", "url": f"https://u:{SECRET}@h/?key={SECRET}", EventPayload.CHUNKS: ["a private text"]}
    with pytest.raises(ValueError, match="refused"), manager.event(CBEventType.ASYNC_JOB, payload=payload, event_id=SECRET):
        raise ValueError(f"key {SECRET} refused")
    recorder.end_run(status="failed", exit_code=1, summary={"reason": f"key {SECRET} refused"})
    recorder.close()
    written = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert SECRET.encode() not in written
    assert b"a private text" not in written
    [run], [[span]] = read(path)
    assert (span.name, span.attributes["error.message"]) == ("job ***", "key *** refused")
    assert run.summary == {"reason": "key *** refused"}


def test_hostile_payloads_are_recorded(path: Path, recorder: TraceRecorder) -> None:
    manager = CallbackManager([recorder])
    recorder.begin_run(job_file=HOSTILE, host=HOSTILE)
    payload = {"name": HOSTILE, HOSTILE: HOSTILE, "nan": float("nan"), "huge": 1 << 90, "name.more": object(), "x" * 500: 1}
    with manager.event(CBEventType.ASYNC_JOB, payload=payload):
        pass
    recorder.end_run(status="succeeded", exit_code=0, summary={HOSTILE.encode("utf-8", "replace").decode(): object()})
    [_], [[span]] = read(path)
    assert span.name.startswith("\\x1b[31mred")


def test_a_parent_that_has_just_ended_is_still_known(path: Path, recorder: TraceRecorder) -> None:
    manager = CallbackManager([recorder])
    recorder.begin_run()
    with manager.event(CBEventType.ASYNC_JOB, event_id="job"):
        pass
    manager.on_event_start(CBEventType.LLM, event_id="late", parent_id="job")
    recorder.end_run(status="succeeded", exit_code=0)
    assert [span.parent for span in read(path)[1][0]] == [None, 1]


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Make every write fail as it does on a full disk, or work again."""
    full = False
    working = sqlite3.connect

    class Connection(sqlite3.Connection):
        def executemany(self, sql, rows):
            rows = list(rows)
            if full:
                raise sqlite3.OperationalError("database or disk is full")
            return super().executemany(sql, rows)

        def execute(self, sql, *values):
            if full and sql.startswith(("INSERT", "UPDATE")):
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(sql, *values)

    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kwargs: working(*args, factory=Connection, **kwargs))

    def fill(now_full: bool) -> None:
        nonlocal full
        full = now_full

    return fill


def events(recorder: TraceRecorder, count: int) -> None:
    manager = CallbackManager([recorder])
    for _ in range(count):
        with manager.event(CBEventType.ASYNC_JOB):
            pass
    assert manager.handlers == [recorder]


def test_a_full_disk_does_not_break_the_run_and_is_said(
    full_disk: Callable[[bool], None], path: Path, recorder: TraceRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.begin_run()
    events(recorder, 3)
    recorder.flush()
    full_disk(True)
    events(recorder, 4)
    recorder.flush()
    recorder.flush()
    recorder.end_run(status="succeeded", exit_code=0)
    assert recorder.lost == 4
    assert len(caplog.records) == 1
    assert "trace of this run is partial" in caplog.text
    assert "disk is full" in caplog.text
    [run], [spans] = read(path)
    assert (run.ended, len(spans)) == (None, 3)


def test_what_could_not_be_written_is_written_when_there_is_room_again(
    full_disk: Callable[[bool], None], path: Path, recorder: TraceRecorder
) -> None:
    full_disk(True)
    recorder.begin_run()
    events(recorder, 3)
    recorder.flush()
    full_disk(False)
    recorder.end_run(status="succeeded", exit_code=0)
    [run], [spans] = read(path)
    assert (recorder.lost, run.lost, run.status, len(spans)) == (0, 0, "succeeded", 3)


def test_a_damaged_store_is_told_before_the_run(path: Path) -> None:
    path.write_text("not a database, but long enough to be looked at " * 20)
    recorder = TraceRecorder(path, Redactor())
    with pytest.raises(DamagedStateError):
        recorder.open()
    recorder.close()


def test_it_may_be_closed_twice_and_in_the_middle_of_a_run(path: Path, recorder: TraceRecorder) -> None:
    recorder.begin_run()
    events(recorder, 2)
    recorder.close()
    recorder.close()
    events(recorder, 1)
    [run], [spans] = read(path)
    assert (run.ended, len(spans)) == (None, 2)


def test_a_writer_that_is_stuck_neither_fills_the_memory_nor_loses_anything(
    monkeypatch: pytest.MonkeyPatch, path: Path, recorder: TraceRecorder
) -> None:
    class Texts(list[str]):
        __hash__ = object.__hash__

    monkeypatch.setattr("asyncrun.trace.recorder.MOST_EVENTS_WAITING", 6)
    manager = CallbackManager([recorder])
    held = weakref.WeakSet[Texts]()
    recorder.begin_run()
    for _ in range(500):
        texts = Texts()
        held.add(texts)
        with manager.event(CBEventType.LLM, payload={"texts": texts}):
            pass
    assert len(held) < 10
    recorder.end_run(status="succeeded", exit_code=0)
    [run], [spans] = read(path)
    assert (sum(span.attributes.get("folded.count", 1) for span in spans), run.lost) == (500, 0)


def test_an_error_that_cannot_be_told_is_recorded_by_its_type(path: Path, recorder: TraceRecorder) -> None:
    class Speechless(Exception):
        def __str__(self) -> str:
            raise RuntimeError("nothing to say")

    manager = CallbackManager([recorder])
    recorder.begin_run()
    with pytest.raises(Speechless), manager.event(CBEventType.QUERY):
        raise Speechless
    with manager.event(CBEventType.QUERY):
        pass
    recorder.end_run(status="failed", exit_code=1)
    _, [spans] = read(path)
    assert [(span.status, span.attributes.get("error.type")) for span in spans] == [("failed", "Speechless"), ("succeeded", None)]


def test_jobs_of_a_pool_are_all_counted_while_the_writer_is_stuck(
    monkeypatch: pytest.MonkeyPatch, path: Path, recorder: TraceRecorder
) -> None:
    async def job() -> None:
        pass

    monkeypatch.setattr("asyncrun.callbacks.job_events.MOST_WAITING_JOBS", 6)
    recorder.begin_run()
    asyncio.run(run_jobs((job() for _ in range(500)), callback_manager=CallbackManager([recorder])))
    recorder.end_run(status="succeeded", exit_code=0)
    [run], [spans] = read(path)
    assert (sum(span.attributes.get("folded.count", 1) for span in spans), run.lost) == (500, 0)


def test_without_a_store_a_run_has_an_id_and_nothing_else(path: Path, clock: HandClock) -> None:
    recorder = TraceRecorder(path, Redactor(), clock, lambda: "4f2a")
    assert recorder.begin_run(job_file="jobs.yaml") == "20261124-021500-4f2a"
    events(recorder, 3)
    recorder.end_run(status="succeeded", exit_code=0)
    recorder.close()
    assert not path.exists()


def test_settings_are_kept_without_secrets(path: Path, recorder: TraceRecorder) -> None:
    settings = {
        "notes.embedder.api_key": None,
        "notes.embedder.base_url": f"https://u:{SECRET}@h/",
        f"notes.{SECRET}": [SECRET, 1, True, 0.5],
    }
    recorder.begin_run(settings=settings, job_file_hash="ab12")
    recorder.end_run(status="succeeded", exit_code=0, summary={"api_key": None, "huge": 1 << 70, "reason": object})
    [run], _ = read(path)
    assert run.job_file_hash == "ab12"
    assert run.settings == {
        "notes.embedder.api_key": None,
        "notes.embedder.base_url": "https://***@h/",
        "notes.***": ["***", 1, True, 0.5],
    }
    assert (run.summary["api_key"], run.summary["huge"]) == (None, str(1 << 70))


def test_a_payload_that_cannot_be_read_does_not_stop_the_recording(path: Path, recorder: TraceRecorder) -> None:
    class Odd:
        def __len__(self) -> int:
            raise OSError("gone")

    manager = CallbackManager([recorder])
    recorder.begin_run()
    for payload in ({"texts": Odd()}, 5, {"tokens": 3}):
        with manager.event(CBEventType.LLM, payload=payload):  # type: ignore[arg-type]
            pass
    recorder.end_run(status="succeeded", exit_code=0)
    odd, number, whole = read(path)[1][0]
    assert (odd.attributes, number.attributes) == ({"payload.unreadable": "OSError"}, {"payload.unreadable": "TypeError"})
    assert whole.attributes == {"tokens": 3}


def test_earlier_runs_make_room_and_then_the_trace_is_partial(path: Path, clock: HandClock) -> None:
    said: list[str] = []
    recorder = TraceRecorder(path, Redactor(), clock, max_size=60_000, warn=said.append)
    recorder.open()
    manager = CallbackManager([recorder])
    sizes = []
    for _ in range(3):
        recorder.begin_run()
        for number in range(400):
            manager.on_event_start(CBEventType.LLM, payload={"name": f"{number} " + "x" * 80}, parent_id="nobody")
            if number % 20 == 0:
                recorder.flush()
        recorder.end_run(status="succeeded", exit_code=0)
        sizes.append((recorder.lost > 0, len(said)))
        clock.pass_by(60)
    recorder.close()
    runs, spans = read(path)
    assert "has the 60000 bytes that it may have" in said[0]
    assert sizes == [(True, 1), (True, 2), (True, 3)]
    assert [run.lost > 0 for run in runs] == [True]
    assert path.stat().st_size < 200_000
    assert all(0 < len(each) < 400 for each in spans)


def test_runs_past_their_time_leave_when_they_are_pruned(path: Path, clock: HandClock, recorder: TraceRecorder) -> None:
    recorder.begin_run()
    recorder.end_run(status="succeeded", exit_code=0)
    clock.pass_by(100)
    assert recorder.prune(keep=200) == 0
    assert recorder.prune(keep=50) == 0
    latest = recorder.begin_run()
    recorder.end_run(status="succeeded", exit_code=0)
    assert recorder.prune(keep=50) == 1
    assert [run.run_id for run in read(path)[0]] == [latest]


def test_two_runs_at_once_keep_their_spans_apart(path: Path, clock: HandClock, recorder: TraceRecorder) -> None:
    other = TraceRecorder(path, Redactor(), clock, lambda: "4f2a" if other.run_id is None else "0002")
    other.open()
    ids = [recorder.begin_run(), other.begin_run()]
    for count in (2, 3):
        events(recorder, count)
        events(other, 1)
        recorder.flush()
        other.flush()
    for each in (other, recorder):
        each.end_run(status="succeeded", exit_code=0)
        each.close()
    runs, spans = read(path)
    assert [run.run_id for run in runs] == ids
    assert [len(each) for each in spans] == [5, 2]


def test_a_mistake_of_the_recorder_does_not_break_the_run(
    path: Path, recorder: TraceRecorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.begin_run()
    events(recorder, 1)
    monkeypatch.setattr("asyncrun.trace.span_queue.read_payload", lambda payload, texts: 1 / 0)
    recorder.flush()
    events(recorder, 2)
    recorder.end_run(status="succeeded", exit_code=0)
    assert "trace of this run is partial: ZeroDivisionError" in caplog.text
    assert [run.status for run in read(path)[0]] == ["succeeded"]


def test_a_run_that_goes_on_says_what_it_has_done_so_far(path: Path, clock: HandClock) -> None:
    done: dict[str, object] = {"items": 1, "jobs": [{"name": SECRET}]}
    recorder = TraceRecorder(path, Redactor([SECRET]), clock, so_far=lambda: done)
    recorder.open()
    recorder.begin_run()
    recorder.flush()
    [[first], _] = read(path)
    done = {"items": 2}
    recorder.flush()
    recorder.flush()
    [[second], _] = read(path)
    recorder.end_run(status="succeeded", exit_code=0, summary={"items": 3})
    [[last], _] = read(path)
    recorder.close()
    assert (first.summary["items"], second.summary, last.summary) == (1, {"items": 2}, {"items": 3})
    assert SECRET not in str(first.summary)
