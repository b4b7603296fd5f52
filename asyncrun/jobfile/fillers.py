"""Which jobs fill the collection that another one asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from asyncrun.jobfile.entries import JobEntry
from asyncrun.jobfile.job_file import closure


def with_filling(entries: Sequence[JobEntry], needs: Mapping[str, tuple[str, ...]], root: Path) -> dict[str, tuple[str, ...]]:
    """Return what every job needs, one that asks a collection also what fills it; not what itself needs that job."""
    found = dict(needs)
    for entry in entries:
        for name in _filling(entry, entries, root):
            if name not in found[entry.name] and entry.name not in closure({name}, found):
                found[entry.name] = (*found[entry.name], name)
    return found


def _filling(entry: JobEntry, entries: Sequence[JobEntry], root: Path) -> Iterator[str]:
    asked = entry.job.asks if entry.job is not None else None
    for other in entries if asked is not None else ():
        filled = other.job.fills if other.job is not None else None
        if asked is not None and filled is not None and filled.is_same(asked, root):
            yield other.name
