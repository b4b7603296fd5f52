"""What the rows of a job hold, as far as its keys tell: so that a job which reads them names fields that will be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from asyncrun import registry
from asyncrun.errors import UsageError
from asyncrun.escape import printable
from asyncrun.grammar.template import parse_template
from asyncrun.jobfile.entries import JobEntry
from asyncrun.jobfile.files import real
from asyncrun.jobfile.input_checks import input_path
from asyncrun.jobfile.jobs import CheckContext, Job, setting_of
from asyncrun.jobfile.mistakes import Findings, listed, suggest
from asyncrun.jobfile.output_checks import rows_file
from asyncrun.jobfile.yaml_tree import KeyPath

RowFields = Mapping[str, Any]
"""The fields of a job's rows: each with those of the object there, or with what it is: `text`, `list`, `unknown`."""
_ROWS = ("auto", "jsonl", "csv", "tsv", "parquet")
_NESTED = ("jsonl",)
"""The formats of an output that keep an object as one; in the others it is a text with JSON in it."""
_OPEN = ("$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "patternProperties", "dependentSchemas")


def check_row_fields(reader: JobEntry, entries: Sequence[JobEntry], context: CheckContext) -> None:
    """What a job reads out of the rows of the others is a field of theirs, and a text. Blocks."""
    given = reader.job.input if reader.job is not None else None
    if given is None or not given.paths or given.sql is not None or given.format not in _ROWS:
        return
    writers = {path: entry for entry in entries if entry is not reader and (path := rows_file(entry.job, context.root)) is not None}
    for position, text in enumerate(given.paths if writers else ()):
        writer = writers.get(real(context.root / text))
        fields = rows_of(writer, context) if writer is not None else None
        if writer is not None and fields is not None:
            _check_names(reader, writer, fields, input_path(reader, position, context.findings), context.findings)


def rows_of(writer: JobEntry, context: CheckContext) -> RowFields | None:
    """Return the fields of a job's rows as its output has them, None where they are not known. Blocks."""
    fields, output = _told_fields(writer.job, context), setting_of(writer.job, "output")
    if fields is None or output is None or output.format == "npy":
        return None
    if output.columns is not None:
        fields = {name: fields.get(name, "unknown") for name in output.columns}
    return fields if output.format in _NESTED else {name: "text" if isinstance(kind, Mapping) else kind for name, kind in fields.items()}


def _told_fields(job: Job | None, context: CheckContext) -> RowFields | None:
    try:
        tell = getattr(registry.load("kinds", job.kind), "row_fields", None) if job is not None and job.declared else None
    except UsageError:
        return None  # Whoever opens the job is told why.
    fields: RowFields | None = tell(job, context.root if context.read else None) if tell is not None else None
    return fields


def schema_fields(schema: Any) -> RowFields | str:
    """Return what a value holds that keeps a JSON Schema: its fields, or what it is.

    >>> schema_fields({"type": "object", "properties": {"title": {"type": "string"}, "tags": {"type": "array"}}})
    {'title': 'text', 'tags': 'list'}
    """
    if not isinstance(schema, Mapping) or any(key in schema for key in _OPEN):
        return "unknown"
    kind, properties = schema.get("type"), schema.get("properties")
    if kind == "object" and isinstance(properties, Mapping) and not schema.get("additionalProperties"):
        return {str(name): schema_fields(inner) for name, inner in properties.items()}
    return {"array": "list", "string": "text", "integer": "text", "number": "text", "boolean": "text"}.get(str(kind), "unknown")


def kind_of(name: str, fields: RowFields) -> str:
    """Return what a field is, by its dotted name: a field that is really called `a.b` comes before `b` in `a`.

    >>> kind_of("answer.title", {"answer": {"title": "text"}}), kind_of("answer.titel", {"answer": {"title": "text"}})
    ('text', 'missing')
    """
    found = fields.get(name)
    if found is None and "." in name:
        head, _, rest = name.partition(".")
        inner = fields.get(head, "missing")
        return kind_of(rest, inner) if isinstance(inner, Mapping) else "unknown" if inner == "unknown" else "missing"
    return "missing" if found is None else "object" if isinstance(found, Mapping) else found


def _check_names(reader: JobEntry, writer: JobEntry, fields: RowFields, where: KeyPath, findings: Findings) -> None:
    texts, rows = list(_texts(fields)), printable(writer.shown, 60)
    for key in ("text", "id"):
        stated = reader.path("input", key)
        is_stated = findings.node(stated) is not None
        if key == "id" and not is_stated:
            continue
        path = stated if is_stated else where
        for name in _names(getattr(reader.job and reader.job.input, key, "")):
            kind = kind_of(name, fields)
            if kind in ("text", "unknown") or findings.knows(path):
                continue
            # The value of a variable is not shown.
            field = f"field {printable(name, 60)!r}" if findings.quoted(path) or not is_stated else "such field"
            if kind == "missing":
                said = f"the rows of the job {rows} have no {field}" + ("" if is_stated else "; name another one as input.text")
            else:
                said = f"the {field} in the rows of the job {rows} is {'an' if kind == 'object' else 'a'} {kind}, not a text"
            findings.add(path, said, listed(texts), suggest(name, texts) if field != "such field" else None)


def _names(words: str) -> tuple[str, ...]:
    try:
        return parse_template(words).fields
    except UsageError:
        return ()  # That it is no template is said elsewhere.


def _texts(fields: RowFields, above: str = "") -> Iterator[str]:
    for name, kind in fields.items():
        if isinstance(kind, Mapping):
            yield from _texts(kind, f"{above}{name}.")
        elif kind == "text":
            yield f"{above}{name}"
