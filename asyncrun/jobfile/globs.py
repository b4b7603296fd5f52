"""Globs of the job file: whether a path matches one, and whether any file does."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

WILDCARDS = frozenset("*?[")


def is_glob(text: str) -> bool:
    """Tell whether a path holds a wildcard.

    >>> is_glob("docs/**/*.md"), is_glob("notes.jsonl")
    (True, False)
    """
    return not WILDCARDS.isdisjoint(text)


@dataclass(frozen=True, slots=True)
class Glob:
    """A path with wildcards: `folder` has none, `steps` are the parts below it; `**` stands for any number of folders."""

    folder: Path
    steps: tuple[str, ...]

    def matches(self, path: Path) -> bool:
        """Tell whether an absolute path, there or not, matches.

        >>> glob = parse_glob(Path("/a"), "b/**/*.md")
        >>> glob.matches(Path("/a/b/c/d.md")), glob.matches(Path("/a/c.md"))
        (True, False)
        """
        depth = len(self.folder.parts)
        if path.parts[:depth] != self.folder.parts:
            return False
        parts = path.parts[depth:]
        reached = {0}
        for step in self.steps:
            if not reached:
                return False
            if step == "**":
                reached = set(range(min(reached), len(parts) + 1))
            else:
                reached = {at + 1 for at in reached if at < len(parts) and fnmatch.fnmatchcase(parts[at], step)}
        return len(parts) in reached

    def any_file(self, wanted: Callable[[str], bool]) -> bool:
        """Tell whether a file with a wanted name matches: hidden ones do not count, symbolic links are not followed."""
        return _any_below(str(self.folder), list(self.steps), wanted)


def parse_glob(root: Path, text: str) -> Glob:
    """Return the glob that a text stands for; a relative one starts at `root`.

    >>> parse_glob(Path("/a"), "./b/*/c.md").steps
    ('*', 'c.md')
    """
    parts = PurePath(os.path.normpath(text)).parts
    first = next((at for at, part in enumerate(parts) if is_glob(part)), len(parts) - 1)
    return Glob(real(root.joinpath(*parts[:first])), parts[first:])


def excludes(root: Path, patterns: Sequence[str], path: Path) -> bool:
    """Tell whether a path, or a folder above it, is excluded; a pattern without a slash is a name in any folder.

    >>> excludes(Path("/a"), ["*.bak"], Path("/a/b/c.bak")), excludes(Path("/a"), ["b/*.bak"], Path("/a/c.bak"))
    (True, False)
    """
    for pattern in patterns:
        if "/" not in pattern.rstrip("/"):
            if any(fnmatch.fnmatchcase(part, pattern.rstrip("/")) for part in path.parts):
                return True
        elif any(parse_glob(root, pattern).matches(above) for above in (path, *path.parents)):
            return True
    return False


def real(path: Path) -> Path:
    """Return a path without symbolic links and `..`, also where nothing is there."""
    return Path(os.path.realpath(path))


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
