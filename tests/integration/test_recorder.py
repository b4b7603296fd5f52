"""The recorder's thread takes what the loop's thread notes at the same moment: nothing is lost, doubled or left open."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from asyncrun.aio.jobs import run_jobs
from asyncrun.callbacks import CallbackManager, CBEventType
from asyncrun.redact import Redactor
from asyncrun.trace.recorder import TraceRecorder
from asyncrun.trace.store import TraceStore

JOBS = 30_000


def test_every_job_is_recorded_once_while_it_is_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncrun.trace.recorder.COMMIT_EVERY", 0.0005)
    recorder = TraceRecorder(tmp_path / "traces.db", Redactor())
    recorder.open()
    manager = CallbackManager([recorder])

    async def job(number: int) -> None:
        if number % 3:
            await asyncio.sleep(0)
        if number % 10 == 0:
            with manager.event(CBEventType.RETRIEVE, payload={"tokens": 1}):
                await asyncio.sleep(0)

    run_id = recorder.begin_run()
    asyncio.run(run_jobs((job(number) for number in range(JOBS)), workers=16, callback_manager=manager))
    recorder.end_run(status="succeeded", exit_code=0)
    recorder.close()
    with TraceStore(tmp_path / "traces.db", read_only=True) as store:
        spans = store.spans(run_id)
        [run] = store.runs()
    counts = {
        kind: sum(int(span.attributes.get("folded.count", 1)) for span in spans if span.type == kind) for kind in ("async_job", "retrieve")
    }
    assert counts == {"async_job": JOBS, "retrieve": JOBS // 10}
    assert sum(span.attributes.get("tokens", 0) for span in spans) == JOBS // 10
    assert {span.status for span in spans} == {"succeeded"}
    assert all(span.end is not None for span in spans)
    ids = {span.id for span in spans}
    assert all(span.parent is None or span.parent in ids for span in spans)
    # A job's child would stand outermost if its job were unknown.
    assert all((span.parent is None) == (span.type == "async_job") for span in spans)
    assert run.lost == 0
    assert len(spans) < 1000
