"""What the jobs that fill a collection put into it, and what to do when it is not there."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from asyncrun.jobfile.fillers import fills, has_same_store
from asyncrun.jobfile.jobs import IngestJob, Job, QueryJob
from asyncrun.spelling import did_you_mean


def filled_with(query: QueryJob, jobs: Sequence[Job], root: Path) -> tuple[str, ...]:
    """Return the fields of metadata that jobs put into the collection that another one asks."""
    return tuple(dict.fromkeys(name for job in jobs if fills(job, query, root) for name in job.input.metadata))


def fill_first(query: QueryJob, jobs: Sequence[Job], file: Path, *, limited: bool) -> str | None:
    """Return what to do when the collection that a job asks is not there, given all jobs of the file; None where none fills its store.

    `limited` says that the run has only the first items, which go into no store.
    """
    root = file.absolute().parent
    if command := _filling(query, jobs, file):
        return f"--limit fills no store: run `{command}` first, without it." if limited else f"Run `{command}` first, which fills it."
    there = [job for job in jobs if isinstance(job, IngestJob) and has_same_store(job, query, root)]
    told = ", ".join(f"{job.collection!r} by {job.name}" for job in there)
    guess = did_you_mean(query.collection, [job.collection for job in there])
    return f"No job of this file fills {query.collection!r}{guess or '.'} Filled in this store: {told}." if there else None


def mend_first(query: QueryJob, jobs: Sequence[Job], file: Path) -> str | None:
    """Return what to do when the collection that a job asks is damaged; None where no job of the file fills it."""
    command = _filling(query, jobs, file)
    return f"Run `{command}`: it mends the store from the ledger, and what is finished is not sent again." if command else None


def _filling(query: QueryJob, jobs: Sequence[Job], file: Path) -> str | None:
    filling = [job.name for job in jobs if fills(job, query, file.absolute().parent)]
    return shlex.join(["asyncrun", "run", str(file), *filling]) if filling else None
