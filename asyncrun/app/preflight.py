"""What is wrong with jobs beside their file's own mistakes: their parts, their collections, and the fields that they name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from asyncrun.app.collection_fillers import filled_with
from asyncrun.app.produced_files import made_inputs
from asyncrun.app.wiring import Workshop
from asyncrun.errors import AsyncrunError, SpaceMismatchError, UsageError
from asyncrun.grammar.file_formats import STDIN
from asyncrun.jobfile.jobs import EmbedJob, IngestJob, Job, QueryJob
from asyncrun.jobs.collection_check import check_space, filter_notes
from asyncrun.jobs.distinct import look


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong with a job, at a path of its keys; `refused` says whether a run of it cannot begin."""

    job: Job
    path: tuple[str, ...]
    message: str
    hint: str = ""
    refused: bool = True


def unready(jobs: Sequence[Job], workshop: Workshop) -> Iterator[Wrong]:
    """Yield which jobs have parts that cannot be used, or ask a collection that nobody fills. Blocks."""
    for job in jobs:
        try:
            workshop.check_parts(job, jobs)
        except AsyncrunError as error:
            yield Wrong(job, (), str(error), error.hint)


def unfitting(jobs: Sequence[Job], workshop: Workshop) -> Iterator[Wrong]:
    """Yield which jobs have a collection of another embedder, or name fields that are not there. Blocks.

    Inputs are read until every field was seen. What another of these jobs will write is not looked for.
    """
    made = made_inputs(jobs, workshop.root)
    for job in jobs:
        if isinstance(job, IngestJob | QueryJob):
            yield from _stored(job, workshop)
        if isinstance(job, EmbedJob | IngestJob | QueryJob) and job.name not in made and STDIN not in job.input.paths:
            yield from _fields(job, workshop)


def _stored(job: IngestJob | QueryJob, workshop: Workshop) -> Iterator[Wrong]:
    store = workshop.open_store(job.store)
    try:
        if (embedder := workshop.embedder_of(job)) is not None and (isinstance(job, IngestJob) or job.search != "keyword"):
            check_space(store, job.collection, embedder, workshop.ledger)
    except SpaceMismatchError as error:
        yield Wrong(job, ("collection",), error.message, error.hint)
    except UsageError:
        pass  # An embedder that cannot be made is told where parts are checked.
    if isinstance(job, QueryJob):
        notes = filter_notes(store, job.collection, job.filter, filled_with(job, workshop.jobs, workshop.root))
        yield from (Wrong(job, ("filter",), note, refused=False) for note in notes)


def _fields(job: Job, workshop: Workshop) -> Iterator[Wrong]:
    try:
        lacking = list(look(workshop.open_source(job.input)).lacking())
    except AsyncrunError as error:
        yield Wrong(job, ("input",), str(error), error.hint)
        return
    for field in lacking:
        yield Wrong(job, ("input", field.key), f"{field.place.file}: {field}", field.error().hint, field.needed)
