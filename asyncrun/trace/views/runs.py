"""Recorded runs: the table of all, and the picture of one: how it ended, its events, what it waited for, how many were open at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from asyncrun.humanize import counted, dollars, duration
from asyncrun.results import WorkerUse
from asyncrun.trace.critical_path import critical_path, parts_of
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.span_tree import SHORTEST_WAIT, WAITS, SpanNode, build_forest, lanes_of
from asyncrun.trace.used_concurrency import concurrency_of
from asyncrun.trace.verdict import workers_of
from asyncrun.trace.views.folded_tree import render_tree
from asyncrun.trace.views.run_end import render_gaps
from asyncrun.trace.views.styled_text import (
    Style,
    StyledLine,
    StyledPart,
    StyledText,
    Word,
    fit,
    local_time,
    one_line,
    stack,
    style_of,
    utc_time,
)
from asyncrun.trace.views.table import Column, render_table
from asyncrun.trace.views.timing_summary import render_summary

_LAYOUT = (
    Column("run", "<"),
    Column("status", "<"),
    Column("exit", worth=1),
    Column("time"),
    Column("items", worth=3),
    Column("cost", worth=2),
    Column("started", "<"),
    Column("job file", "<", 8, keeps_end=True),
)


def render_runs(runs: Sequence[RunRecord], width: int, now: float, zone: tzinfo | None = None, *, is_filtered: bool = False) -> StyledText:
    """Return a line for each run, the latest first, no line wider than `width`. `now` (seconds since 1970) tells live runs.

    `zone` is that of the times, None for the machine's own. `is_filtered` says that there may be other runs.
    """
    if not runs:
        return StyledText((fit(width, "No run matches." if is_filtered else "No runs are recorded yet."),))
    rows: list[list[Word]] = [
        [
            *(run.run_id, StyledPart(run.status_at(now) + (", partial trace" if run.lost else ""), style_of(run.status_at(now)))),
            "-" if run.exit_code is None else str(run.exit_code),
            "-" if run.seconds is None else duration(run.seconds),
            f"{items:,}" if isinstance(items := run.summary.get("items"), int) else "-",
            dollars(cost) if isinstance(cost := run.summary.get("cost"), int | float) else "-",
            local_time(run.started, zone),
            run.job_file or "-",
        ]
        for run in reversed(runs)
    ]
    return StyledText(tuple(render_table(_LAYOUT, rows, width)))


MOST_PATH_PARTS = 10
MOST_WORKERS = 20
"""Workers of an executor that are shown one by one."""
LEAST_SHARE = 0.005


def render_show(run: RunRecord, spans: Sequence[Span], width: int, now: float) -> StyledText:
    """Return the picture of a run, no line wider than `width`. `now` (seconds since 1970) tells a live run from a dead one."""
    took = "" if run.seconds is None else f" in {duration(run.seconds)}"
    code = "" if run.exit_code is None else f", exit code {run.exit_code}"
    status = StyledPart(one_line(run.status_at(now)), style_of(run.status_at(now)))
    origin = f"started {utc_time(run.started)}, asyncrun {run.version} on {run.host}, {run.job_file or 'no job file'}"
    head = [
        fit(width, StyledPart(f"Run {one_line(run.run_id)}", Style.TITLE), ": ", status, f"{took}{code}"),
        fit(width, one_line(origin)),
    ]
    shown = stack(StyledText(tuple(head)), render_gaps(run, width), render_tree(spans, width), render_summary(spans, width))
    return stack(shown, render_workers(run, width), render_path(spans, width), gap=1)


def render_workers(run: RunRecord, width: int) -> StyledText:
    """Return a table of what each worker of an executor did, no line wider than `width`; no lines of a run in one process."""
    workers = workers_of(run.summary)
    if not workers:
        return StyledText()
    shown, more = workers[:MOST_WORKERS], workers[MOST_WORKERS:]
    rows = [
        [one_line(worker.name) or "others", f"{worker.calls:,}", duration(worker.seconds), duration(worker.ship), _share(worker)]
        for worker in shown
    ]
    layout = [Column("worker", "<", 8), Column("calls"), Column("seconds"), Column("ship"), Column("share")]
    lost = run.summary.get("lost_workers")
    said = [f"and {counted(len(more), 'more worker')}, in `asyncrun trace show --json`"] if more else []
    said += [f"{counted(lost, 'worker')} lost"] if isinstance(lost, int) and lost else []
    return StyledText((*render_table(layout, rows, width), *(fit(width, words) for words in said)))


def _share(worker: WorkerUse) -> str:
    return f"{worker.ship / worker.seconds:.0%}" if worker.seconds else "-"


def render_path(spans: Sequence[Span], width: int) -> StyledText:
    """Return two tables, no line wider than `width`: what the end of the run waited for, and what each job had open at once."""
    forest = build_forest(spans, details=False)
    if not forest:
        return StyledText()
    parts = parts_of(critical_path(forest))
    total = sum(part.seconds for part in parts)
    shown = [part for part in parts[:MOST_PATH_PARTS] if part.seconds >= LEAST_SHARE * total]
    waits = [name for name in WAITS if any(part.waits.get(name, 0.0) >= SHORTEST_WAIT for part in shown)]
    layout = [Column("on the critical path", "<", 8), Column("job", "<", 6), Column("time"), Column("share")]
    layout += [Column(name, worth=sum(part.waits.get(name, 0.0) for part in shown)) for name in waits]
    rows = [
        [
            *(part.event, part.job or "-"),
            *(duration(part.seconds), f"{part.seconds / total:.0%}" if total else "-"),
            *(duration(part.waits.get(name, 0.0)) for name in waits),
        ]
        for part in shown
    ]
    lines = [fit(width, StyledPart(f"Critical path ({duration(total)} from the first start to the last end)", Style.TITLE))]
    lines += render_table(layout, rows, width)
    if len(parts) > len(shown):
        rest = parts[len(shown) :]
        lines.append(fit(width, f"and {counted(len(rest), 'shorter one')}, {duration(sum(part.seconds for part in rest))}"))
    return StyledText((*lines, (), *_used(lanes_of(forest), width)))


def _used(lanes: dict[str, list[SpanNode]], width: int) -> list[StyledLine]:
    rows = []
    for name, heads in lanes.items():
        used = concurrency_of(heads)
        rows.append([name, f"{used.most:.0f}", f"{used.mean:.1f}"])
    return render_table([Column("open at once", "<", 8), Column("most"), Column("mean")], rows, width)
