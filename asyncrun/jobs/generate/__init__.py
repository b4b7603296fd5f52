"""The kind `generate`: what its jobs hold, and how one is checked and opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, Unpack

from pydantic import BeforeValidator, Field, model_validator

from asyncrun.jobfile.field_types import Count, DeadlineField, DeliveryField, Text, Whole, wrong
from asyncrun.jobfile.job_keys import GenerateKeys
from asyncrun.jobfile.jobs import CheckContext, Job, LlmField, OutputField, PromptField, PromptMessage
from asyncrun.jobs.interface import Builder, JobKind
from asyncrun.records import Space

if TYPE_CHECKING:
    from asyncrun.jobfile.entries import JobEntry
    from asyncrun.jobfile.input_output import InputConfig
    from asyncrun.jobs.generate.run import GenerateRun


def _schema(value: object) -> object:
    if isinstance(value, str):
        return {"path": value}
    if not isinstance(value, dict):
        raise wrong("", "a JSON Schema, or {path: FILE}")
    return value


class GenerateJob(Job):
    """Asks a model about each item; `output` gets one row an item.

    >>> import asyncrun, tempfile
    >>> from asyncrun.testing import FakeServer
    >>> with FakeServer().in_thread() as server, tempfile.TemporaryDirectory() as folder:
    ...     llm = {"provider": "openai", "model": "m", "base_url": server.base_url}
    ...     job = GenerateJob(name="ask", input={"items": ["Cats purr."]}, llm=llm, prompt="Who purrs? {text}", output="rows.jsonl")
    ...     [row["finish_reason"] for row in asyncrun.run(job, folder=folder).rows("ask")]
    ['stop']
    """

    embeds: ClassVar[bool] = False
    asks_by_batches: ClassVar[tuple[str, ...]] = ("llm",)
    descriptions: ClassVar[Mapping[str, str]] = {
        "llm": "The model that is asked: its name or settings.",
        "prompt": "What it is asked about each item: a template such as 'Summarise: {text}', {text: ...}, or {path: FILE}.",
        "messages": "The same as several messages, as for examples: a list of {role, content}, each content a template.",
        "system": "Words that stand before the prompt; they win over the llm's.",
        "schema": "A JSON Schema that every answer must fit: in place, or {path: FILE}.",
        "repair": "How often an answer that does not fit is asked for again, with the mistake said.",
        "samples": "How many answers an item gets.",
    }

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[GenerateKeys]) -> None:
            """Take the keys of an entry in a job file, in the same forms."""

    kind: Literal["generate"]
    llm: LlmField
    prompt: PromptField | None = None
    messages: tuple[PromptMessage, ...] | None = None
    system: Text | None = None
    answer_schema: Annotated[dict[str, Any], BeforeValidator(_schema)] | None = Field(default=None, alias="schema")
    repair: Whole = 1
    samples: Count = 1
    deadline: DeadlineField | None = None
    stragglers: DeliveryField = "batch"
    output: OutputField

    @model_validator(mode="after")
    def _one_prompt(self) -> Self:
        if (self.prompt is None) == (not self.messages):
            raise wrong("a job asks one thing", "prompt, or messages: a list of {role, content}")
        return self

    @property
    def schema_path(self) -> str | None:
        """Return the file of the schema, None for one in place."""
        path = (self.answer_schema or {}).get("path")
        return path if isinstance(path, str) and len(self.answer_schema or {}) == 1 else None

    @property
    def files(self) -> Mapping[str, str | None]:
        """Return the files that it reads beside its input, by what they are."""
        return {**super().files, "prompt": None if self.prompt is None else self.prompt.path, "schema": self.schema_path}

    def check(self, entry: JobEntry, context: CheckContext) -> None:
        """Add what is wrong with prompt, model and schema to the findings."""
        from asyncrun.jobs.generate.checks import check_keys

        check_keys(self, entry, context)


def open_generate(job: GenerateJob, builder: Builder) -> GenerateRun:
    """Return a generate job with all that it needs. Blocks."""
    from asyncrun.jobs.generate.prompts import build_generating, input_read
    from asyncrun.jobs.generate.run import GenerateRun
    from asyncrun.ledger.answers import mean_output

    generating = build_generating(job, builder.llm(job.llm), builder.root)
    context = builder.context(job, generating.space)
    return GenerateRun(
        source=builder.source(input_read(job.input, generating.fields)),
        generating=replace(generating, rate=context.rate, seen_answer=mean_output(builder.ledger, generating.space)),
        output=builder.output(job.output),
        context=context,
    )


def _check(job: GenerateJob, builder: Builder, _: Sequence[Job]) -> None:
    from asyncrun.jobs.generate.prompts import build_generating

    build_generating(job, builder.llm(job.llm), builder.root)


def _spaces(job: GenerateJob, builder: Builder) -> list[Space]:
    return [builder.llm(job.llm).space]


def _prompted(job: GenerateJob, builder: Builder) -> tuple[str, InputConfig]:
    from asyncrun.jobs.generate.prompts import build_generating, input_read

    generating = build_generating(job, builder.llm(job.llm), builder.root)
    return "messages" if job.messages else "prompt", input_read(job.input, generating.fields)


def _row_fields(job: GenerateJob, root: Path | None) -> Mapping[str, Any]:
    from asyncrun.jobs.generate.checks import row_fields

    return row_fields(job, root)


def _remarks(job: GenerateJob, root: Path) -> Sequence[str]:
    from asyncrun.jobs.generate.checks import schema_remarks

    return schema_remarks(job, root)


GENERATE = JobKind(
    GenerateJob,
    open_generate,
    check=_check,
    spaces=_spaces,
    row_fields=_row_fields,
    prompted=_prompted,
    remarks=_remarks,
    export=lambda job, builder, output: open_generate(job, builder).export(output),
)
