"""Glob patterns: `*`, `?`, `[...]` and `**`, as Python's glob has them; symbolic links are never followed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from asyncrun.errors import Place, StorageError, UsageError, os_words

_MAGIC = re.compile(r"[*?\[]")
_PIECE = re.compile(r"\*+|\?|\[!?\]?[^\]]*\]|[^*?\[]+|\[")
_CLASS_SPECIAL = re.compile(r"([\\\[\]&~|^])")


def is_glob(path: str) -> bool:
    """Tell whether a path has wildcards."""
    return _MAGIC.search(path) is not None


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern, taken apart: `folder` is absolute, `shown` the same as the user wrote it, `matches` is for paths relative to it."""

    folder: str
    shown: str
    matches: re.Pattern[str]
    depth: int | None
    hidden: bool

    def covers(self, path: str) -> bool:
        """Tell whether an absolute path is one that the pattern matches; it need not exist."""
        inside = path.removeprefix(self.folder.rstrip("/") + "/")
        return inside != path and self.matches.fullmatch(inside) is not None

    def walk(self, passed: Callable[[str], bool]) -> Iterator[tuple[str, bool]]:
        """Yield the matches relative to `folder`, and for each whether it is an input; others are to be counted as skipped.

        No input are hidden files and what is neither file nor folder: symbolic links, pipes, devices. Hidden folders are not
        looked into unless the pattern names them. What `passed` (asked with absolute paths) says yes to is left out.
        Raises StorageError for a folder that cannot be listed, FileNotFoundError and NotADirectoryError for `folder` itself.
        """
        folders = [""]
        while folders:
            inside = folders.pop()
            for entry in self._entries(inside):
                path = inside + entry.name
                if passed(entry.path):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if self._enters(path, entry.name):
                        folders.append(path + "/")
                elif self.matches.fullmatch(path):
                    yield path, entry.is_file(follow_symlinks=False)
                elif entry.name.startswith(".") and self.matches.fullmatch(inside + entry.name.lstrip(".")):
                    yield path, False

    def _entries(self, inside: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(f"{self.folder.rstrip('/')}/{inside}") as entries:
                return list(entries)
        except (FileNotFoundError, NotADirectoryError):
            if not inside:
                raise
            return []  # It was removed while we looked.
        except OSError as error:
            place = Place(f"{self.shown}/{inside}".strip("/") or ".")
            raise StorageError(f"the folder cannot be listed: {os_words(error)}", place=place) from error

    def _enters(self, path: str, name: str) -> bool:
        deep = self.depth is None or path.count("/") + 1 < self.depth
        return deep and (self.hidden or not name.startswith("."))


def parse_glob(pattern: str, base: Path) -> Glob:
    """Return the pattern, relative to `base` unless it is absolute. Raises UsageError for a range such as `[z-a]`."""
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    fixed = next((index for index, part in enumerate(parts) if is_glob(part)), len(parts))
    shown = ("/" if pattern.startswith("/") else "") + "/".join(parts[:fixed])
    wild = parts[fixed:]
    return Glob(
        folder=os.path.normpath(base.absolute() / shown),
        shown=shown,
        matches=_compile(pattern, translate(wild, hidden=False)),
        depth=None if "**" in wild else len(wild),
        hidden=any(part.startswith(".") for part in wild),
    )


def translate(parts: list[str], *, hidden: bool) -> str:
    """Return a regular expression for a relative path; unless `hidden`, a wildcard matches no leading dot."""
    guard = "" if hidden else r"(?!\.)"
    expression = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            expression += rf"(?:{guard}[^/]+/)*" + (rf"{guard}[^/]+" if last else "")
        else:
            expression += (guard if is_glob(part[:1]) else "") + _component(part) + ("" if last else "/")
    return expression


def parse_exclude(patterns: tuple[str, ...], base: Path) -> Callable[[str], bool]:
    """Return what tells whether an absolute path is excluded: it, or a folder above it, matches one of the patterns.

    A pattern without a slash is a name in any folder, as in .gitignore; others are relative to `base`.
    """
    if not patterns:
        return lambda path: False
    expressions = []
    for pattern in patterns:
        parts = [part for part in pattern.split("/") if part not in ("", ".")]
        if "/" in pattern.rstrip("/"):
            top = "/" if pattern.startswith("/") else os.path.normpath(base.absolute()).rstrip("/") + "/"
            expressions.append(re.escape(top) + translate(parts, hidden=True))
        else:
            expressions.append("(?:.*/)?" + translate(parts, hidden=True))
        _compile(pattern, expressions[-1])
    both = re.compile("(?s:" + "|".join(f"(?:{expression})(?:/.*)?" for expression in expressions) + ")")
    return lambda path: both.fullmatch(path) is not None


def _component(part: str) -> str:
    expression = ""
    for piece in _PIECE.findall(part):
        if piece[0] == "*":
            expression += "[^/]*"
        elif piece == "?":
            expression += "[^/]"
        elif piece[0] == "[" and len(piece) > 2:
            negated = piece[1] == "!"
            letters = _CLASS_SPECIAL.sub(r"\\\1", piece[1 + negated : -1])
            expression += f"(?!/)[{'^' if negated else ''}{letters}]"
        else:
            expression += re.escape(piece)
    return expression


def _compile(pattern: str, expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression, re.DOTALL)
    except re.error as error:
        raise UsageError(f"the pattern {pattern!r} cannot be used: {error}", hint="Write ranges as [a-z].") from error
