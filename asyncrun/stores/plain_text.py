"""Texts for databases that take nothing but UTF-8: half a character, as of a file's name that is none, is escaped."""

from __future__ import annotations

import json
import re

_ESCAPED = "\x1a"
"""SUBSTITUTE stands before a text that is escaped."""
_ODD = re.compile("^\x1a|[\ud800-\udfff\x00]")


def as_plain(text: str) -> str:
    r"""Return a text that UTF-8 can carry, without NUL, from which `from_plain` makes the same one again; most texts are it themselves.

    >>> as_plain("größe"), from_plain(as_plain("\udcff")) == "\udcff"
    ('größe', True)
    """
    return f"{_ESCAPED}{json.dumps(text)}" if _ODD.search(text) else text


def from_plain(plain: str) -> str:
    """Return the text that `as_plain` was given."""
    return str(json.loads(plain[1:])) if plain.startswith(_ESCAPED) else plain
