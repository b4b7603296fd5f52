"""Which jobs read what others of the same call write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asyncrun.grammar.file_formats import STDOUT
from asyncrun.jobfile.files import real
from asyncrun.jobfile.input_output import OutputConfig
from asyncrun.jobfile.job_grammar import takes
from asyncrun.jobfile.jobs import Job


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
