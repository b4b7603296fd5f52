"""Numbers with their words: one item, two items."""

from __future__ import annotations


def counted(number: int, word: str) -> str:
    """Return a number with its word, which takes an s unless there is one.

    >>> counted(1, "item"), counted(1200, "item")
    ('1 item', '1,200 items')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"
