"""The limits of an endpoint: what it allows a minute, and when so many units may go, given what went before. Pure: times in, times out."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from asyncrun.short_help import ShortHelp

DEFAULT_CONCURRENCY = 8
"""Requests in flight where nobody states a number."""
WINDOW = 60.0
"""Seconds in which a limit "per minute" holds, wherever the window is laid."""
SLACK = 0.05
"""Seconds added to the window: two requests may come closer on their way to the server."""
SPACING = 0.995
"""Share of the rate at which units are spaced: at the full rate, the window's slack alone would hold up every request."""
CATCH_UP = 1.0
"""Seconds of unused rate that may be made up for."""
UNITS = ("requests", "tokens", "inputs", "input_tokens", "output_tokens")
"""What is counted a minute."""


def need_of(tokens: float, inputs: float, output_tokens: float = 0.0) -> dict[str, float]:
    """Return the units of one request; `tokens` are all of it, `output_tokens` those of them that come out.

    >>> need_of(100, 1, 40)
    {'requests': 1, 'inputs': 1, 'tokens': 100, 'input_tokens': 60, 'output_tokens': 40}
    """
    return {"requests": 1, "inputs": inputs, **tokens_by_unit(tokens, output_tokens)}


def tokens_by_unit(tokens: float, output_tokens: float) -> dict[str, float]:
    """Return tokens under each unit that counts them."""
    return {"tokens": tokens, "input_tokens": tokens - output_tokens, "output_tokens": output_tokens}


@dataclass(frozen=True, slots=True)
class Limits(metaclass=ShortHelp):
    """What an endpoint allows; None: not known.

    The rates are per minute, each above 0: `tokens_per_minute` of all tokens, the last two of those that go in and of those that come out.
    `concurrency` >= 1 is the number of requests in flight over all jobs (8 when None); `share` in (0, 1] is the part of the rates that is
    ours, when another process uses the same key.

    >>> from asyncrun.embedders import OpenAIEmbedding
    >>> limits = Limits(requests_per_minute=600, concurrency=4)
    >>> OpenAIEmbedding("text-embedding-3-small", api_key="a-key", limits=limits).rate_limits.requests_per_minute
    600
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    inputs_per_minute: float | None = None
    concurrency: int | None = None
    share: float = 1.0
    input_tokens_per_minute: float | None = None
    output_tokens_per_minute: float | None = None

    def __post_init__(self) -> None:
        for unit, limit in self.per_minute().items():
            if limit is not None and not 0 < limit < math.inf:
                raise ValueError(f"{unit}_per_minute must be above 0, not {limit}")
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"concurrency must be 1 or more, not {self.concurrency}")
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, not {self.share}")

    def per_minute(self) -> dict[str, float | None]:
        """Return our share of the rates by unit.

        >>> Limits(requests_per_minute=600, share=0.5).per_minute()
        {'requests': 300.0, 'tokens': None, 'inputs': None, 'input_tokens': None, 'output_tokens': None}
        """
        return {unit: None if (limit := getattr(self, f"{unit}_per_minute")) is None else limit * self.share for unit in UNITS}

    @classmethod
    def together(cls, limits: Sequence[Limits]) -> Limits:
        """Return what several endpoints allow together; a rate that one of them does not state is not known.

        >>> Limits.together([Limits(60, 10), Limits(30)]).per_minute()["requests"]
        90.0
        """
        stated = [each.per_minute() for each in limits]
        return cls().with_rates({unit: _sum([each[unit] for each in stated]) for unit in UNITS})

    def with_rates(self, per_minute: Mapping[str, float | None]) -> Limits:
        """Return these limits with other rates, by unit."""
        rates: dict[str, Any] = {f"{unit}_per_minute": rate for unit, rate in per_minute.items()}
        return replace(self, **rates)


def _sum(rates: Sequence[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if len(known) == len(rates) else None


@dataclass(frozen=True, slots=True)
class StatedLimit:
    """What a server says of one limit: how many units a minute, how many are `left` now, and in how many seconds all are back (`reset`).

    None: it does not say.
    """

    per_minute: float
    left: float | None = None
    reset: float | None = None


@dataclass(slots=True, eq=False)
class Sent:
    """Units that went at one time; `counted` while they lie within the window."""

    at: float
    units: float
    counted: bool = True


class Meter:
    """One limit per minute: units are spaced evenly, and a log of what was sent keeps every window of 60 s within the limit.

    Spacing alone is not enough: a bucket that makes up for one or two idle seconds admits 609 to 619 in some 60 s at 600 per minute.
    The log alone is not enough: it would send the whole minute as a burst, and servers look at shorter windows too.
    At the start nothing is saved up (a process that crashed may have spent this minute), so one request goes and the next is spaced.

    Units that exceed the limit itself go alone, when the window is empty, and the next wait until their debt is paid.
    """

    def __init__(self, per_minute: float, start: float) -> None:
        self.per_minute = per_minute
        self._rate = SPACING * per_minute / WINDOW
        self._free_at = start
        self._log: deque[Sent] = deque()
        self._total = 0.0

    def ready_at(self, now: float, units: float) -> float:
        """Return the time, `now` or later, at which `units` may go if nothing else goes before."""
        self._forget(now)
        at = max(now, self._free_at)
        excess = self._total + units - self.per_minute
        for sent in self._log:
            if excess <= 0:
                break
            excess -= sent.units
            at = max(at, _expires(sent))
        return at

    def take(self, now: float, units: float) -> Sent:
        """Count `units` as sent now."""
        self._free_at = max(self._free_at, now - CATCH_UP) + units / self._rate
        sent = Sent(now, units)
        self._log.append(sent)
        self._total += units
        return sent

    def correct(self, sent: Sent, units: float) -> None:
        """Replace an estimate by what was really used; too low an estimate is paid for by the next."""
        difference = units - sent.units
        self._free_at += difference / self._rate
        if sent.counted:
            sent.units = units
            self._total += difference

    def hold(self, until: float) -> None:
        """Let nothing go before `until`, and save nothing up for then."""
        self._free_at = max(self._free_at, until)

    def spent(self, now: float, units: float, reset: float) -> None:
        """Count `units` that went before this meter was there; they are back in `reset` seconds."""
        self._log.appendleft(Sent(now + reset - WINDOW, units))
        self._total += units

    def _forget(self, now: float) -> None:
        while self._log and _expires(self._log[0]) <= now:
            sent = self._log.popleft()
            sent.counted = False
            self._total -= sent.units
        if not self._log:
            self._total = 0.0  # rounding must not add up over days


def _expires(sent: Sent) -> float:
    return sent.at + WINDOW + SLACK


class Rates:
    """The limits per minute of one endpoint by unit (requests, tokens, inputs): a request goes when all of them allow it.

    >>> rates = Rates({"requests": 60.0}, start=0.0)
    >>> rates.wait(0.0, {"requests": 1})
    0.0
    >>> reservation = rates.take(0.0, {"requests": 1})
    >>> round(rates.wait(0.0, {"requests": 1}), 3)
    1.005
    """

    def __init__(self, per_minute: Mapping[str, float | None], start: float) -> None:
        self._meters = {unit: Meter(limit, start) for unit, limit in per_minute.items() if limit is not None}

    def wait(self, now: float, need: Mapping[str, float]) -> float:
        """Return the seconds until the needed units may go, 0 for at once."""
        return max((meter.ready_at(now, need.get(unit, 0.0)) - now for unit, meter in self._meters.items()), default=0.0)

    def take(self, now: float, need: Mapping[str, float]) -> Mapping[str, Sent]:
        """Count the units as sent now; return what `correct` needs."""
        return {unit: meter.take(now, need.get(unit, 0.0)) for unit, meter in self._meters.items()}

    def correct(self, reservation: Mapping[str, Sent], unit: str, units: float) -> None:
        """Replace the estimate of one unit by what was really used."""
        if unit in reservation:
            self._meters[unit].correct(reservation[unit], units)

    def hold(self, until: float) -> None:
        """Let nothing go before `until`, and save nothing up for then."""
        for meter in self._meters.values():
            meter.hold(until)

    def learn(self, unit: str, stated: StatedLimit, now: float) -> bool:
        """Add a limit that was not known before, what is used of it included; one that is known stays. Returns whether it was news."""
        if unit in self._meters:
            return False
        meter = self._meters[unit] = Meter(stated.per_minute, now)
        if stated.left is not None and stated.left < stated.per_minute:
            meter.spent(now, stated.per_minute - stated.left, WINDOW if stated.reset is None else stated.reset)
        return True
