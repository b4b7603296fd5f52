"""What a recorded run is: one record for the run, one span for each of its events, one for many that are alike.

Events of one type and name below one parent are alike. Past the first ones they are folded: the slowest, the failed and an
even sample keep spans of their own, all others share one span. Its `start` is their first start, its `end` their last end so
far, its status succeeded, and its attributes hold:

- `folded.count`: how many events it stands for; a span without it is one event.
- `folded.seconds`, `folded.own`: the sums of their durations and of their own time (without children).
- `folded.min`, `folded.max`: the shortest and the longest duration among them.
- `folded.p50`, `folded.p95`: of all that are alike, those with spans of their own included; within 2 %.
- `folded.failed`: how many of them did not succeed; there only when more did not than are kept.
- every other number (`tokens`, `waits.rate`, ...): the sum over them; a text only where all have the same.

A span some of whose children are folded has `folded.below`, once it has ended: seconds in which at least one child was open.
So the sum over all spans is exact. What happened below folded events is folded below their span, in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

RUNNING = "running"
UNFINISHED = "unfinished"
"""The status of a run, or a span, whose end was never recorded: the process was killed, or its disk was full."""

MICROSECONDS = 1_000_000
"""In a second."""

SILENCE = 15.0
"""Seconds without a sign of life after which a run without an end counts as unfinished; the recorder gives one every 5 s."""


def new_run_id(now: float, token: str) -> str:
    """Return a run's id: the time in UTC, so that ids sort, and a token for two runs of one second.

    >>> new_run_id(0.0, "4f2a")
    '19700101-000000-4f2a'
    """
    return f"{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}-{token}"


@dataclass(frozen=True, slots=True)
class Span:
    """One event of a run, from its start to its end.

    `start` and `end` are seconds since 1970, measured from the run's start by a clock that only grows; `end` is None as long
    as the event is open. `id` counts a run's spans from 1, a parent before its children, with gaps where events were folded;
    `parent` is None for the outermost. `attributes` are numbers and short texts, such as `waits.rate` (seconds). `status` is
    succeeded, failed, cancelled, running, or what the event's end said.
    """

    run_id: str
    id: int
    parent: int | None
    type: str
    name: str
    start: float
    end: float | None
    status: str
    attributes: Mapping[str, bool | int | float | str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Return its type, and its name where it has one."""
        return f"{self.type} {self.name}".strip()

    @property
    def seconds(self) -> float | None:
        """Return how long the event took; None as long as it is open."""
        return None if self.end is None else max(self.end - self.start, 0.0)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run: when, where and how it ended.

    `ended`, `exit_code` and `seconds` are None as long as no end is recorded. `seen` is the latest sign of life, `lost` the
    number of spans that could not be written: above 0 the trace is partial. `settings` are what the job file came down to, by
    dotted names (`embed-notes.embedder.model`), without secrets and texts; `job_file_hash` is the SHA-256 of the file.
    """

    run_id: str
    started: float
    ended: float | None = None
    status: str = RUNNING
    exit_code: int | None = None
    seconds: float | None = None
    job_file: str | None = None
    version: str = ""
    host: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)
    seen: float = 0.0
    lost: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    job_file_hash: str | None = None

    def status_at(self, now: float) -> str:
        """Return the status as it is known at `now` (seconds since 1970): a run that fell silent is unfinished.

        >>> RunRecord("r", 0.0, None, "running", None, None, None, "1", "here", seen=100.0).status_at(110.0)
        'running'
        """
        if self.ended is not None:
            return self.status
        # Its last sign lies in the future when the clock was set back since.
        return RUNNING if abs(now - self.seen) <= SILENCE else UNFINISHED
