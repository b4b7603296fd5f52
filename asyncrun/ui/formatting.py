"""How numbers, sizes, costs, counts, failures and warnings are written for people."""

from __future__ import annotations

from asyncrun.escape import LONGEST_ID, printable
from asyncrun.humanize import counted
from asyncrun.records import ItemFailure
from asyncrun.results import Counts
from asyncrun.usage import Usage

_MESSAGE_LIMIT = 300


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
        return counted(size, "byte")
    number, unit = next((size / power, unit) for power, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "KB")) if size >= power)
    return f"{number:.0f} {unit}" if number >= 99.95 else f"{number:.1f} {unit}"


def render_number(number: int) -> str:
    """Return a number in at most five characters.

    >>> [render_number(number) for number in (999, 1234, 45_600, 1_234_567, 2_000_000_000)]
    ['999', '1.2k', '46k', '1.2M', '2.0G']
    """
    if number < 1000:
        return str(number)
    # A unit ends where its digits would round up to the next one.
    part, unit = next((number / power, unit) for power, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if number >= power * 0.9995)
    return f"{part:.0f}{unit}" if part >= 9.95 else f"{part:.1f}{unit}"


def render_usage(usage: Usage) -> list[str]:
    """Return what requests used, in words: tokens, and the cost where it is known.

    >>> render_usage(Usage(requests=3, tokens=12_300, cost=0.000246))
    ['12k tokens', '$0.0002']
    """
    tokens = [f"{render_number(usage.tokens)} tokens"] if usage.tokens else []
    return tokens + ([render_cost(usage.cost)] if usage.cost else [])


def render_cost(cost: float) -> str:
    """Return USD with digits that mean something.

    >>> [render_cost(cost) for cost in (1234.5, 0.1234, 0.00001, 0.0)]
    ['$1,234.50', '$0.1234', 'under $0.0001', '$0']
    """
    if not cost:
        return "$0"
    if cost < 0.0001:
        return "under $0.0001"
    return f"${cost:,.2f}" if cost >= 1 else f"${cost:.4f}"


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
        f"{printable(task)}: item {printable(failure.id, LONGEST_ID)} failed ({printable(failure.reason)}) at {place}: "
        f"{printable(failure.message, _MESSAGE_LIMIT)}"
    )


def render_more_failures(task: str, number: int) -> str:
    """Return one line for the failed items that were not named.

    >>> render_more_failures("notes", 3)
    'notes: 3 more items failed'
    """
    return f"{printable(task)}: {counted(number, 'more item')} failed"


def render_warning(message: str) -> str:
    """Return a warning as one line.

    >>> render_warning("two items share an id")
    'warning: two items share an id'
    """
    return f"warning: {printable(message)}"
