"""Globs of the job file: whether a path matches one, and whether any file does."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable
from pathlib import Path, PurePath

WILDCARDS = frozenset("*?[")


def is_glob(text: str) -> bool:
    """Tell whether a path holds a wildcard.

    >>> is_glob("docs/**/*.md"), is_glob("notes.jsonl")
    (True, False)
    """
    return not WILDCARDS.isdisjoint(text)


def matches(pattern: Path, path: Path) -> bool:
    """Tell whether an absolute path matches an absolute glob; `**` stands for any number of folders.

    >>> matches(Path("/a/**/*.md"), Path("/a/b/c/d.md")), matches(Path("/a/*.md"), Path("/a/b/d.md"))
    (True, False)
    """
    reached = {0}
    parts = path.parts
    for step in pattern.parts:
        if step == "**":
            reached = set(range(min(reached), len(parts) + 1)) if reached else set()
        else:
            reached = {at + 1 for at in reached if at < len(parts) and fnmatch.fnmatchcase(parts[at], step)}
    return len(parts) in reached


def base_of(pattern: Path) -> Path:
    """Return the folder before the first wildcard.

    >>> base_of(Path("/a/b/**/*.md")) == Path("/a/b")
    True
    """
    parts = pattern.parts
    first = next((at for at, part in enumerate(parts) if is_glob(part)), len(parts) - 1)
    return Path(*parts[:first])


def any_file(pattern: Path, wanted: Callable[[str], bool]) -> bool:
    """Tell whether a file with a wanted name matches: hidden ones do not count, symbolic links are not followed."""
    base = base_of(pattern)
    return _any_below(str(base), list(pattern.parts[len(base.parts) :]), wanted)


def _any_below(folder: str, steps: list[str], wanted: Callable[[str], bool]) -> bool:
    step, rest = steps[0], steps[1:]
    try:
        with os.scandir(folder) as scan:
            entries = [entry for entry in scan if step.startswith(".") or not entry.name.startswith(".")]
    except OSError:
        return False
    if step == "**":
        while rest[:1] == ["**"]:
            rest = rest[1:]
        if _any_below(folder, rest or ["*"], wanted):
            return True
        return any(entry.is_dir(follow_symlinks=False) and _any_below(entry.path, steps, wanted) for entry in entries)
    found = (entry for entry in entries if fnmatch.fnmatchcase(entry.name, step))
    if not rest:
        return any(entry.is_file(follow_symlinks=False) and wanted(entry.name) for entry in found)
    return any(entry.is_dir(follow_symlinks=False) and _any_below(entry.path, rest, wanted) for entry in found)


def neighbours(path: Path, limit: int = 1000) -> list[str]:
    """Return the names beside a path, at most `limit`; none when its folder cannot be read."""
    try:
        with os.scandir(path.parent) as scan:
            return [entry.name for _, entry in zip(range(limit), scan, strict=False)]
    except OSError:
        return []


def beside(path: str, name: str) -> str:
    """Return a path with another name at its end.

    >>> beside("data/note.jsonl", "notes.jsonl")
    'data/notes.jsonl'
    """
    return str(PurePath(path).with_name(name))
