"""`asyncrun generate`: one generate job, without a job file."""

from __future__ import annotations

from typing import Annotated

import typer

from asyncrun.cli._flags_and_completion import GlobalOptions
from asyncrun.cli._single_job import DelimiterFlag, EncodingFlag, FormatFlag, IdFlag, Inputs, MetadataFlag, Output, SaveFlag
from asyncrun.cli.run import Handlers, ShardFlag


def generate(
    options: GlobalOptions,
    inputs: Inputs,
    *,
    output: Output,
    prompt: Annotated[str, typer.Option("-p", "--prompt", metavar="PROMPT", help="What is asked, with {text} and fields.")],
    llm: Annotated[
        str, typer.Option("-m", "--llm", metavar="NAME", show_envvar=False, envvar="ASYNCRUN_LLM", help="Who is asked: provider/model.")
    ],
    schema: Annotated[str | None, typer.Option("--schema", metavar="FILE", help="A JSON Schema that each answer keeps.")] = None,
    system: Annotated[str | None, typer.Option("--system", metavar="WORDS", help="What the model is told before.")] = None,
    text: Annotated[str | None, typer.Option("--text", metavar="FIELD", help="The field that is {text}; default: text.")] = None,
    id_: IdFlag = None,
    metadata: MetadataFlag = None,
    format_: FormatFlag = None,
    encoding: EncodingFlag = None,
    delimiter: DelimiterFlag = None,
    save: SaveFlag = None,
    shard: ShardFlag = None,
    handlers: Handlers = None,
) -> int:
    """Ask a model about each row. Run again, it goes on (state: .asyncrun/).

    Example: asyncrun generate a.jsonl -o b.jsonl -p 'Sum up: {text}'
    -m openai/gpt-4o-mini
    """
    from asyncrun.app.single_job import RowPrompt, describe_generate
    from asyncrun.cli._single_job import reading_of, run_single

    reading = reading_of(metadata, text=text, id=id_, format=format_, encoding=encoding, delimiter=delimiter)
    question = RowPrompt(llm, prompt, system, schema)
    return run_single(
        options,
        "generate",
        lambda folder: describe_generate(inputs, output, question, folder, reading),
        save=save,
        shard=shard,
        handlers=handlers,
    )
