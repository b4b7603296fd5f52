"""What fills the collection that a query job asks, what is in it then, and what to do when it is not there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from asyncrun.errors import DamagedStoreError, UsageError
from asyncrun.humanize import did_you_mean

if TYPE_CHECKING:
    from asyncrun.jobfile.jobs import Job
    from asyncrun.jobs.interface import Builder
    from asyncrun.jobs.query import QueryJob


def filled_fields(query: QueryJob, builder: Builder) -> tuple[str, ...]:
    """Return the fields of metadata that jobs put into the collection that another one asks. Blocks."""
    return tuple(dict.fromkeys(name for job in _fillers(query, builder) for name in job.input.metadata))


def fill_hint(query: QueryJob, builder: Builder) -> str | None:
    """Return what to do when the collection that a job asks is not there; None where no job of the file fills its store. Blocks."""
    if command := _filling(query, builder):
        limited = builder.options.limit is not None
        return f"--limit fills no store: run `{command}` first, without it." if limited else f"Run `{command}` first, which fills it."
    there = [(filled.name, job.name) for job in builder.jobs if (filled := job.fills) and filled.is_in_store_of(query.asks, builder.root)]
    told = ", ".join(f"{name!r} by {job}" for name, job in there)
    guess = did_you_mean(query.collection, [name for name, _ in there])
    return f"No job of this file fills {query.collection!r}{guess or '.'} Filled in this store: {told}." if there else None


def mend_hint(query: QueryJob, builder: Builder) -> str | None:
    """Return what to do when the collection that a job asks is damaged; None where no job of the file fills it. Blocks."""
    command = _filling(query, builder)
    return f"Run `{command}`: it mends the store from the ledger, and what is finished is not sent again." if command else None


def check_filled(query: QueryJob, builder: Builder, jobs: Sequence[Job]) -> None:
    """Find out whether the collection is there, or one of these jobs may fill it. Blocks. Raises UsageError."""
    if any(_may_fill(job, query, builder) for job in jobs):
        return
    store = builder.store(query.store)
    with with_mend_hint(mend_hint(query, builder)):
        if store.fingerprint(query.collection) is None:
            try:
                store.search(query.collection, [])
            except UsageError as error:
                raise UsageError(error.message, hint=fill_hint(query, builder) or error.hint) from error


@contextmanager
def with_mend_hint(mend_hint: str | None) -> Iterator[None]:
    """Give an error about a damaged store the hint on what mends it, where that is known."""
    try:
        yield
    except DamagedStoreError as error:
        error.hint = mend_hint or error.hint
        raise


def _may_fill(job: Job, query: QueryJob, builder: Builder) -> bool:
    """Tell whether a job may make the collection: one of a kind that tells nothing may do anything."""
    return not job.declared or (job.fills is not None and job.fills.is_same(query.asks, builder.root))


def _fillers(query: QueryJob, builder: Builder) -> list[Job]:
    return [job for job in builder.jobs if job.fills is not None and job.fills.is_same(query.asks, builder.root)]


def _filling(query: QueryJob, builder: Builder) -> str | None:
    filling = [job.name for job in _fillers(query, builder)]
    return shlex.join(["asyncrun", "run", str(builder.file), *filling]) if filling else None
