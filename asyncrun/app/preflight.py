"""What is wrong with jobs beside their file's own mistakes: their parts, their collections, and the fields that they name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from asyncrun.app.builder import JobBuilder
from asyncrun.app.jobs import check_parts, made_inputs
from asyncrun.errors import AsyncrunError
from asyncrun.grammar.file_formats import STDIN
from asyncrun.jobfile.jobs import Job
from asyncrun.jobs.distinct import look
from asyncrun.jobs.interface import JobProblem, find_kind

Wrong = tuple[Job, JobProblem]
"""A job, and one thing that is wrong with it."""


def unusable_parts(jobs: Sequence[Job], builder: JobBuilder) -> Iterator[Wrong]:
    """Yield which jobs have parts that cannot be used, or ask a collection that nobody fills. Blocks."""
    for job in jobs:
        try:
            check_parts(job, jobs, builder)
        except AsyncrunError as error:
            yield job, JobProblem((), str(error), error.hint)


def mismatches(jobs: Sequence[Job], builder: JobBuilder) -> Iterator[Wrong]:
    """Yield which jobs have a collection of another embedder, or name fields that are not there. Blocks.

    Inputs are read until every field was seen. What another of these jobs will write is not looked for.
    """
    made = made_inputs(jobs, builder.root)
    for job in jobs:
        if (inspect := find_kind(job.kind).inspect) is not None:
            yield from ((job, problem) for problem in inspect(job, builder))
        if job.declared and job.name not in made and STDIN not in job.input.paths:
            yield from ((job, problem) for problem in _fields(job, builder))


def _fields(job: Job, builder: JobBuilder) -> Iterator[JobProblem]:
    try:
        missing = list(look(builder.whole_source(job.input)).missing())
    except AsyncrunError as error:
        yield JobProblem(("input",), str(error), error.hint)
        return
    for field in missing:
        yield JobProblem(("input", field.key), f"{field.place.file}: {field}", field.error().hint, field.needed)
