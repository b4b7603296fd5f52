"""A look at recorded runs: which traces are meant, read and shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asyncrun.clock import SystemClock
from asyncrun.errors import UnknownRunError
from asyncrun.paths import find_state_folder, state_folder
from asyncrun.trace.documents import runs_document, trace_document
from asyncrun.trace.lookup import find_run
from asyncrun.trace.store import TraceStore
from asyncrun.trace.views.runs import render_runs
from asyncrun.trace.views.show import render_show
from asyncrun.trace.views.summary import render_summary
from asyncrun.trace.views.tree import render_tree

TRACES = "traces.db"


def render_trace(state: Path, words: str, width: int) -> str:
    """Return the trace map and the timing summary of one run, with its head. Raises UnknownRunError and StorageError."""
    with TraceStore(state / TRACES, read_only=True) as store:
        run = find_run(store.runs(), words)
        return render_show(run, store.spans(run.run_id), width, SystemClock().now())


def render_end_of_run(state: Path, run_id: str, width: int) -> str:
    """Return the trace map and the timing summary of the run that has just ended."""
    with TraceStore(state / TRACES, read_only=True) as store:
        spans = store.spans(run_id)
    return f"{render_tree(spans, width)}\n\n{render_summary(spans, width)}"


def describe_trace(state: Path, words: str) -> dict[str, Any]:
    """Return one run with its spans as a JSON document. Raises UnknownRunError and StorageError."""
    with TraceStore(state / TRACES, read_only=True) as store:
        run = find_run(store.runs(), words)
        return trace_document(run, store.spans(run.run_id), SystemClock().now())


def render_trace_list(state: Path, width: int) -> str:
    """Return the table of all recorded runs."""
    with TraceStore(state / TRACES, read_only=True) as store:
        return render_runs(store.runs(), width, SystemClock().now())


def describe_trace_list(state: Path) -> dict[str, Any]:
    """Return all recorded runs as a JSON document."""
    with TraceStore(state / TRACES, read_only=True) as store:
        return runs_document(store.runs(), SystemClock().now())


def traced_folder(file: Path | None, state_dir: Path | None) -> Path:
    """Return the state folder that is meant: of the job file, or the nearest upward. Raises UnknownRunError when there is none."""
    if file is not None or state_dir is not None:
        return state_folder(file or Path(), state_dir)
    found = find_state_folder(Path.cwd())
    if found is None:
        raise UnknownRunError(
            "no run is recorded here: there is no .asyncrun folder in this folder or above",
            hint="Run `asyncrun run` first, or name the job file with -f.",
        )
    return found
