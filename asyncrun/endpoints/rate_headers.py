"""What a server's reply says of its limits: how long to wait, from headers, body and words; and its rates, from headers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from asyncrun.aio.limits import WINDOW, StatedLimit

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)(us|ms|s|m|h|d))")
_WORDS = re.compile(r"(?:retry|try again)\s+(?:after|in)\s+(\d+(?:\.\d+)?)\s*(ms|seconds?|s|minutes?|m)?\b", re.IGNORECASE)
_RATE_LIMIT = re.compile(r";\s*t=(\d+)")
EPOCH = 1e9
"""A bare number above this is a time, not a duration: 30 years of waiting are not meant."""
# OpenAI and who follows it (Azure: plain numbers, -1 and 0 where it knows none); Mistral's names after them.
_NAMES = (
    ("requests", "x-ratelimit-{}-requests"),
    ("tokens", "x-ratelimit-{}-tokens"),
    ("requests", "x-ratelimit-{}-req-minute"),
    ("tokens", "x-ratelimit-{}-tokens-minute"),
)
# Anthropic's, the other way round; its resets are times, to the second.
_ANTHROPIC = (
    ("requests", "anthropic-ratelimit-requests-{}"),
    ("tokens", "anthropic-ratelimit-tokens-{}"),
    ("input_tokens", "anthropic-ratelimit-input-tokens-{}"),
    ("output_tokens", "anthropic-ratelimit-output-tokens-{}"),
)
_PARAMETER = re.compile(r';\s*(q|w|r|t)\s*=\s*"?(\d+)')
_MOST = 1e12


def wait_hint(headers: Mapping[str, str], document: Any, words: str, now: float) -> float | None:
    """Return the seconds that a server asks to wait, None when it does not say so or says nonsense.

    Args:
        headers: With names in lower case.
        document: The body as decoded, None when it is no JSON.
        words: The error's message.
        now: Seconds since 1970; the server's own `Date` goes before, so that a wrong clock here or there is no matter.

    >>> wait_hint({"retry-after": "2"}, None, "", 0.0), wait_hint({"retry-after": "nan"}, None, "", 0.0)
    (2.0, None)
    """
    now = parse_date(headers.get("date", "")) or now
    for seconds in _candidates(headers, document, words, now):
        if seconds is not None and math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def parse_go_duration(text: str) -> float | None:
    """Return seconds of a Go duration (`6m0s`, `12ms`) or a bare number, None for anything else.

    >>> parse_go_duration("6m0s"), parse_go_duration("12ms"), parse_go_duration("1.5"), parse_go_duration("soon")
    (360.0, 0.012, 1.5, None)
    """
    text = text.strip()
    found = _DURATION.findall(text)
    if found and "".join(number + unit for number, unit in found) == text:
        return sum(float(number) * _UNITS[unit] for number, unit in found)
    try:
        return float(text)
    except ValueError:
        return None


def _candidates(headers: Mapping[str, str], document: Any, words: str, now: float) -> Iterator[float | None]:
    milliseconds = parse_go_duration(headers.get("retry-after-ms", ""))
    yield None if milliseconds is None else milliseconds / 1000
    after = headers.get("retry-after", "")
    at = parse_date(after)
    yield parse_go_duration(after) if at is None else max(at - now, 0.0)
    yield _retry_info(document)
    if match := _WORDS.search(words):
        unit = (match[2] or "s").lower()
        yield float(match[1]) * (_UNITS["ms"] if unit == "ms" else 60.0 if unit.startswith("m") else 1.0)
    if match := _RATE_LIMIT.search(headers.get("ratelimit", "")):
        yield float(match[1]) + 1  # the whole second that its own client adds
    reset = parse_go_duration(headers.get("x-ratelimit-reset", ""))
    yield reset - now if reset is not None and reset > EPOCH else reset
    # OpenAI's family has one reset per unit; only the unit that is used up holds anybody back.
    spent = [unit for unit in ("requests", "tokens") if headers.get(f"x-ratelimit-remaining-{unit}", "").strip() == "0"]
    resets = [parse_go_duration(headers.get(f"x-ratelimit-reset-{unit}", "")) for unit in spent]
    yield max((seconds for seconds in resets if seconds is not None), default=None)


def _retry_info(document: Any) -> float | None:
    """Return the delay of Google's RetryInfo, which stands in the body alone."""
    if isinstance(document, list) and document:
        document = document[0]
    error = document.get("error") if isinstance(document, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and isinstance(detail.get("retryDelay"), str):
            return parse_go_duration(detail["retryDelay"])
    return None


def parse_date(text: str) -> float | None:
    """Return the seconds since 1970 of an HTTP date, None for anything else."""
    if "," not in text:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def parse_timestamp(text: str) -> float | None:
    """Return the seconds since 1970 of a time as RFC 3339 has it, None for anything else.

    >>> parse_timestamp("1970-01-01T00:01:00Z"), parse_timestamp("soon"), parse_timestamp("60")
    (60.0, None, None)
    """
    if "T" not in text:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def stated_limits(headers: Mapping[str, str], now: float) -> dict[str, StatedLimit]:
    """Return the limits per minute by unit; what is missing, not positive or no number is left out.

    Units are requests, tokens, input_tokens and output_tokens. Cohere says when a limit is over, but no limit; a limit of another window
    (the draft of IETF has them) is brought to a minute.

    Args:
        headers: With names in lower case.
        now: Seconds since 1970; the server's own `Date` goes before.

    >>> stated_limits({"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59"}, 0.0)
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
    for unit, name in (*_NAMES, *_ANTHROPIC):
        limit = _number(headers.get(name.format("limit"), ""))
        if limit is not None and limit > 0:
            told = headers.get(name.format("reset"), "")
            reset = parse_go_duration(told) if (at := parse_timestamp(told)) is None else at
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
