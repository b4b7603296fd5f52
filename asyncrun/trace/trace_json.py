"""Recorded runs as JSON documents: lists, one run with its spans, and what the views show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from asyncrun.escape import printable
from asyncrun.trace.run_comparison import changes_between, measure_jobs, measure_run, settings_between
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.span_tree import build_forest, lanes_of
from asyncrun.trace.used_concurrency import concurrency_of, mean_levels, stretches_of
from asyncrun.trace.views.slow_and_failed import failures_of, slowest

_SCHEMA = 1
TIMELINE_PARTS = 100
"""Parts of a run's time for each of which a timeline says what was going on."""


def runs_document(runs: Iterable[RunRecord], now: float) -> dict[str, Any]:
    """Return `{schema, runs: [{run_id, started, status, exit_code, seconds, items, cost}]}`; what is not known yet is null.

    >>> run = RunRecord("r", 0.0, 2.0, "succeeded", 0, 2.0, None, "1", "here", {"items": 9})
    >>> [run] = runs_document([run], now=5.0)["runs"]
    >>> run["started"], run["items"], run["cost"]
    ('1970-01-01T00:00:00.000000Z', 9, None)
    """
    return {
        "schema": _SCHEMA,
        "runs": [{**_head(run, now), **{name: run.summary.get(name) for name in ("items", "cost")}} for run in runs],
    }


def trace_document(run: RunRecord, spans: Sequence[Span], now: float) -> dict[str, Any]:
    """Return one run with all its spans: `start` and `end` are ISO 8601 in UTC, `seconds` and `end` null while a span is open."""
    details = {
        "job_file": run.job_file,
        "version": run.version,
        "host": run.host,
        "job_file_hash": run.job_file_hash,
        "settings": dict(run.settings),
        "summary": dict(run.summary),
        "partial": run.lost > 0,
        "lost_spans": run.lost,
    }
    return {"schema": _SCHEMA, "run": _head(run, now) | details, "spans": [_span(span) for span in spans]}


def iso(seconds: float) -> str:
    """Return a time (seconds since 1970) as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _head(run: RunRecord, now: float) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "started": iso(run.started),
        "status": run.status_at(now),
        "exit_code": run.exit_code,
        "seconds": run.seconds,
    }


def _span(span: Span) -> dict[str, Any]:
    return {
        "id": span.id,
        "parent": span.parent,
        "type": span.type,
        "name": span.name,
        "start": iso(span.start),
        "end": None if span.end is None else iso(span.end),
        "seconds": span.seconds,
        "status": span.status,
        "attributes": dict(span.attributes),
    }


def timeline_document(run: RunRecord, spans: Sequence[Span]) -> dict[str, Any]:
    """Return `{schema, run_id, start, seconds, lanes: [{job, most, mean, levels}]}`; `levels` are means over equal parts of the time."""
    forest = build_forest(spans, details=False)
    start = min((node.span.start for node in forest), default=run.started)
    end = max((node.end for node in forest), default=run.started)
    lanes = [
        {
            "job": name,
            **asdict(concurrency_of(heads)),
            "levels": [round(level, 3) for level in mean_levels(stretches_of(heads), start, end, TIMELINE_PARTS)],
        }
        for name, heads in lanes_of(forest).items()
    ]
    return {"schema": _SCHEMA, "run_id": run.run_id, "start": iso(start), "seconds": end - start, "lanes": lanes}


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
    return {"schema": _SCHEMA, "run_id": run.run_id, "events": events}


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
    return {"schema": _SCHEMA, "run_id": run.run_id, "errors": errors}


def diff_document(before: tuple[RunRecord, Sequence[Span]], after: tuple[RunRecord, Sequence[Span]]) -> dict[str, Any]:
    """Return `{schema, before, after, changes, jobs: [{name, changes}], settings}`; `before` and `after` are ids of runs."""
    ours, theirs = measure_jobs(before[1]), measure_jobs(after[1])
    return {
        "schema": _SCHEMA,
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


def plain_document(run: RunRecord, spans: Sequence[Span], now: float) -> dict[str, Any]:
    """Return the run with its spans; control characters in texts are written out, so that the document can be shown anywhere.

    >>> run = RunRecord("r", 0.0, 2.0, "succeeded", 0, 2.0, None, "1", "here")
    >>> plain_document(run, [], now=5.0)["run"]["status"]
    'succeeded'
    """
    document: dict[str, Any] = shown_values(trace_document(run, spans, now))
    return document


def shown_values(value: Any) -> Any:
    r"""Return a value that JSON can hold: control characters in texts written out, numbers without an end as texts.

    >>> shown_values({"a": ["\x1b", float("inf")]})
    {'a': ['\\x1b', 'inf']}
    """
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(str(key)): shown_values(part) for key, part in value.items()}
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    return [shown_values(part) for part in value] if isinstance(value, list | tuple) else value
