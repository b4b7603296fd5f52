"""The mistakes of one job file, collected until all are known; some count only where a selected job reaches them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from asyncrun import spelling
from asyncrun.errors import JobFileError, Mistake
from asyncrun.escape import printable
from asyncrun.jobfile.tree import Node, Path, Scalar, find, nearest, place, show

MAX_CANDIDATES = 300
"""Among more words than these no nearest one is looked for: a thousand mistakes in a thousand jobs would take minutes."""

Cause = Literal["variable", "secret", "part"]
"""Why a gap is one: a variable without a value, one that a secret needs, a part that this version does not have."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A mistake that counts only where a selected job reaches its path."""

    path: Path
    cause: Cause
    mistake: Mistake


class Findings:
    """Collects mistakes with their places.

    Args:
        file: the job file's name as the user typed it.
        root: the job file's tree.
        mistakes: what was found while the tree was made.
    """

    def __init__(self, file: str, root: Node, mistakes: Iterable[Mistake] = ()) -> None:
        self.file = file
        self.root = root
        self.gaps: list[Gap] = []
        self._mistakes = list(mistakes)
        self._known: set[Path] = set()

    def add(
        self,
        path: Path,
        message: str,
        allowed: str | None = None,
        suggestion: str | None = None,
        *,
        key: bool = False,
        missing: str | None = None,
    ) -> None:
        """Add a mistake about the value at a path, about its key, or about a key that is `missing` there."""
        self._mistakes.append(self.mistake(path, message, allowed, suggestion, key=key, missing=missing))
        self._known.add((*path, missing) if missing else path)

    def add_gap(self, cause: Cause, path: Path, message: str, allowed: str | None = None, *, key: bool = False) -> None:
        """Add a mistake that counts only where it is reached."""
        self.gaps.append(Gap(path, cause, self.mistake(path, message, allowed, None, key=key)))
        self._known.add(path)

    def knows(self, path: Path) -> bool:
        """Tell whether something is already said about a path or about what holds it."""
        return any(path[:length] in self._known for length in range(1, len(path) + 1))

    def node(self, path: Path) -> Node | None:
        """Return what stands at a path."""
        return find(self.root, path)

    def quoted(self, path: Path) -> str:
        """Return what was typed at a path, in quotes; nothing for what is no text or comes from a variable."""
        node = find(self.root, path)
        return f" {printable(node.text, 60)!r}" if isinstance(node, Scalar) and "$" not in node.text else ""

    def raise_all(self, counts: Callable[[Gap], bool]) -> None:
        """Raise JobFileError when there are mistakes, in the order of the file."""
        found = [*self._mistakes, *(gap.mistake for gap in self.gaps if counts(gap))]
        if found:
            raise JobFileError(sorted(dict.fromkeys(found), key=_position))

    def mistake(
        self,
        path: Path,
        message: str,
        allowed: str | None = None,
        suggestion: str | None = None,
        *,
        key: bool = False,
        missing: str | None = None,
    ) -> Mistake:
        """Return a mistake with its place; it is not added."""
        known = nearest(self.root, path)
        shown = (*known, missing) if missing else known
        return Mistake(show(shown), message, allowed, suggestion, place(self.root, path, self.file, key=key))


def near(word: str, words: Iterable[str]) -> str | None:
    """Return the known word that looks most like a mistyped one, or None.

    >>> near("embd", ["embed", "ingest"])
    'embed'
    """
    candidates = list(words)
    if len(word) > 100 or len(candidates) > MAX_CANDIDATES:
        return None
    return spelling.near(word, candidates)


def listed(words: Iterable[str], limit: int = 30) -> str:
    """Return words as a list that a person reads, the first `limit` of them.

    >>> listed(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    known = list(words)
    return ", ".join(printable(word, 60) for word in known[:limit]) + (f" and {len(known) - limit} more" if len(known) > limit else "")


def _position(mistake: Mistake) -> tuple[int, int]:
    where = mistake.place
    return (where.line or 0, where.column or 0) if where else (0, 0)
