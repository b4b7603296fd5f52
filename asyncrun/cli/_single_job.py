"""What the commands for one job without a job file have in common: the flags of its input, and how it is run and kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions

if TYPE_CHECKING:
    from asyncrun.app.single_job import Reading, SingleJob

Inputs = Annotated[list[str], typer.Argument(metavar="INPUT", help='Files, globs, or "-": stdin (lines, JSONL).')]
Output = Annotated[str, typer.Option("-o", "--output", metavar="PATH|-", help="Where the rows go.")]
IdFlag = Annotated[str | None, typer.Option("--id", metavar="FIELD", help="The field that names a row.")]
MetadataFlag = Annotated[str | None, typer.Option("--metadata", metavar="F,F", help="Fields that rows keep.")]
FormatFlag = Annotated[str | None, typer.Option("--format", metavar="NAME", help="What the files are; default: by ending.")]
EncodingFlag = Annotated[str | None, typer.Option("--encoding", metavar="NAME", help="Of text files; default: UTF-8.")]
DelimiterFlag = Annotated[str | None, typer.Option("--delimiter", metavar="CHAR", help="Between the fields of CSV.")]
SaveFlag = Annotated[Path | None, typer.Option("--save", metavar="FILE", help="Keep it as a job file; the state is there.")]


def reading_of(metadata: str | None, **said: str | None) -> Reading:
    """Return what the flags of a call say of its input, by the keys of a job file.

    >>> reading_of("lang, title", text="body", id=None)
    {'text': 'body', 'metadata': ('lang', 'title')}
    """
    from asyncrun.cli._requests import parse_names

    reading: dict[str, str | tuple[str, ...]] = {key: value for key, value in said.items() if value is not None}
    return reading if metadata is None else {**reading, "metadata": parse_names(metadata)}


def run_single(
    options: GlobalOptions,
    command: str,
    describe: Callable[[Path], SingleJob],
    *,
    save: Path | None,
    shard: str | None,
    handlers: str | None,
) -> int:
    """Run the one job of a call, kept in `save` if that is given; `describe` makes it for the folder where its file is, or would be."""
    from dataclasses import replace

    from asyncrun.app.request import WrittenPath
    from asyncrun.app.single_job import check_single, save_job_file
    from asyncrun.cli._requests import build_request, parse_names, parse_shard
    from asyncrun.cli.run import run_and_report
    from asyncrun.jobs.run_options import RunOptions

    job = describe(save.absolute().parent if save is not None else Path.cwd())
    written_paths = () if save is None else (WrittenPath("--save", str(save)),)
    chosen = RunOptions(shard=parse_shard(shard), handlers=parse_names(handlers))
    request = build_request(options, save or Path(job.title), [], run=chosen, text=job.text, written_paths=written_paths)
    check_single(request, command)
    if save is not None:
        save_job_file(save, job.text)
        request = replace(request, text=None, written_paths=())
    return run_and_report(request, options)
