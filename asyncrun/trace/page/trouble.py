"""What went wrong in a run: why its jobs ended as they did, and what failed, by its reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncrun.callbacks.schema import CBEventType
from asyncrun.humanize import counted
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.span_tree import number_of
from asyncrun.trace.verdict import jobs_of
from asyncrun.trace.views.slow_and_failed import failures_of

MOST_GROUPS = 200
"""Rows of the table of failures; what comes after them is counted."""
MOST_WORDS = 3
"""Different sentences of a server that are shown of one reason."""


def endings(run: RunRecord) -> list[dict[str, Any]]:
    """Return why each job that did not succeed ended as it did: `{job, status, reason, hint}`.

    >>> job = {"name": "notes", "status": "partial", "items": 10, "failed": 2}
    >>> endings(RunRecord("r", 0.0, summary={"jobs": [job]}))[0]["reason"]
    '2 of 10 items failed, no more than max_failures allows'
    """
    told = run.summary.get("hints")
    hints = told if isinstance(told, Mapping) else {}
    return [
        {"job": str(job.get("name")), "status": str(job.get("status")), "reason": _reason(job), "hint": hints.get(job.get("name"), "")}
        for job in jobs_of(run.summary)
        if job.get("status") != "succeeded"
    ]


def _reason(job: Mapping[str, Any]) -> str:
    if job.get("reason"):
        return str(job["reason"])
    failed, items = job.get("failed"), job.get("items")
    if job.get("status") == "partial" and isinstance(failed, int) and isinstance(items, int):
        return f"{failed:,} of {counted(items, 'item')} failed, no more than max_failures allows"
    return "no reason is recorded"


def failed_groups(run: RunRecord, spans: Sequence[Span]) -> list[dict[str, Any]]:
    """Return what failed: `{what, job, reason, count, places, words}`, items first, then events, then other attempts.

    Items are those of the run's summary; `words` are what was said of the first ones of a reason, each once.
    """
    items = [
        {
            "what": "item",
            "job": str(group.get("job")),
            "reason": str(group.get("reason")),
            "count": group.get("count"),
            "places": [str(place) for place in _listed(group.get("places"))],
            "words": [str(words) for words in _listed(group.get("messages"))],
        }
        for group in _listed(run.summary.get("failures"))
        if isinstance(group, Mapping)
    ]
    events = [
        {
            "what": "event",
            "job": failure.path[0].removeprefix(f"{CBEventType.ASYNC_JOB.value} "),
            "reason": failure.kind or "failed",
            "count": failure.count,
            "places": [" > ".join(failure.path[1:])] if failure.path[1:] else [],
            "words": [failure.message] if failure.message else [],
        }
        for failure in failures_of(run, spans)
        # A job that failed has its reason told above.
        if failure.path[1:] or failure.kind
    ]
    told = {(group["job"], group["reason"]) for group in items}
    attempts = [group for group in _attempts(spans) if (group["job"], group["reason"]) not in told]
    found = [*sorted(items, key=lambda group: -_size(group)), *events, *attempts]
    return [*found[:MOST_GROUPS], *_rest(found[MOST_GROUPS:])]


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _size(group: Mapping[str, Any]) -> int:
    return group["count"] if isinstance(group["count"], int) else 0


def _rest(groups: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if not groups:
        return []
    words = f"{counted(len(groups), 'more reason')}: asyncrun trace errors, asyncrun failed"
    return [{"what": "others", "job": "", "reason": "", "count": sum(map(_size, groups)), "places": [], "words": [words]}]


@dataclass(slots=True)
class _Tally:
    count: int = 0
    words: dict[str, None] = field(default_factory=dict)


def _attempts(spans: Sequence[Span]) -> list[dict[str, Any]]:
    """Return the attempts that failed, by job and by what their failure means: most of them the next attempt made good."""
    jobs: dict[int | None, str] = {}
    tallies: dict[tuple[str, str], _Tally] = {}
    for span in spans:
        jobs[span.id] = jobs.get(span.parent, span.name or span.type)
        if span.type != CBEventType.ATTEMPT.value:
            continue
        failed = round(number_of(span, "folded.failed")) if "folded.count" in span.attributes else int(span.status == "failed")
        if failed:
            tally = tallies.setdefault((jobs[span.id], span.name), _Tally())
            tally.count += failed
            if words := str(span.attributes.get("error.message", "")):
                tally.words.setdefault(words)
    return [
        {"what": "attempt", "job": job, "reason": reason, "count": tally.count, "places": [], "words": list(tally.words)[:MOST_WORDS]}
        for (job, reason), tally in sorted(tallies.items(), key=lambda pair: -pair[1].count)
    ]
