"""The mistakes of one job file, collected until all are known, each with its line where no secret may stand in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from asyncrun.errors import JobFileError, Mistake, Place
from asyncrun.escape import printable
from asyncrun.humanize import nearest_word
from asyncrun.jobfile.yaml_parser import BREAK
from asyncrun.jobfile.yaml_tree import KeyPath, Scalar, YamlNode, nearest, node_at, place, show
from asyncrun.redact import Redactor

HIDDEN = {"api_key", "headers", "url", "notify"}
"""What stands below these keys is never shown."""
MAX_LISTED = 30
MAX_CANDIDATES = 300
"""Among more words than these no nearest one is looked for: a thousand mistakes in a thousand jobs would take minutes."""

Cause = Literal["variable", "secret", "part"]
"""Why a gap is one: a variable without a value, one that a secret needs, a part that this version does not have."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A mistake that counts only where a selected job reaches its path."""

    path: KeyPath
    cause: Cause
    mistake: Mistake


class Findings:
    """Collects mistakes with their places.

    Args:
        file: the job file's name as the user typed it.
        root: the job file's tree.
        mistakes: what was found while the tree was made.
    """

    def __init__(self, file: str, root: YamlNode, mistakes: Iterable[Mistake] = ()) -> None:
        self.file = file
        self.root = root
        self.gaps: list[Gap] = []
        self._mistakes = list(mistakes)
        self._known: set[KeyPath] = set()

    def add(
        self,
        path: KeyPath,
        message: str,
        allowed: str | None = None,
        suggestion: str | None = None,
        *,
        key: bool = False,
        missing: str | None = None,
    ) -> None:
        """Add a mistake about the value at a path, about its key, or about a key that is `missing` there."""
        shown, where = self.where(path, key=key, missing=missing)
        self._mistakes.append(Mistake(shown, message, allowed, suggestion, where))
        self._known.add((*path, missing) if missing else path)

    def add_gap(self, cause: Cause, path: KeyPath, message: str, allowed: str | None = None, *, key: bool = False) -> None:
        """Add a mistake that counts only where it is reached."""
        shown, where = self.where(path, key=key)
        self.gaps.append(Gap(path, cause, Mistake(shown, message, allowed, None, where)))
        self._known.add(path)

    def knows(self, path: KeyPath) -> bool:
        """Tell whether something is already said about a path or about what holds it."""
        return any(path[:length] in self._known for length in range(1, len(path) + 1))

    def node(self, path: KeyPath) -> YamlNode | None:
        """Return what stands at a path."""
        return node_at(self.root, path)

    def quoted(self, path: KeyPath) -> str:
        """Return what was typed at a path, in quotes; nothing for what is no text or comes from a variable."""
        node = node_at(self.root, path)
        return f" {printable(node.text, 60)!r}" if isinstance(node, Scalar) and "$" not in node.text else ""

    def raise_all(self, counts: Callable[[Gap], bool]) -> None:
        """Raise JobFileError when there are mistakes, in the order of the file."""
        found = [*self._mistakes, *(gap.mistake for gap in self.gaps if counts(gap))]
        if found:
            raise JobFileError(sorted(dict.fromkeys(found), key=_position))

    def where(self, path: KeyPath, *, key: bool = False, missing: str | None = None) -> tuple[str, Place]:
        """Return a path as a person writes it, and its place in the file; of what is not there, those of the nearest thing above it."""
        known = nearest(self.root, path)
        return show((*known, missing) if missing else known), place(self.root, path, self.file, key=key)


def suggest(word: str, words: Iterable[str]) -> str | None:
    """Return the known word that looks most like a mistyped one, or None.

    >>> suggest("embd", ["embed", "ingest"])
    'embed'
    """
    candidates = list(words)
    if len(word) > 100 or len(candidates) > MAX_CANDIDATES:
        return None
    return nearest_word(word, candidates)


def listed(words: Iterable[str]) -> str:
    """Return words as a list that a person reads, the first `MAX_LISTED` of them.

    >>> listed(["embed", "ingest"]), listed(map(str, range(31)))[-13:]
    ('embed, ingest', '29 and 1 more')
    """
    known = list(words)
    more = f" and {len(known) - MAX_LISTED} more" if len(known) > MAX_LISTED else ""
    return ", ".join(printable(word, 60) for word in known[:MAX_LISTED]) + more


def _position(mistake: Mistake) -> tuple[int, int]:
    where = mistake.place
    return (where.line or 0, where.column or 0) if where else (0, 0)


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
