"""Progress as JSON lines, for programs: one event a line, the summary last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TextIO

from asyncrun.clock import Clock
from asyncrun.records import ItemFailure
from asyncrun.results import Counts, JobResult, RunResult, Status
from asyncrun.streams import OutputStream
from asyncrun.ui.failed_items import failure_event
from asyncrun.ui.formatting import render_warning
from asyncrun.ui.run_json import counters, document, job_document, summary_document
from asyncrun.ui.run_state import TaskState, TrackingProgress
from asyncrun.usage import Usage

PROGRESS_EVERY = 10.0
"""Seconds between two lines of progress."""


class JsonProgress(TrackingProgress):
    """Writes one JSON object a line: run_started, job_started, progress, item_failed, job_finished, summary.

    The lines are pure ASCII, so that no locale and no terminal can spoil them. Warnings are for persons: they go to `warnings`.
    Raises StorageError when the lines cannot be written (a full disk); a reader that goes away is no error.
    """

    def __init__(self, stream: TextIO, clock: Clock, warnings: TextIO | None = None) -> None:
        super().__init__(clock)
        self._out = OutputStream(stream, answer=True)
        self._warnings = None if warnings is None else OutputStream(warnings)
        self._run_id: str | None = None
        self._began = self._spoke = clock.monotonic()

    def run_started(self, run_id: str, tasks: Sequence[str]) -> None:
        """Write `run_started` with the names of the jobs."""
        self._run_id = run_id
        self._began = self._spoke = self._clock.monotonic()
        super().run_started(run_id, tasks)
        self._write("run_started", jobs=list(tasks))

    def task_started(self, task: str, total: int | None) -> None:
        """Write `job_started`; `total` is null when it is not known."""
        super().task_started(task, total)
        self._write("job_started", name=task, total=total)

    def item_failed(self, task: str, failure: ItemFailure) -> None:
        """Write `item_failed`: every failed item, none is left out."""
        self._write("item_failed", **failure_event(task, failure))

    def task_finished(self, task: str, result: JobResult | None) -> None:
        """Write `job_finished` with the counters of the job."""
        state = self.note_end(task, result)
        if result is None:
            result = JobResult(task, "", state.status, 0, counts=state.counts, seconds=state.seconds(self._clock.monotonic()))
        self._write("job_finished", **job_document(result))

    def run_finished(self, result: RunResult) -> None:
        """Write the summary."""
        self._write_line(summary_document(result))

    def warn(self, message: str) -> None:
        """Write one line for a person."""
        if self._warnings is not None:
            self._warnings.line(render_warning(message))

    def close(self) -> None:
        """Hand over what is buffered."""
        self._out.flush()

    def _report_if_due(self) -> None:
        now = self._clock.monotonic()
        if now - self._spoke < PROGRESS_EVERY:
            return
        self._spoke = now
        tasks = self.tasks
        counts, usage = sum((task.counts for task in tasks), Counts()), sum((task.usage for task in tasks), Usage())
        running = [_standing(task, now) for task in tasks if task.status is Status.RUNNING]
        self._write("progress", seconds=round(now - self._began, 3), **counters(counts, usage), jobs=running)

    def _write(self, type_: str, /, **values: Any) -> None:
        self._write_line(document(type_, run_id=self._run_id, **values))

    def _write_line(self, document: dict[str, Any]) -> None:
        self._out.line(json.dumps(document, separators=(",", ":")))


def _standing(task: TaskState, now: float) -> dict[str, Any]:
    counted, left = counters(task.counts, task.usage), task.left(now)
    stands = {"share": task.share, "seconds_left": left}
    rounded = {name: None if number is None else round(number, 3) for name, number in stands.items()}
    return {"name": task.name, "status": task.status.value, "total": task.total, **counted, **rounded, "waiting": task.waiting}
