"""What a run of some of the items does, the first ones (`--limit`) or a shard of them (`--shard`): which jobs, and where their rows go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncrun.errors import UsageError
from asyncrun.grammar.file_formats import STDIN, STDOUT, part_path
from asyncrun.jobfile.input_output import InputConfig, OutputConfig
from asyncrun.jobfile.job_file import absolute
from asyncrun.jobfile.jobs import Job, setting_of
from asyncrun.jobs.run_options import RunOptions

if TYPE_CHECKING:
    from asyncrun.grammar.shard import Shard


def take_part(jobs: Sequence[Job], options: RunOptions, root: Path) -> tuple[tuple[Job, ...], tuple[str, ...]]:
    """Return the jobs with outputs of their own, which those that read them read, too, and the names of those that a shard leaves out.

    That are those that ask what the others would fill: no store is. Raises UsageError for flags that do not go together, and for a job
    that reads outputs and more: its part of the rest would be taken of a part.
    """
    _check_flags(options)
    left = _left_out(jobs, root) if options.shard is not None else ()
    jobs = [job for job in jobs if job.name not in left]
    part, moved = _part_path(options), dict[Path, str]()
    for job in jobs:
        output: OutputConfig | None = getattr(job, "output", None)
        if output is not None and output.path != STDOUT:
            moved[absolute(root, output.path)] = part(output.path)
    for job in jobs if options.shard is not None else ():
        made = [absolute(root, path) in moved for path in job.input.paths]
        if any(made) and not all(made):
            hint = "Give each a job of its own, or run this one as a whole (--no-needs leaves out what it needs)."
            raise UsageError(f"--shard: the job {job.name} reads the output of another job and more", hint=hint)
    return tuple(_moved(job, moved, root) for job in jobs), left


def _left_out(jobs: Sequence[Job], root: Path) -> tuple[str, ...]:
    """Return the jobs that ask what others of them fill, and those that need one of these, which come after them."""
    filled, left = [job.fills for job in jobs if job.fills is not None], dict[str, None]()
    for job in jobs:
        asked = job.asks
        if (asked is not None and any(each.is_same(asked, root) for each in filled)) or not left.keys().isdisjoint(job.needs):
            left[job.name] = None
    return tuple(left)


def _moved(job: Job, moved: dict[Path, str], root: Path) -> Job:
    paths = tuple(path if path == STDIN else moved.get(absolute(root, path), path) for path in job.input.paths)
    changes: dict[str, Any] = {"input": job.input.model_copy(update={"paths": paths})}
    output: OutputConfig | None = getattr(job, "output", None)
    if output is not None and output.path != STDOUT:
        changes["output"] = output.model_copy(update={"path": moved[absolute(root, output.path)]})
    return job.model_copy(update=changes)


def is_made_of_shard(config: InputConfig, jobs: Sequence[Job], shard: Shard, root: Path) -> bool:
    """Tell whether an input is only what jobs have made of a shard: then all of it belongs to that."""
    outputs: list[OutputConfig | None] = [setting_of(job, "output") for job in jobs]
    made = {absolute(root, shard.path(output.path)) for output in outputs if output is not None and output.path != STDOUT}
    return bool(config.paths) and all(absolute(root, path) in made for path in config.paths)


def _part_path(options: RunOptions) -> Callable[[str], str]:
    """Return what tells where the rows of some of the items go, given where all would."""
    if options.shard is not None:
        return options.shard.path
    return partial(part_path, part=f".limit-{options.limit}")


def _check_flags(options: RunOptions) -> None:
    flag = "--limit" if options.limit is not None else "--shard"
    if options.limit is not None and options.shard is not None:
        raise UsageError("--limit and --shard do not go together", hint="Try the first items of all, or make a shard as a whole.")
    if options.refresh:
        raise UsageError(f"--refresh and {flag} do not go together", hint="Make a job again as a whole, or leave --refresh out.")
    if options.rebuild:
        raise UsageError(f"--rebuild and {flag} do not go together", hint=f"{flag} fills no store: leave one of them out.")
