"""A disk that takes no more while a run is recorded: here the kernel refuses to make the trace's file larger."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from asyncrun.callbacks import CallbackManager, CBEventType
from asyncrun.redact import Redactor
from asyncrun.trace.recorder import TraceRecorder
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.store import TraceStore


@pytest.fixture
def limit() -> Iterator[Callable[[int | None], None]]:
    """Refuse files larger than so many bytes, or allow them again; as on a full disk the writer gets an error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def limit(size: int | None) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before[0] if size is None else size, before[1]))

    yield limit
    limit(None)
    signal.signal(signal.SIGXFSZ, heard)


def read(path: Path) -> tuple[RunRecord, list[Span]]:
    with TraceStore(path, read_only=True) as store:
        [run] = store.runs()
        return run, store.spans(run.run_id)


def record(recorder: TraceRecorder, first: int, count: int) -> None:
    manager = CallbackManager([recorder])
    for number in range(first, first + count):
        with manager.event(CBEventType.EMBEDDING, payload={"name": f"batch {number}"}):
            pass


def test_a_run_goes_on_and_what_there_was_room_for_later_is_whole(tmp_path: Path, limit: Callable[[int | None], None]) -> None:
    path = tmp_path / "traces.db"
    told: list[str] = []
    recorder = TraceRecorder(path, Redactor(), warn=told.append)
    recorder.open()
    recorder.begin_run()
    record(recorder, 0, 10)
    recorder.flush()
    limit(path.with_name("traces.db-wal").stat().st_size)
    record(recorder, 10, 500)
    recorder.flush()
    assert len(told) == 1
    assert "the trace of this run is partial: " in told[0]
    assert len(read(path)[1]) == 10
    limit(None)
    recorder.end_run(status="succeeded", exit_code=0)
    recorder.close()
    run, spans = read(path)
    events = sum(span.attributes.get("folded.count", 1) for span in spans)
    assert (run.status, run.lost, events) == ("succeeded", 0, 510)


def test_a_run_whose_end_could_not_be_written_is_shown_as_unfinished(tmp_path: Path, limit: Callable[[int | None], None]) -> None:
    path = tmp_path / "traces.db"
    recorder = TraceRecorder(path, Redactor(), warn=lambda words: None)
    recorder.open()
    recorder.begin_run()
    record(recorder, 0, 10)
    recorder.flush()
    limit(path.with_name("traces.db-wal").stat().st_size)
    record(recorder, 10, 10)
    recorder.end_run(status="succeeded", exit_code=0)
    recorder.close()
    limit(None)
    run, spans = read(path)
    assert (run.status_at(run.seen + 60), len(spans)) == ("unfinished", 10)
