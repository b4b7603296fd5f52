"""By when rows are to be there, and what follows from it: another batch, waiting, or sending the rest online now. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

from asyncrun.jobfile.units import Deadline

CANCELLING = 600.0
"""Seconds that a provider takes at most to cancel a batch; what it has done by then is paid, and collected first."""
MARGIN = 1.25
"""So many times what the rest takes at the limits is kept free for it."""
UNKNOWN_REST = 3600.0
"""Seconds that are kept free where no limit is known that says how long the rest takes."""
WORTH = 24
"""A batch is worth a try as long as this part of the time is left that its provider takes at most."""


class Step(StrEnum):
    """What is done with the rows that are not there yet."""

    SUBMIT = "submit"
    """Those that lie at no provider are put into a batch; then one waits."""
    WAIT = "wait"
    """For what lies at the provider; it is too late for another batch."""
    ONLINE = "online"
    """What lies at the provider is cancelled, and all that it has not done is sent online."""


@dataclass(frozen=True, slots=True)
class NextStep:
    """What is done now, and until when (seconds since 1970; None: without an end)."""

    step: Step
    until: float | None = None


def due_at(deadline: Deadline, begun: float, zone: tzinfo | None = None) -> float:
    """Return the moment that a deadline means for work that has begun at `begun`: both in seconds since 1970.

    A time of day is the next one after the beginning, however often a run has gone on since. `zone` None is the machine's own. A time that
    the clocks leave out in spring is an hour later, one that they have twice in autumn is the first.

    >>> from datetime import UTC, time
    >>> due_at(Deadline(at=time(6)), 0.0, UTC), due_at(Deadline(seconds=90.0), 10.0)
    (21600.0, 100.0)
    """
    if deadline.at is None:
        return begun + (deadline.seconds or 0.0)
    today = datetime.fromtimestamp(begun, zone).date()
    days = (today + timedelta(days=later) for later in (0, 1))
    moments = (datetime.combine(day, deadline.at, zone).timestamp() for day in days)
    return next(moment for moment in moments if moment > begun)


def last_moment(due: float, rest: float | None) -> float:
    """Return until when one can wait for batches: what is left then is done online by `due`.

    `rest` is the seconds that it takes at the limits, None where no limit is known.

    >>> last_moment(10_000.0, 800.0)
    8400.0
    """
    return due - CANCELLING - (UNKNOWN_REST if rest is None else MARGIN * rest)


def choose(now: float, due: float | None, *, window: float, rest: float | None, waiting: bool) -> NextStep:
    """Return what is done now.

    Args:
        now: Seconds since 1970, as `due`.
        due: When all is to be done, None: whenever it is.
        window: Seconds that a batch takes at most.
        rest: Seconds that all takes online which is not done, what lies at the provider included; None: not known.
        waiting: Whether something lies at the provider.

    >>> choose(0.0, None, window=86400.0, rest=60.0, waiting=False)
    NextStep(step=<Step.SUBMIT: 'submit'>, until=None)
    >>> choose(0.0, 600.0, window=86400.0, rest=60.0, waiting=True).step
    <Step.ONLINE: 'online'>
    """
    if due is None:
        return NextStep(Step.SUBMIT)
    last = last_moment(due, rest)
    if now >= last:
        return NextStep(Step.ONLINE)
    if last - now >= window / WORTH:
        return NextStep(Step.SUBMIT, last)
    return NextStep(Step.WAIT, last) if waiting else NextStep(Step.ONLINE)
