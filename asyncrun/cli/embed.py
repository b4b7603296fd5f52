"""`asyncrun embed`: one embed job, without a job file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions
from asyncrun.cli.run import Handlers, ShardFlag


def embed(
    options: GlobalOptions,
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help='Files, globs, or "-": stdin (lines, JSONL).')],
    *,
    output: Annotated[str, typer.Option("-o", "--output", metavar="PATH|-", help="Where the rows go.")],
    embedder: Annotated[
        str,
        typer.Option(
            "-e", "--embedder", metavar="NAME", show_envvar=False, envvar="ASYNCRUN_EMBEDDER", help="A provider, or provider/model."
        ),
    ] = "local",
    text: Annotated[str | None, typer.Option("--text", metavar="FIELD", help="The field to embed, or '{title}. {text}'.")] = None,
    id_: Annotated[str | None, typer.Option("--id", metavar="FIELD", help="The field that names a row.")] = None,
    metadata: Annotated[str | None, typer.Option("--metadata", metavar="F,F", help="Fields that rows keep.")] = None,
    format_: Annotated[str | None, typer.Option("--format", metavar="NAME", help="What the files are; default: by ending.")] = None,
    encoding: Annotated[str | None, typer.Option("--encoding", metavar="NAME", help="Of text files; default: UTF-8.")] = None,
    delimiter: Annotated[str | None, typer.Option("--delimiter", metavar="CHAR", help="Between the fields of CSV.")] = None,
    save: Annotated[Path | None, typer.Option("--save", metavar="FILE", help="Keep it as a job file; the state is there.")] = None,
    shard: ShardFlag = None,
    handlers: Handlers = None,
) -> int:
    """Embed files without a job file. Run again, it goes on (state: .asyncrun/).

    Example: asyncrun embed notes.jsonl -o vectors.jsonl -e mistral
    """
    from dataclasses import replace

    from asyncrun.app.embed_command import check_embed, describe_embed, save_job_file
    from asyncrun.app.request import WrittenPath
    from asyncrun.cli._requests import build_request, parse_names, parse_shard
    from asyncrun.cli.run import run_and_report
    from asyncrun.jobs.run_options import RunOptions

    folder = save.absolute().parent if save is not None else Path.cwd()
    said = {"text": text, "id": id_, "format": format_, "encoding": encoding, "delimiter": delimiter}
    reading: dict[str, str | tuple[str, ...]] = {key: value for key, value in said.items() if value is not None}
    if metadata is not None:
        reading["metadata"] = parse_names(metadata)
    job = describe_embed(inputs, output, embedder, folder, reading)
    written_paths = () if save is None else (WrittenPath("--save", str(save)),)
    chosen = RunOptions(shard=parse_shard(shard), handlers=parse_names(handlers))
    request = build_request(options, save or Path(job.title), [], run=chosen, text=job.text, written_paths=written_paths)
    check_embed(request)
    if save is not None:
        save_job_file(save, job.text)
        request = replace(request, text=None, written_paths=())
    return run_and_report(request, options)
