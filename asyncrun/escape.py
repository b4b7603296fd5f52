"""Text from outside, made safe to show: control sequences, bidirectional overrides and markup become visible."""

from __future__ import annotations

import re

# C0 and C1 controls (CWE-150), line and paragraph separators, bidirectional controls (CVE-2021-42574), lone surrogates.
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


LONGEST_ID = 200
"""Characters of an id that a message shows; ids come from data and may be texts themselves."""


def cut(text: str, limit: int = LONGEST_ID) -> str:
    """Return the text, or its beginning with an ellipsis, in at most `limit` characters.

    >>> cut("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def printable(text: str, limit: int | None = None) -> str:
    r"""Return the text on one line with every control character written out; longer than `limit` it ends in an ellipsis.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    """
    return _UNSAFE.sub(_written_out, text if limit is None else cut(text, limit))


def _written_out(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
