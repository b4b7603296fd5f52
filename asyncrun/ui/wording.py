"""How durations, numbers, counts and failures are said in words."""

from __future__ import annotations

from asyncrun.escape import printable
from asyncrun.records import Counts, ItemFailure

_MESSAGE_LIMIT = 300


def render_duration(seconds: float) -> str:
    """Return a duration as a person says it.

    >>> [render_duration(seconds) for seconds in (0.26, 12, 84, 7500, 180000)]
    ['0.3 s', '12 s', '1m 24s', '2h 05m', '50h 00m']
    """
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02}m"


def render_rate(per_second: float) -> str:
    """Return a rate with as many digits as mean something.

    >>> [render_rate(rate) for rate in (1234.5, 12.34, 0.05)]
    ['1,234/s', '12.3/s', '3.0/min']
    """
    if per_second < 0.1:
        return f"{per_second * 60:.1f}/min"
    return f"{per_second:,.0f}/s" if per_second >= 100 else f"{per_second:.1f}/s"


def render_size(size: int) -> str:
    """Return bytes with about three digits that mean something; `MB` is a million.

    >>> [render_size(size) for size in (1, 999, 4096, 18_400_000, 123_456_789_000)]
    ['1 byte', '999 bytes', '4.1 KB', '18.4 MB', '123 GB']
    """
    if size < 1000:
        return f"{size} byte{'' if size == 1 else 's'}"
    number, unit = next((size / power, unit) for power, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")) if size >= power)
    return f"{number:.0f} {unit}" if number >= 99.95 else f"{number:.1f} {unit}"


def render_counts(counts: Counts) -> str:
    """Return what ended how; what did not happen is not said, except that nothing is ok.

    >>> render_counts(Counts(ok=10, cached=4, failed=1))
    '10 ok (4 cached), 1 failed'
    """
    parts = [f"{counts.ok:,} ok" + (f" ({counts.cached:,} cached)" if counts.cached else "")]
    parts += [f"{number:,} {word}" for word in ("failed", "skipped", "removed", "truncated") if (number := getattr(counts, word))]
    return ", ".join(parts)


def render_failure(task: str, failure: ItemFailure) -> str:
    """Return one line that names a failed item.

    >>> from asyncrun.errors import Place
    >>> render_failure("notes", ItemFailure("n7", Place("notes.jsonl", 7), "too_long", "300 tokens, 256 at most"))
    'notes: item n7 failed (too_long) at notes.jsonl:7: 300 tokens, 256 at most'
    """
    place = printable(str(failure.place))
    return (
        f"{printable(task)}: item {printable(failure.id)} failed ({printable(failure.reason)}) at {place}: "
        f"{printable(failure.message, _MESSAGE_LIMIT)}"
    )


def render_more_failures(task: str, number: int) -> str:
    """Return one line for the failed items that were not named.

    >>> render_more_failures("notes", 3)
    'notes: 3 more items failed'
    """
    return f"{printable(task)}: {number:,} more item{'s' if number != 1 else ''} failed"
