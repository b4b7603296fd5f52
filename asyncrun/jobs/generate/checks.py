"""Whether a generate job can be asked: by a model, with a template about the row, held against a schema; and what its rows hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncrun.grammar.prompt import ROW_FIELDS, parse_row_prompt
from asyncrun.jobfile.checks import check_llm
from asyncrun.jobfile.entries import JobEntry
from asyncrun.jobfile.jobs import CheckContext
from asyncrun.jobfile.mistakes import Findings
from asyncrun.jobfile.row_fields import RowFields, schema_fields
from asyncrun.jobfile.yaml_tree import KeyPath, Table
from asyncrun.jobs.prompt_text import PromptText, find_prompt, parse_found, read_named

if TYPE_CHECKING:
    from asyncrun.jobs.generate import GenerateJob


def check_keys(job: GenerateJob, entry: JobEntry, context: CheckContext) -> None:
    """The model can be used, and is asked about the row; answers can be held against the schema; nothing is embedded."""
    findings = context.findings
    if isinstance(findings.node(entry.path("llm")), Table):
        check_llm(job.llm, entry.path("llm"), context.names, findings)
    if "embedder" in job.model_fields_set and "embedder" not in entry.inherited:
        findings.add(entry.path("embedder"), "a job of this kind embeds nothing", "no embedder", key=True)
    _check_messages(job, entry, findings)
    _check_prompts(job, entry, context)
    _check_schema(job, entry, context)


def row_fields(job: GenerateJob, root: Path | None) -> RowFields:
    """Return the fields of a job's rows. Blocks, but without a root."""
    schema = _schema_document(job, root)
    answer = "text" if schema is None else schema_fields(schema)
    answers: dict[str, Any] = {"answer": answer} if job.samples == 1 else {"answers": "list"}
    return {"id": "text", **answers, "finish_reason": "text", "usage": "unknown", "metadata": "unknown"}


def schema_remarks(job: GenerateJob, root: Path) -> tuple[str, ...]:
    """Return what there is to say of a schema that the provider does not hold its answers to, as far as is known. Blocks."""
    from asyncrun.llms.providers import CHAT_PROVIDERS
    from asyncrun.llms.schema_rules import misfits, schema_remark

    schema, row = _schema_document(job, root), CHAT_PROVIDERS.get(job.llm.provider)
    if not isinstance(schema, dict) or row is None or row.rules is None:
        return ()
    return schema_remark(tuple(misfits(schema, row.rules)))


def _schema_document(job: GenerateJob, root: Path | None) -> Any:
    """Return the schema as it was read, an empty one where it cannot be or is not to be looked up, None where there is none."""
    if job.schema_path is None:
        return job.answer_schema
    try:
        return {} if root is None else json.loads((root / job.schema_path).read_bytes())
    except (OSError, ValueError):
        return {}  # What is wrong with it is said where it is checked.


def _check_messages(job: GenerateJob, entry: JobEntry, findings: Findings) -> None:
    messages, path = job.messages or (), entry.path("messages")
    if not messages or findings.knows(path):
        return
    if messages[-1].role != "user":
        findings.add((*path, len(messages) - 1, "role"), "the last message is what is answered", "user")
    for at, message in enumerate(messages):
        if message.role == "system" and at > 0:
            findings.add((*path, at, "role"), "only the first message may be of the system", "user, assistant")
    if job.system is not None and messages[0].role == "system":
        findings.add((*path, 0, "role"), "the job has `system` already", "one of the two")


def _check_prompts(job: GenerateJob, entry: JobEntry, context: CheckContext) -> None:
    findings, path = context.findings, entry.path("messages" if job.messages else "prompt")
    found: Sequence[PromptText | None]
    if job.messages:
        found = [PromptText(each.content, (*path, at, "content")) for at, each in enumerate(job.messages)]
    else:
        found = [] if job.prompt is None else [find_prompt(job.prompt, path, context)]
    templates = [None if each is None else parse_found(each, parse_row_prompt, ROW_FIELDS, findings) for each in found]
    # One that could not be read may well name a field.
    if templates and None not in templates and not any(template.fields for template in templates if template is not None):
        findings.add(path, "it names no field of a row, so that every row would be asked the same", ROW_FIELDS)


def _check_schema(job: GenerateJob, entry: JobEntry, context: CheckContext) -> None:
    findings, path = context.findings, entry.path("schema")
    if job.answer_schema is None or findings.knows(path):
        return
    from asyncrun.grammar.answer_schema import SchemaError, parse_schema

    document: Any = job.answer_schema
    if job.schema_path is not None:
        path = (*path, "path") if isinstance(findings.node(path), Table) else path
        text = read_named(job.schema_path, path, "a JSON Schema", context)
        if text is None:
            return
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            where = f": line {error.lineno}, column {error.colno} cannot be read" if isinstance(error, json.JSONDecodeError) else ""
            findings.add(path, f"it is not JSON{where}", "a file with a JSON Schema")
            return
    try:
        parse_schema(document)
    except SchemaError as error:
        in_file = f" (at {error.place} in the file)" if job.schema_path is not None and error.place else ""
        where_in = path if job.schema_path is not None else _below(path, error.place, findings)
        findings.add(where_in, f"no JSON Schema: {error}{in_file}", "a JSON Schema of draft 2020-12 that refers to nothing outside of it")


def _below(path: KeyPath, place: str, findings: Findings) -> KeyPath:
    """Return where a JSON pointer leads below a path of the job file."""
    for word in place.split("/")[1:]:
        step = word.replace("~1", "/").replace("~0", "~")
        key = (*path, step)
        path = (*path, int(step)) if findings.node(key) is None and step.isdecimal() else key
    return path
