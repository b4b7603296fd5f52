"""A job's input and output as the job file states them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from asyncrun.grammar.file_formats import STDOUT, output_format
from asyncrun.jobfile.field_types import FilePath, FilePaths, Flag, Model, Text, Texts, wrong


def _item(value: object) -> object:
    if not isinstance(value, str | dict):
        raise wrong("", "a text or a mapping")
    return value


InlineItem = Annotated[Any, BeforeValidator(_item), Field(json_schema_extra={"type": ["string", "object"]})]


LLAMA_INDEX = "llama-index"
"""The format of an input that a reader of LlamaIndex loads, from wherever it does."""


class InputConfig(Model):
    """Where items come from: `paths` (relative ones start at the job file's folder; globs; `-` for stdin) or `items` written in place.

    `text` and `id` name a field, a dotted field, or a template such as `{title}. {text}`. `format` is `auto` or a reader's name.
    """

    paths: FilePaths = Field((), alias="path")
    items: tuple[InlineItem, ...] = ()
    exclude: Texts = ()
    format: Text = "auto"
    text: Text = "text"
    id: Text = "id"
    metadata: Texts = ()
    root: FilePath | None = None
    duplicates: Literal["fail", "first", "last"] = "fail"
    allow_empty: Flag = False
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        if isinstance(value, str | list):
            return {"path": value}
        if not isinstance(value, dict):
            raise wrong("", "a path, a list of paths, or a mapping with path or items")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.format == LLAMA_INDEX:
            if self.paths or self.items:
                raise wrong("a reader of LlamaIndex has arguments of its own", "options, and no path or items")
            if not self.options.get("class"):
                raise wrong("no options.class", "options: {class: llama_index.core.SimpleDirectoryReader, args: {input_dir: /data/docs}}")
            return self
        if self.options:
            raise wrong("options without format: llama-index", "both, or no options")
        if self.paths and self.items:
            raise wrong("path and items stand together", "one of the two")
        if not self.paths and not ("items" in self.model_fields_set and (self.items or self.allow_empty)):
            raise wrong("no path and no items", "a path, a list of paths, or a mapping with path or items")
        return self


def _format(data: dict[str, Any]) -> str:
    path = data.get("path", STDOUT)
    return "jsonl" if path == STDOUT else output_format(str(path)) or ""


class OutputConfig(Model):
    """Where rows go: a path (relative ones start at the job file's folder) or `-` for stdout.

    `format` is a writer's name; it follows from the path's ending where the file does not state it
    (empty: the ending names none).
    """

    path: FilePath
    format: str = Field(default_factory=_format)
    columns: tuple[Text, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: object) -> object:
        if isinstance(value, str):
            return {"path": value}
        if not isinstance(value, dict):
            raise wrong("", "a path, or a mapping with path, format, columns")
        return value
