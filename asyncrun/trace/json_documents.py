"""Runs and spans as JSON documents, for `asyncrun trace list --json` and `asyncrun trace show --json`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from asyncrun.trace.run_record import RunRecord, Span

SCHEMA = 1


def runs_document(runs: Iterable[RunRecord], now: float) -> dict[str, Any]:
    """Return `{schema, runs: [{run_id, started, status, exit_code, seconds, items, cost}]}`; what is not known yet is null.

    >>> run = RunRecord("r", 0.0, 2.0, "succeeded", 0, 2.0, None, "1", "here", {"items": 9})
    >>> [run] = runs_document([run], now=5.0)["runs"]
    >>> run["started"], run["items"], run["cost"]
    ('1970-01-01T00:00:00.000000Z', 9, None)
    """
    return {"schema": SCHEMA, "runs": [{**_head(run, now), **{name: run.summary.get(name) for name in ("items", "cost")}} for run in runs]}


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
    return {"schema": SCHEMA, "run": _head(run, now) | details, "spans": [_span(span) for span in spans]}


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
