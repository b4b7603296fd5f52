"""Numbers and words as a person reads them: durations, counts with their word, dollars, and which word was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import tzinfo

YEAR = 365 * 24 * 3600.0


def duration(seconds: float) -> str:
    """Return a duration in one form: three digits that mean something below a minute, whole seconds or minutes above.

    >>> [duration(seconds) for seconds in (0.0004, 0.0912, 0.26, 8.224, 12, 12.34)]
    ['0 s', '0.091 s', '0.26 s', '8.22 s', '12 s', '12.3 s']
    >>> [duration(seconds) for seconds in (84, 388, 7500, 180000)]
    ['1m 24s', '6m 28s', '2h 05m', '50h 00m']
    """
    digits = next((digits for below, digits in ((0.9995, 3), (9.995, 2), (59.95, 1)) if seconds < below), None)
    if digits is not None:
        return f"{f'{max(seconds, 0):.{digits}f}'.rstrip('0').rstrip('.')} s"
    if seconds >= YEAR:
        return "over a year"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02}m"


def local_time(moment: float, now: float, zone: tzinfo | None = None) -> str:
    """Return a moment (seconds since 1970) as a clock shows it, with its date where that is not the day of `now`.

    >>> from datetime import UTC
    >>> local_time(21_600.0, 0.0, UTC), local_time(100_000.0, 0.0, UTC)
    ('06:00', '1970-01-02 03:46')
    """
    from datetime import datetime

    told = datetime.fromtimestamp(moment, zone)
    same = told.date() == datetime.fromtimestamp(now, zone).date()
    return f"{told:%H:%M}" if same else f"{told:%Y-%m-%d %H:%M}"


def counted(number: int, word: str) -> str:
    """Return a number with its word, which takes an s unless there is one.

    >>> counted(1, "item"), counted(1200, "item"), counted(2, "batch")
    ('1 item', '1,200 items', '2 batches')
    """
    return f"{number:,} {word}{'' if number == 1 else 'es' if word.endswith('ch') else 's'}"


def dollars(amount: float) -> str:
    """Return USD with three digits that mean something, where two decimals do not say them.

    >>> [dollars(amount) for amount in (1234.5, 0.5, 0.0123, 0.00000211, 0.0)]
    ['$1,234.50', '$0.50', '$0.0123', '$0.00000211', '$0.00']
    """
    decimals = 2 - floor(log10(amount)) if 0 < amount < 1 else 2
    whole, _, part = f"{amount:,.{decimals}f}".partition(".")
    return f"${whole}.{part.rstrip('0').ljust(2, '0')}"


def nearest_word(word: str, words: Iterable[str]) -> str | None:
    """Return the known word that looks most like a mistyped one, or None.

    >>> nearest_word("embd", ["embed", "ingest"]), nearest_word("Q", ["q"])
    ('embed', 'q')
    """
    import difflib

    known = list(words)
    found = difflib.get_close_matches(word, known, 1)
    return found[0] if found else next((each for each in known if each.lower() == word.lower()), None)


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return what ends a sentence about an unknown word: a question, or nothing.

    >>> did_you_mean("embd", ["embed", "ingest"])
    "; did you mean 'embed'?"
    """
    found = nearest_word(word, words)
    return f"; did you mean {found!r}?" if found else ""
