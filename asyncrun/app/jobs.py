"""What is done with a job of any kind: checked before the first starts, opened, asked for its spaces and for what it reads, exported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asyncrun import registry
from asyncrun.app.builder import JobBuilder
from asyncrun.embedders.interface import Embedder
from asyncrun.errors import MissingKeyError, UsageError
from asyncrun.grammar.file_formats import STDOUT, input_format
from asyncrun.jobfile.files import real
from asyncrun.jobfile.input_output import OutputConfig
from asyncrun.jobfile.job_grammar import takes
from asyncrun.jobfile.jobs import Job, setting_of
from asyncrun.jobfile.sections import LlmConfig
from asyncrun.jobs.interface import find_kind
from asyncrun.ports import JobRun
from asyncrun.results import Counts

if TYPE_CHECKING:
    from asyncrun.llms.interface import Llm


def open_job(job: Job, builder: JobBuilder) -> JobRun:
    """Return a job with all that it needs. Blocks. Raises what its parts raise."""
    return find_kind(job.kind).open(job, builder)


def check_jobs(jobs: Sequence[Job], builder: JobBuilder, *, need_keys: bool = True) -> dict[str, MissingKeyError]:
    """Find out what must be wrong with the jobs' formats, chunks, collections, embedders and models, before the first starts. Blocks.

    Raises UsageError. Without `need_keys` a key that is missing is no mistake: the jobs are returned that miss one.
    """
    keyless: dict[str, MissingKeyError] = {}
    for job in jobs:
        try:
            check_parts(job, jobs, builder)
            _check_models(job, builder, need_keys=need_keys)
        except UsageError as error:
            if not need_keys and isinstance(error, MissingKeyError):
                keyless[job.name] = error
            else:
                raise UsageError(f"job {job.name}: {error.message}", hint=error.hint) from error
    return keyless


def check_parts(job: Job, jobs: Sequence[Job], builder: JobBuilder) -> None:
    """Find out what is wrong with a job beside its models, `jobs` being all of the call. Blocks. Raises UsageError."""
    _check_formats(job)
    if (check := find_kind(job.kind).check) is not None:
        check(job, builder, jobs)


def embedder_of(job: Job, builder: JobBuilder) -> Embedder | None:
    """Return the embedder of a job, None where its kind does not tell whether it has one. Blocks."""
    return builder.embedder(job) if job.declared else None


def llm_of(job: Job, builder: JobBuilder) -> Llm | None:
    """Return the chat model of a job, None when it asks none. Blocks."""
    config: LlmConfig | None = setting_of(job, "llm")
    return None if config is None else builder.llm(config)


def spaces_of(job: Job, builder: JobBuilder) -> frozenset[str]:
    """Return the fingerprints of all spaces that texts and answers of a job come into. Raises UsageError for a kind that tells none."""
    spaces = find_kind(job.kind).spaces
    if spaces is None:
        raise UsageError(f"job {job.name} is of the kind {job.kind}, which does not tell the spaces of its vectors")
    return frozenset(space.fingerprint for space in spaces(job, builder))


def export_job(job: Job, builder: JobBuilder, output: str) -> Counts:
    """Write the rows of a job that are done now; sends nothing. Blocks. Raises UsageError for a job without rows of its own."""
    export = find_kind(job.kind).export
    if export is None:
        raise UsageError(f"the job {job.name} is of the kind {job.kind}, which has no rows", hint="Name one of the kind embed or query.")
    return export(job, builder, builder.output_at(output))


def _check_models(job: Job, builder: JobBuilder, *, need_keys: bool) -> None:
    embedder, llm = embedder_of(job, builder), llm_of(job, builder)
    # A class of LlamaIndex may want its key, or load its model, when it is made.
    if embedder is not None and (need_keys or embedder.provider != "llama-index"):
        embedder.check()
    if llm is not None:
        llm.check()


def _check_formats(job: Job) -> None:
    """Find out whether the extras and plugins that the job's files need can be used. Raises UsageError."""
    used = {("readers", input_format(path) if job.input.format == "auto" else job.input.format) for path in job.input.paths}
    output: OutputConfig | None = getattr(job, "output", None)
    used |= set() if output is None else {("writers", output.format)}
    for port, name in used:
        built_in = None if name is None else registry.BUILT_IN[port].get(name)
        if name is not None and (built_in is None or built_in.extra):
            registry.load(port, name)


def output_path(job: Job) -> str | None:
    """Return the path of a job's output as the job file has it, None for a job without one."""
    output: OutputConfig | None = getattr(job, "output", None)
    return None if output is None else output.path


def made_inputs(jobs: Sequence[Job], root: Path) -> dict[str, dict[Path, str]]:
    """Return the jobs that read outputs of others, each with these files and the names of their makers. Blocks."""
    outputs = {real(root / path): job.name for job in jobs if (path := output_path(job)) is not None and path != STDOUT}
    found: dict[str, dict[Path, str]] = {}
    for job in jobs if outputs else ():
        reads = takes(job.input, root)
        read = {path: maker for path, maker in outputs.items() if maker != job.name and reads(path)}
        if read:
            found[job.name] = read
    return found
