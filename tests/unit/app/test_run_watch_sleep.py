"""A run on a machine that was suspended: it is told, recorded and shown, and connections are made anew."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from asyncrun.app.run_watch import resume
from asyncrun.callbacks.base import CallbackManager
from asyncrun.clock import watch_suspension
from asyncrun.ports import Progress
from asyncrun.redact import Redactor
from asyncrun.testing.clock import FakeClock
from asyncrun.trace.recorder import TraceRecorder
from asyncrun.trace.store import TraceStore
from asyncrun.trace.views.timing_summary import render_summary


class Warned(Progress):
    """Keeps what a person should read."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def warn(self, message: str) -> None:
        self.words.append(message)


def test_a_suspension_is_told_recorded_and_shown_and_connections_are_made_anew(tmp_path: Path) -> None:
    clock, progress = FakeClock(auto=False), Warned()
    recorder = TraceRecorder(tmp_path / "traces.db", Redactor(), clock)
    recorder.open()
    run_id = recorder.begin_run()
    renewed = 0

    async def renew() -> None:
        nonlocal renewed
        renewed += 1

    go_on = partial(resume, CallbackManager([recorder]), renew, progress)

    async def run() -> None:
        watcher = asyncio.create_task(watch_suspension(clock, go_on))
        await clock.advance(5)
        clock.jump_wall(3600)
        await clock.advance(5)
        watcher.cancel()

    asyncio.run(run())
    recorder.end_run(status="succeeded", exit_code=0)
    recorder.close()
    with TraceStore(tmp_path / "traces.db", read_only=True) as store:
        spans = store.spans(run_id)
    assert progress.words == ["suspended for 1h 00m: the machine slept, or its clock was set; connections are made anew"]
    assert renewed == 1
    assert "suspended: 1h 00m" in str(render_summary(spans, 80))
