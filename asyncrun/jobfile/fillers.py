"""Which jobs fill the collection that another one asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from asyncrun.jobfile.entries import JobEntry
from asyncrun.jobfile.files import real
from asyncrun.jobfile.job_file import closure
from asyncrun.jobfile.jobs import IngestJob, Job, QueryJob


def with_filling(entries: Sequence[JobEntry], needs: Mapping[str, tuple[str, ...]], root: Path) -> dict[str, tuple[str, ...]]:
    """Return what every job needs, a query job also what fills its collection; not what itself needs the query."""
    found = dict(needs)
    for entry in entries:
        for name in _filling(entry, entries, root):
            if name not in found[entry.name] and entry.name not in closure({name}, found):
                found[entry.name] = (*found[entry.name], name)
    return found


def fills(job: Job | None, query: QueryJob, root: Path) -> bool:
    """Tell whether an ingest job fills the collection that another one asks; relative paths start at `root`. Blocks."""
    return isinstance(job, IngestJob) and job.collection == query.collection and has_same_store(job, query, root)


def has_same_store(job: IngestJob, query: QueryJob, root: Path) -> bool:
    """Tell whether two jobs have one store. Blocks."""
    one, other = job.store, query.store
    return one.type == other.type and real(root / one.path) == real(root / other.path)


def _filling(entry: JobEntry, entries: Sequence[JobEntry], root: Path) -> Iterator[str]:
    if isinstance(entry.job, QueryJob):
        yield from (other.name for other in entries if fills(other.job, entry.job, root))
