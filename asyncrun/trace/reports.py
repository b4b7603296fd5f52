"""What the views show as JSON documents: timeline, slowest events, failures and the difference of two runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from asyncrun.trace.json_documents import SCHEMA, iso
from asyncrun.trace.measures import measure_jobs, measure_run
from asyncrun.trace.run_comparison import changes_between, settings_between
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.span_tree import build_forest
from asyncrun.trace.used_concurrency import concurrency_of, mean_levels, stretches_of
from asyncrun.trace.views.errors import failures_of
from asyncrun.trace.views.jobs import lanes_of
from asyncrun.trace.views.slow import slowest

PARTS = 100
"""Parts of a run's time for each of which a timeline says what was going on."""


def timeline_document(run: RunRecord, spans: Sequence[Span]) -> dict[str, Any]:
    """Return `{schema, run_id, start, seconds, lanes: [{job, most, mean, levels}]}`; `levels` are means over equal parts of the time."""
    forest = build_forest(spans, details=False)
    start = min((node.span.start for node in forest), default=run.started)
    end = max((node.end for node in forest), default=run.started)
    lanes = [
        {
            "job": name,
            **asdict(concurrency_of(heads)),
            "levels": [round(level, 3) for level in mean_levels(stretches_of(heads), start, end, PARTS)],
        }
        for name, heads in lanes_of(forest).items()
    ]
    return {"schema": SCHEMA, "run_id": run.run_id, "start": iso(start), "seconds": end - start, "lanes": lanes}


def slow_document(run: RunRecord, spans: Sequence[Span], count: int) -> dict[str, Any]:
    """Return `{schema, run_id, events: [{id, job, type, name, start, seconds, own_seconds, status, attributes}]}`, the slowest first."""
    events = [
        {
            "id": node.span.id,
            "job": job or None,
            "type": node.span.type,
            "name": node.span.name,
            "start": iso(node.span.start),
            "seconds": node.seconds,
            "own_seconds": node.own_seconds,
            "status": node.span.status,
            "attributes": dict(node.span.attributes),
        }
        for node, job in slowest(spans, count)
    ]
    return {"schema": SCHEMA, "run_id": run.run_id, "events": events}


def errors_document(run: RunRecord, spans: Sequence[Span]) -> dict[str, Any]:
    """Return `{schema, run_id, errors: [{id, path, start, count, type, message, texts}]}`; `texts` only where the trace has them."""
    errors = [
        {
            "id": failure.span.id,
            "path": list(failure.path),
            "start": iso(failure.span.start),
            "count": failure.count,
            "type": failure.kind or None,
            "message": failure.message or None,
            "texts": failure.texts,
        }
        for failure in failures_of(run, spans)
    ]
    return {"schema": SCHEMA, "run_id": run.run_id, "errors": errors}


def diff_document(before: tuple[RunRecord, Sequence[Span]], after: tuple[RunRecord, Sequence[Span]]) -> dict[str, Any]:
    """Return `{schema, before, after, changes, jobs: [{name, changes}], settings}`; `before` and `after` are ids of runs."""
    ours, theirs = measure_jobs(before[1]), measure_jobs(after[1])
    return {
        "schema": SCHEMA,
        "before": before[0].run_id,
        "after": after[0].run_id,
        "changes": [asdict(change) for change in changes_between(measure_run(before[1]), measure_run(after[1]))],
        "jobs": [
            {"name": name, "changes": [asdict(change) for change in changes_between(ours[name], theirs[name])]}
            for name in ours
            if name in theirs
        ],
        "settings": [asdict(setting) for setting in settings_between(before[0], after[0])],
    }
