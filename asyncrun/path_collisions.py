"""Whether a path that is to be written is a file that must stay: by its real path, or as another name of the same file."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SQLITE_COMPANIONS = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps beside a database."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a path leads: without symbolic links and `..`, and the file there (device and inode; None: nothing) with its hard links."""

    path: Path
    file: tuple[int, int] | None = None
    links: int = 0


@dataclass(frozen=True, slots=True)
class Protected:
    """Files that must not be written over: `what` completes "PATH is ...", `holds` tells whether a spot is one of them."""

    what: str
    holds: Callable[[Spot], bool]


def locate(path: Path) -> Spot:
    """Return where a path leads; it need not be there. Blocks."""
    real = Path(os.path.realpath(path))
    try:
        found = real.stat()
    except (OSError, ValueError):
        return Spot(real)
    return Spot(real, (found.st_dev, found.st_ino), found.st_nlink)


def find_collision(spots: Iterable[Spot], protected: Sequence[Protected]) -> str | None:
    """Return what the first spot is that is protected, None when none is.

    >>> find_collision([locate(Path("a/../jobs.yaml"))], [protect_files("the job file", [locate(Path("jobs.yaml"))])])
    'the job file'
    """
    return next((each.what for spot in spots for each in protected if each.holds(spot)), None)


def protect_files(what: str, spots: Collection[Spot]) -> Protected:
    """Return the protection of single files."""
    places = {spot.path for spot in spots}
    files = {spot.file for spot in spots if spot.file is not None}
    return Protected(what, lambda spot: spot.path in places or spot.file in files)


def protect_database(what: str, path: Path) -> Protected:
    """Return the protection of a SQLite database with the files beside it. Blocks."""
    real = locate(path).path
    return protect_files(what, [locate(real.with_name(real.name + ending)) for ending in ("", *SQLITE_COMPANIONS)])


def protect_folder(what: str, folder: Path) -> Protected:
    """Return the protection of a folder and all below it. Blocks."""
    real = locate(folder).path

    def holds(spot: Spot) -> bool:
        if spot.path.is_relative_to(real):
            return True
        # Only a file with several names can be below the folder, too.
        return spot.links > 1 and any(locate(path).file == spot.file for path in real.rglob("*"))

    return Protected(what, holds)
