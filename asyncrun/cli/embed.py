"""`asyncrun embed`: one embed job, without a job file."""

from __future__ import annotations

from typing import Annotated

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions
from asyncrun.cli._single_job import DelimiterFlag, EncodingFlag, FormatFlag, IdFlag, Inputs, MetadataFlag, Output, SaveFlag
from asyncrun.cli.run import Handlers, ShardFlag


def embed(
    options: GlobalOptions,
    inputs: Inputs,
    *,
    output: Output,
    embedder: Annotated[
        str,
        typer.Option(
            "-e", "--embedder", metavar="NAME", show_envvar=False, envvar="ASYNCRUN_EMBEDDER", help="A provider, or provider/model."
        ),
    ] = "local",
    text: Annotated[str | None, typer.Option("--text", metavar="FIELD", help="The field to embed, or '{title}. {text}'.")] = None,
    id_: IdFlag = None,
    metadata: MetadataFlag = None,
    format_: FormatFlag = None,
    encoding: EncodingFlag = None,
    delimiter: DelimiterFlag = None,
    save: SaveFlag = None,
    shard: ShardFlag = None,
    handlers: Handlers = None,
) -> int:
    """Embed files without a job file. Run again, it goes on (state: .asyncrun/).

    Example: asyncrun embed notes.jsonl -o vectors.jsonl -e mistral
    """
    from asyncrun.app.single_job import describe_embed
    from asyncrun.cli._single_job import reading_of, run_single

    reading = reading_of(metadata, text=text, id=id_, format=format_, encoding=encoding, delimiter=delimiter)
    return run_single(
        options,
        "embed",
        lambda folder: describe_embed(inputs, output, embedder, folder, reading),
        save=save,
        shard=shard,
        handlers=handlers,
    )
