"""Which jobs fill the collection that another one asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from asyncrun.jobfile.entries import JobEntry
from asyncrun.jobfile.files import real
from asyncrun.jobfile.jobs import IngestJob, QueryJob
from asyncrun.jobfile.model import closure


def with_filling(entries: Sequence[JobEntry], needs: Mapping[str, tuple[str, ...]], root: Path) -> dict[str, tuple[str, ...]]:
    """Return what every job needs, a query job also what fills its collection; not what itself needs the query."""
    found = dict(needs)
    for entry in entries:
        for name in _filling(entry, entries, root):
            if name not in found[entry.name] and entry.name not in closure({name}, found):
                found[entry.name] = (*found[entry.name], name)
    return found


def _filling(entry: JobEntry, entries: Sequence[JobEntry], root: Path) -> Iterator[str]:
    if not isinstance(entry.job, QueryJob):
        return
    asked = _collection(entry.job, root)
    yield from (other.name for other in entries if isinstance(other.job, IngestJob) and _collection(other.job, root) == asked)


def _collection(job: IngestJob | QueryJob, root: Path) -> tuple[str, Path, str]:
    return job.store.type, real(root / job.store.path), job.collection
