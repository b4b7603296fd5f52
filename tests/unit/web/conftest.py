"""A state folder with runs in it, and a clock that is set by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from asyncrun.trace.run_record import RunRecord
from asyncrun.trace.store import TraceStore

STARTED = 1_795_486_500.0


@dataclass
class Now:
    """Seconds since 1970 as the test says."""

    seconds: float = STARTED + 100

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


AddRun = Callable[..., RunRecord]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / ".asyncrun"


@pytest.fixture
def add_run(state: Path) -> AddRun:
    """Record a run: it has ended after 2 s, unless it is `seen` last at a time."""

    def add(
        run_id: str, job_file: str | None = "jobs.yaml", *, started: float = STARTED, seen: float | None = None, **told: Any
    ) -> RunRecord:
        state.mkdir(exist_ok=True)
        ended = {} if seen is not None else {"ended": started + 2, "status": "succeeded", "exit_code": 0, "seconds": 2.0}
        run = RunRecord(run_id, started, job_file=job_file, version="1", host="here", summary=told, seen=seen or started + 2, **ended)
        with TraceStore(state / "traces.db") as store:
            store.add_run(run)
        return run

    return add
