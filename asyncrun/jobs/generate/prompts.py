"""How a generate job asks, made of its keys: prompt or messages, system, schema; and what of its input is read for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from asyncrun.errors import StorageError, UsageError, os_words
from asyncrun.grammar.prompt import ID, TEXT, parse_row_prompt
from asyncrun.jobfile.input_output import InputConfig
from asyncrun.jobfile.jobs import Prompt
from asyncrun.jobs.generate.conversation import Generating, MessageTemplate
from asyncrun.jobs.prompt_text import parse_read, read_prompt
from asyncrun.llms.interface import Llm, Message

if TYPE_CHECKING:
    from asyncrun.grammar.answer_schema import AnswerSchema
    from asyncrun.jobs.generate import GenerateJob


def build_generating(job: GenerateJob, llm: Llm, root: Path) -> Generating:
    """Return how a job asks. Blocks.

    Raises StorageError for a file that cannot be read, UsageError for a prompt that is no template.
    """
    templates = _templates(job, root)
    own = [Message("system", job.system)] if job.system is not None else [each for each in llm.messages("") if each.role == "system"]
    before = () if job.system is None and templates[0].role == "system" else tuple(own)
    generating = Generating(llm, before, templates, _schema(job, root), repair=job.repair, samples=job.samples)
    if not generating.fields:
        raise UsageError(
            f"the prompt of the job {job.name} names no field, so that every item would be asked the same", hint="Put in {text}, for one."
        )
    return generating


def input_read(config: InputConfig, fields: Sequence[str]) -> InputConfig:
    """Return an input that keeps the fields which templates name; where none of them is the text, an item need not have one.

    >>> input_read(InputConfig.model_validate("rows.jsonl"), ["title", "id"]).metadata
    ('title',)
    """
    named = [name for name in fields if name not in (TEXT, ID)]
    changes: dict[str, object] = {}
    if named:
        kept = config.metadata or ()
        changes["metadata"] = (*kept, *(name for name in named if name not in kept))
        if TEXT not in fields and "text" not in config.model_fields_set:
            changes["text"] = named[0]
    return config.model_copy(update=changes) if changes else config


def _schema(job: GenerateJob, root: Path) -> AnswerSchema | None:
    if job.answer_schema is None:
        return None
    from asyncrun.grammar.answer_schema import SchemaError, parse_schema

    document: object = job.answer_schema
    if job.schema_path is not None:
        path = root / job.schema_path
        try:
            document = orjson.loads(path.read_bytes())
        except (OSError, orjson.JSONDecodeError) as error:
            why = os_words(error) if isinstance(error, OSError) else f"not JSON: {error}"
            raise StorageError(f"cannot read the schema {path}: {why}", hint="Correct `schema` in the job file.") from error
    try:
        return parse_schema(document)
    except SchemaError as error:
        where = f"at {error.place}: " if error.place else ""
        raise UsageError(
            f"the schema of the job {job.name} cannot be used: {where}{error}", hint="Correct `schema` in the job file."
        ) from error


def _templates(job: GenerateJob, root: Path) -> tuple[MessageTemplate, ...]:
    if not job.messages:
        return (MessageTemplate("user", parse_read(read_prompt(job.prompt or Prompt(text="{text}"), root), parse_row_prompt, job.name)),)
    keys = [f"messages[{place}].content" for place in range(len(job.messages))]
    return tuple(
        MessageTemplate(each.role, parse_read(each.content, parse_row_prompt, job.name, key))
        for each, key in zip(job.messages, keys, strict=True)
    )
