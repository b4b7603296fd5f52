"""The line of the job file that a mistake stands in, unless a secret may stand there too."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from asyncrun.errors import Mistake
from asyncrun.jobfile.compose import BREAK
from asyncrun.jobfile.resolve import HIDDEN
from asyncrun.redact import Redactor

_HIDDEN = "|".join(sorted({*HIDDEN, "vars"}))
_OPENS = re.compile(rf"""(?<![\w-])["']?({_HIDDEN})["']?\s*:""")
# A variable and the name of a file are no secrets.
_NO_SECRET = re.compile(r"""\$\{\w+\}|\{\s*["']?file["']?\s*:[^{}]*\}""")
_HOLDS = re.compile(rf"""{_OPENS.pattern}[\s"'{{}}\[\]]*[^\s"'{{}}\[\],#]""")
_INDENT = re.compile(r"[ \t]*(- +)*")


def with_lines(mistakes: Iterable[Mistake], text: str) -> list[Mistake]:
    """Return the mistakes, each with its line where that may be shown."""
    lines = BREAK.split(text)
    return [replace(mistake, line=_line(mistake, lines)) for mistake in mistakes]


def _line(mistake: Mistake, lines: Sequence[str]) -> str | None:
    number = mistake.place.line if mistake.place else None
    if number is None or number > len(lines):
        return None
    line = lines[number - 1]
    bare = _NO_SECRET.sub("", line)
    secret = not HIDDEN.isdisjoint(re.split(r"[.\[]", mistake.path)) or Redactor().redact(bare) != bare or _HOLDS.search(bare)
    return None if secret or any(_OPENS.search(above) for above in _above(lines, number - 1)) else line


def _above(lines: Sequence[str], at: int) -> Iterator[str]:
    """Yield the lines that a line is indented below, the nearest first."""
    depth = _depth(lines[at])
    while at and depth:
        at -= 1
        if lines[at].strip() and _depth(lines[at]) < depth:
            depth = _depth(lines[at])
            yield lines[at]


def _depth(line: str) -> int:
    match = _INDENT.match(line)
    return match.end() if match else 0
