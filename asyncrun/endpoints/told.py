"""What a server's headers say of its limits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping

from asyncrun.aio.limits import WINDOW, StatedLimit
from asyncrun.endpoints.hints import EPOCH, parse_date, parse_duration

# OpenAI and who follows it (Azure: plain numbers, -1 and 0 where it knows none); Mistral's names after them.
_NAMES = (
    ("requests", "x-ratelimit-{}-requests"),
    ("tokens", "x-ratelimit-{}-tokens"),
    ("requests", "x-ratelimit-{}-req-minute"),
    ("tokens", "x-ratelimit-{}-tokens-minute"),
)
_PARAMETER = re.compile(r';\s*(q|w|r|t)\s*=\s*"?(\d+)')
_MOST = 1e12


def told_limits(headers: Mapping[str, str], now: float) -> dict[str, StatedLimit]:
    """Return the limits per minute by unit (requests, tokens); what is missing, not positive or no number is left out.

    Cohere says when a limit is over, but no limit; a limit of another window (the draft of IETF has them) is brought to a minute.

    Args:
        headers: With names in lower case.
        now: Seconds since 1970; the server's own `Date` goes before.

    >>> told_limits({"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59"}, 0.0)
    {'requests': StatedLimit(per_minute=60.0, left=59.0, reset=None)}
    """
    if not any("ratelimit" in name for name in headers):
        return {}
    now = parse_date(headers.get("date", "")) or now
    found: dict[str, StatedLimit] = {}
    for unit, told in (*_named(headers, now), *_ietf(headers)):
        found.setdefault(unit, told)
    return found


def _named(headers: Mapping[str, str], now: float) -> Iterator[tuple[str, StatedLimit]]:
    for unit, name in _NAMES:
        limit = _number(headers.get(name.format("limit"), ""))
        if limit is not None and limit > 0:
            reset = parse_duration(headers.get(name.format("reset"), ""))
            yield unit, StatedLimit(limit, _number(headers.get(name.format("remaining"), "")), _seconds(reset, now))


def _ietf(headers: Mapping[str, str]) -> Iterator[tuple[str, StatedLimit]]:
    """Yield the limit of `RateLimit-Policy: "fixed window";"api";q=500;w=300` with `RateLimit: "api";r=0;t=55`, as Hugging Face has it."""
    policy = {name: float(value) for name, value in _PARAMETER.findall(headers.get("ratelimit-policy", "")[:500])}
    state = {name: float(value) for name, value in _PARAMETER.findall(headers.get("ratelimit", "")[:500])}
    quota, window = policy.get("q", 0.0), policy.get("w", WINDOW)
    if 0 < quota < _MOST and 0 < window < _MOST:
        yield "requests", StatedLimit(quota * WINDOW / window, state.get("r"), _seconds(state.get("t"), 0.0, window))


def _seconds(reset: float | None, now: float, window: float = WINDOW) -> float | None:
    """Return the seconds until a limit is whole again; a large bare number is a time. More than the window is about something else."""
    if reset is None or not math.isfinite(reset):
        return None
    left = reset - now if reset > EPOCH else reset
    return left if 0 <= left <= window else None


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None
