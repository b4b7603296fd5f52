"""What went wrong in a run: why its jobs ended as they did, and what failed, by its reason."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncrun.callbacks.schema import CBEventType
from asyncrun.humanize import counted
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.span_tree import FOLDED, number_of
from asyncrun.trace.verdict import jobs_of
from asyncrun.trace.views.slow_and_failed import failures_of

MOST_GROUPS = 200
"""Rows of the table of failures; what comes after them is counted."""
MOST_TOLD = 3
"""Places, and different sentences, that are shown of one reason."""


_WITHOUT_AN_END = ("pending", "running")
"""How jobs stand of a run that goes on, or was cut off."""


def endings(run: RunRecord) -> list[dict[str, Any]]:
    """Return why each job that did not succeed ended as it did: `{job, status, reason, hint}`.

    >>> job = {"name": "notes", "status": "partial", "items": 10, "failed": 2}
    >>> endings(RunRecord("r", 0.0, summary={"jobs": [job]}))[0]["reason"]
    '2 of 10 items failed, no more than max_failures allows'
    """
    told = run.summary.get("hints")
    hints = told if isinstance(told, Mapping) else {}
    failed = f"`asyncrun failed{f' {shlex.quote(run.job_file)}' if run.job_file else ''}` lists what failed, and what helps."
    return [
        {
            "job": str(job.get("name")),
            "status": str(job.get("status")),
            "reason": _reason(job),
            "hint": hints.get(job.get("name")) or (failed if job.get("failed") else ""),
        }
        for job in jobs_of(run.summary)
        if job.get("status") not in ("succeeded", *_WITHOUT_AN_END)
    ]


def _reason(job: Mapping[str, Any]) -> str:
    if job.get("reason"):
        return str(job["reason"])
    failed, items = job.get("failed"), job.get("items")
    if job.get("status") == "partial" and isinstance(failed, int) and isinstance(items, int):
        return f"{failed:,} of {counted(items, 'item')} failed, no more than max_failures allows"
    return "no reason is recorded"


@dataclass(slots=True)
class _Group:
    """What failed in a job for one reason: how often, and of the first ones where they were and what was said of them."""

    what: str
    job: str
    reason: str
    count: int = 0
    places: dict[str, None] = field(default_factory=dict)
    words: dict[str, None] = field(default_factory=dict)
    advice: str = ""

    def add(self, count: int, places: Iterable[str], words: Iterable[str]) -> None:
        self.count += count
        self.places.update(dict.fromkeys(places))
        self.words.update(dict.fromkeys(words))

    def shown(self) -> dict[str, Any]:
        told = {"places": list(self.places)[:MOST_TOLD], "words": list(self.words)[:MOST_TOLD]}
        return {"what": self.what, "job": self.job, "reason": self.reason, "count": self.count, **told, "advice": self.advice}


def failed_groups(run: RunRecord, spans: Sequence[Span]) -> list[dict[str, Any]]:
    """Return what failed: `{what, job, reason, count, places, words, advice}`, items first, then events, then other attempts.

    Items are those of the run's summary; `words` are what was said of the first ones of a reason, each once.
    """
    items = sorted(_items(run), key=lambda group: -group.count)
    told = {(group.job, group.reason) for group in items}
    attempts = [group for group in _attempts(spans) if (group.job, group.reason) not in told]
    found = [*items, *_events(run, spans), *attempts]
    rest = _Group("others", "", "", sum(group.count for group in found[MOST_GROUPS:]))
    rest.add(0, (), [f"{counted(len(found) - MOST_GROUPS, 'more reason')}: see `asyncrun failed` and `asyncrun trace errors`"])
    return [group.shown() for group in (*found[:MOST_GROUPS], *([rest] if len(found) > MOST_GROUPS else []))]


def _items(run: RunRecord) -> Iterator[_Group]:
    for told in _listed(run.summary.get("failures")):
        if isinstance(told, Mapping):
            group = _Group("item", str(told.get("job")), str(told.get("reason")), advice=str(told.get("advice") or ""))
            count, places, words = told.get("count"), _listed(told.get("places")), _listed(told.get("messages"))
            group.add(count if isinstance(count, int) else 0, map(str, places), map(str, words))
            yield group


def _events(run: RunRecord, spans: Sequence[Span]) -> list[_Group]:
    """Return the events that failed; where one says what the end of a job says, that is told above."""
    said = {_plain(str(job["reason"])) for job in jobs_of(run.summary) if job.get("reason")}
    found: dict[tuple[str, str, str], _Group] = {}
    for failure in failures_of(run, spans):
        job, place = failure.path[0].removeprefix(f"{CBEventType.ASYNC_JOB.value} "), " > ".join(failure.path[1:])
        if _plain(failure.message) not in said and (place or failure.kind):
            key = (job, failure.kind, _plain(failure.message))
            group = found.setdefault(key, _Group("event", job, failure.kind or "failed"))
            # Of what differs in numbers alone the first is enough.
            words = [failure.message] if failure.message and not group.words else []
            group.add(failure.count, [place] if place else [], words)
    return list(found.values())


def _attempts(spans: Sequence[Span]) -> list[_Group]:
    """Return the attempts that failed, by job and by what their failure means."""
    jobs: dict[int | None, str] = {}
    found: dict[tuple[str, str], _Group] = {}
    for span in spans:
        job = jobs[span.id] = jobs.get(span.parent, span.name or span.type)
        if span.type != CBEventType.ATTEMPT.value:
            continue
        failed = round(number_of(span, "folded.failed")) if FOLDED in span.attributes else int(span.status == "failed")
        if failed:
            words = str(span.attributes.get("error.message", ""))
            found.setdefault((job, span.name), _Group("attempt", job, span.name)).add(failed, (), [words] if words else [])
    return sorted(found.values(), key=lambda group: -group.count)


def _plain(words: str) -> str:
    """Return words without the numbers in which those of one mistake differ."""
    return re.sub(r"\d+", "0", words)


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
