"""What is wrong with jobs beside their file's own mistakes: their parts, their models, their collections, the fields that they name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from asyncrun import registry
from asyncrun.app.builder import JobBuilder
from asyncrun.errors import AsyncrunError, MissingKeyError, UsageError
from asyncrun.grammar.file_formats import STDIN, STDOUT, input_format
from asyncrun.jobfile.files import real
from asyncrun.jobfile.input_checks import input_matcher
from asyncrun.jobfile.input_output import OutputConfig
from asyncrun.jobfile.jobs import Job, setting_of
from asyncrun.jobs.interface import JobProblem, find_kind
from asyncrun.readers.distinct_items import find_missing_fields

FoundProblem = tuple[Job, JobProblem]
"""A job, and one thing that is wrong with it."""
_NAMED_PARTS = (
    ("embedders", "embedder", "provider"),
    ("llms", "llm", "provider"),
    ("stores", "store", "type"),
    ("chunkers", "chunk", "by"),
)
"""Ports, and the key of a job and of what stands there that name a part."""


def check_jobs(jobs: Sequence[Job], builder: JobBuilder, *, need_keys: bool = True) -> dict[str, MissingKeyError]:
    """Find out what must be wrong with the jobs' formats, chunks, collections, embedders and models, before the first starts. Blocks.

    Raises UsageError. Without `need_keys` a key that is missing is no mistake: the jobs are returned that miss one.
    """
    if (clash := registry.find_clash(_parts_of(jobs))) is not None:
        raise clash
    keyless: dict[str, MissingKeyError] = {}
    for job in jobs:
        try:
            _check_parts(job, jobs, builder)
            _check_models(job, builder, need_keys=need_keys)
        except UsageError as error:
            if not need_keys and isinstance(error, MissingKeyError):
                keyless[job.name] = error
            else:
                raise UsageError(f"job {job.name}: {error.message}", hint=error.hint) from error
    return keyless


def unusable_parts(jobs: Sequence[Job], builder: JobBuilder) -> Iterator[FoundProblem]:
    """Yield which jobs have parts that cannot be used, or ask a collection that nobody fills. Blocks."""
    if (clash := registry.find_clash(_parts_of(jobs))) is not None:
        yield jobs[0], JobProblem((), clash.message, clash.hint)
    for job in jobs:
        try:
            _check_parts(job, jobs, builder)
        except AsyncrunError as error:
            yield job, JobProblem((), str(error), error.hint)


def mismatches(jobs: Sequence[Job], builder: JobBuilder) -> Iterator[FoundProblem]:
    """Yield which jobs have a collection of another embedder, or name fields that are not there. Blocks.

    Inputs are read until every field was seen. What another of these jobs will write is not looked for.
    """
    made = outputs_read(jobs, builder.root)
    for job in jobs:
        if (inspect := find_kind(job.kind).inspect) is not None:
            yield from ((job, problem) for problem in inspect(job, builder))
        if job.declared and job.name not in made and STDIN not in job.input.paths:
            yield from ((job, problem) for problem in _fields(job, builder))


def outputs_read(jobs: Sequence[Job], root: Path) -> dict[str, dict[Path, str]]:
    """Return the jobs that read outputs of others, each with these files and the names of the jobs that write them. Blocks."""
    outputs = {real(root / path): job.name for job in jobs if (path := output_path(job)) not in (None, STDOUT)}
    found: dict[str, dict[Path, str]] = {}
    for job in jobs if outputs else ():
        reads = input_matcher(job.input, root)
        read = {path: writer for path, writer in outputs.items() if writer != job.name and reads(path)}
        if read:
            found[job.name] = read
    return found


def output_path(job: Job) -> str | None:
    """Return the path of a job's output as the job file has it, None for a job without one."""
    output: OutputConfig | None = getattr(job, "output", None)
    return None if output is None else output.path


def _check_parts(job: Job, jobs: Sequence[Job], builder: JobBuilder) -> None:
    """Find out what is wrong with a job beside its models, `jobs` being all of the call. Raises UsageError."""
    _check_formats(job)
    if job.input.options:
        builder.loaded(job.input)
    if job.declared and (store := setting_of(job, "store")) is not None and store.type != "sqlite":
        builder.store(store)
    if (check := find_kind(job.kind).check) is not None:
        check(job, builder, jobs)


def _check_models(job: Job, builder: JobBuilder, *, need_keys: bool) -> None:
    if job.declared and job.embeds:
        embedder = builder.embedder(job)
        # A class of LlamaIndex may want its key, or load its model, when it is made.
        if need_keys or embedder.provider != "llama-index":
            embedder.check()
    if (llm := setting_of(job, "llm")) is not None:
        builder.llm(llm).check()


def _check_formats(job: Job) -> None:
    """Find out whether the extras and plugins that the job's files need can be used. Raises UsageError."""
    for port, name in _formats_of(job):
        built_in = registry.BUILT_IN[port].get(name)
        if built_in is None or built_in.extra:
            registry.load(port, name)


def _formats_of(job: Job) -> set[tuple[str, str]]:
    """Return the readers and the writer of a job, as registry and name."""
    used = {("readers", input_format(path) if job.input.format == "auto" else job.input.format) for path in job.input.paths}
    output: OutputConfig | None = getattr(job, "output", None)
    used |= set() if output is None else {("writers", output.format)}
    return {(port, name) for port, name in used if name is not None}


def _parts_of(jobs: Sequence[Job]) -> list[tuple[str, str]]:
    """Return what the jobs name of the registry: ports and names."""
    used: set[tuple[str, str]] = set()
    for job in jobs:
        used |= {("kinds", job.kind), *_formats_of(job)}
        for port, key, name in _NAMED_PARTS:
            if job.declared and (part := setting_of(job, key)) is not None:
                used.add((port, getattr(part, name)))
    return sorted(used)


def _fields(job: Job, builder: JobBuilder) -> Iterator[JobProblem]:
    prompted, key, config = find_kind(job.kind).prompted, "", job.input
    try:
        if prompted is not None:
            key, config = prompted(job, builder)
        missing = list(find_missing_fields(builder.whole_source(config)).missing())
    except AsyncrunError as error:
        yield JobProblem(("input",), str(error), error.hint)
        return
    for field in missing:
        if key and field.key == "metadata" and field.name not in (job.input.metadata or ()):
            yield JobProblem((key,), str(field.error(f"which `{key}` names")), field.error().hint)
        elif field.key != "text" or config.text == job.input.text:
            yield JobProblem(("input", field.key), f"{field.place.file}: {field}", field.error().hint, field.needed)
