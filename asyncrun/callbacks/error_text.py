"""What is said of an error that other people's code has raised, where nothing may break by saying it."""

from __future__ import annotations

from asyncrun.escape import printable
from asyncrun.redact import Redactor

MOST_SHOWN = 200
"""Characters of an error's own words."""


def words_of(error: BaseException) -> str:
    """Return an error's class and words on one line, without secrets, also where its own `__str__` fails.

    >>> words_of(ValueError("not so"))
    'ValueError: not so'
    """
    return f"{type(error).__name__}: {printable(Redactor().redact(own_words(error)), MOST_SHOWN)}"


def own_words(error: BaseException) -> str:
    """Return what an error says itself, as it is."""
    try:
        return str(error)
    except Exception:
        return "(it cannot say why)"
