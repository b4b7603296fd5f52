"""Numbers with their words and signs: one item, two items, $0.0012."""

from __future__ import annotations

from math import floor, log10


def counted(number: int, word: str) -> str:
    """Return a number with its word, which takes an s unless there is one.

    >>> counted(1, "item"), counted(1200, "item")
    ('1 item', '1,200 items')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def dollars(amount: float) -> str:
    """Return USD with three digits that mean something, where two decimals do not say them.

    >>> [dollars(amount) for amount in (1234.5, 0.5, 0.0123, 0.00000211, 0.0)]
    ['$1,234.50', '$0.50', '$0.0123', '$0.00000211', '$0.00']
    """
    decimals = 2 - floor(log10(amount)) if 0 < amount < 1 else 2
    whole, _, part = f"{amount:,.{decimals}f}".partition(".")
    return f"${whole}.{part.rstrip('0').ljust(2, '0')}"
