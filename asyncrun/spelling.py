"""Words that were probably meant by others."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near(word: str, words: Iterable[str]) -> str | None:
    """Return the known word that looks most like a mistyped one, or None.

    >>> near("embd", ["embed", "ingest"]), near("Q", ["q"])
    ('embed', 'q')
    """
    known = list(words)
    found = difflib.get_close_matches(word, known, 1)
    return found[0] if found else next((each for each in known if each.lower() == word.lower()), None)


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return what ends a sentence about an unknown word: a question, or nothing.

    >>> did_you_mean("embd", ["embed", "ingest"])
    "; did you mean 'embed'?"
    """
    found = near(word, words)
    return f"; did you mean {found!r}?" if found else ""
