"""Values with a unit, as they are written: durations, sizes, percentages, thresholds, deadlines."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import time
from fractions import Fraction

DURATIONS = "seconds above 0 such as 30, or 500ms, 10s, 15m, 2h, 30d"
SIZES = "bytes such as 2000000, or 10KB, 10MB, 10GB, 10MiB"
SHARES = "a percentage above 0 and up to 100%, such as 50%"
THRESHOLDS = "a whole number such as 10, or a percentage such as 1%"
DEADLINES = "a local time of day such as '06:00', or a duration such as 8h"
MAX_SECONDS = 10 * 365 * 86400.0

_SECONDS: dict[str, int | Fraction] = {"": 1, "ms": Fraction(1, 1000), "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "b": 1}
_BYTES |= {f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)}
_BYTES |= {f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)}
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_MEASURE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([A-Za-z]*|%)")


@dataclass(frozen=True, slots=True)
class Threshold:
    """How many of some may: a `count`, or `percent` (0 to 100) of them, rounded up. Exactly one of the two is set.

    >>> Threshold(percent=1.0).of(250), Threshold(count=7).of(250)
    (3, 7)
    """

    count: int | None = None
    percent: float | None = None

    def of(self, total: int) -> int:
        """Return how many of `total` may."""
        if self.percent is None:
            return self.count or 0
        # By fractions: 7% of 100 is 7.000000000000001 in floats, which would be rounded up to 8.
        return math.ceil(Fraction(str(self.percent)) * total / 100)

    def __str__(self) -> str:
        return str(self.count) if self.percent is None else f"{self.percent:g}%"


@dataclass(frozen=True, slots=True)
class Deadline:
    """When work should be done: so many `seconds` after it has begun, or `at` a local time of day. Exactly one of the two is set.

    >>> str(Deadline(at=time(6))), str(Deadline(seconds=28800.0))
    ('06:00', '28800s')
    """

    seconds: float | None = None
    at: time | None = None

    def __str__(self) -> str:
        return f"{self.seconds:.15g}s" if self.at is None else f"{self.at:%H:%M}"


def parse_duration(value: float | str) -> float:
    """Return seconds, above 0 and at most ten years.

    >>> [parse_duration(text) for text in (60, "500ms", "15m", "2h")]
    [60.0, 0.5, 900.0, 7200.0]

    Raises ValueError.
    """
    number, unit = _measure(value)
    if unit not in _SECONDS:
        raise ValueError("no such unit of time")
    # By fractions: 43 * 0.001 is 0.043000000000000003 in floats, and no longer 0.043.
    seconds = float(Fraction(number) * _SECONDS[unit])
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError("0 seconds" if not seconds else "longer than ten years")
    return seconds


def parse_size(value: float | str) -> int:
    """Return bytes, 1 or more; `MB` is a million, `MiB` is 1024 x 1024.

    >>> parse_size("2MB"), parse_size("1KiB"), parse_size(10)
    (2000000, 1024, 10)

    Raises ValueError.
    """
    number, unit = _measure(value)
    if unit.lower() not in _BYTES:
        raise ValueError("no such unit of size")
    size = Fraction(number) * _BYTES[unit.lower()]
    if size < 1 or size.denominator != 1:
        raise ValueError("not a whole number of bytes above 0")
    return int(size)


def parse_share(value: float | str) -> float:
    """Return a percentage as a fraction, above 0 and at most 1. Raises ValueError.

    >>> parse_share("12.5%")
    0.125
    """
    share = _percent(*_measure(value)) / 100
    if not share:
        raise ValueError("nothing at all")
    return share


def parse_threshold(value: float | str) -> Threshold:
    """Return a threshold. Raises ValueError.

    >>> parse_threshold("1%"), parse_threshold(0)
    (Threshold(count=None, percent=1.0), Threshold(count=0, percent=None))
    """
    number, unit = _measure(value)
    if unit == "%":
        return Threshold(percent=_percent(number, unit))
    if unit or Fraction(number).denominator != 1:
        raise ValueError("neither a count nor a percentage")
    return Threshold(count=int(Fraction(number)))


def parse_deadline(value: float | str) -> Deadline:
    """Return a deadline. Raises ValueError.

    >>> parse_deadline("06:00"), parse_deadline("8h")
    (Deadline(seconds=None, at=datetime.time(6, 0)), Deadline(seconds=28800.0, at=None))
    """
    clock = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if clock is None:
        return Deadline(seconds=parse_duration(value))
    return Deadline(at=time(int(clock[1]), int(clock[2])))


def _percent(number: str, unit: str) -> float:
    if unit != "%":
        raise ValueError("no percent sign")
    if float(number) > 100:
        raise ValueError("more than all")
    return float(number)


def _measure(value: float | str) -> tuple[str, str]:
    """Return the digits and the unit of a value as it was written."""
    text = value.strip() if isinstance(value, str) else f"{value:f}" if isinstance(value, float) else str(value)
    match = _MEASURE.fullmatch(text)
    if match is None:
        raise ValueError  # What stands there says it all.
    return match[1], match[2]
