"""A job's input and output as the job file states them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PrivateAttr, SecretStr, model_validator

from asyncrun.grammar.file_formats import STDIN, STDOUT, is_encoding, output_format
from asyncrun.grammar.globs import is_glob
from asyncrun.jobfile.field_types import FilePath, FilePaths, Flag, Model, Text, Texts, wrong


def _item(value: object) -> object:
    if not isinstance(value, str | dict):
        raise wrong("", "a text or a mapping")
    return value


InlineItem = Annotated[Any, BeforeValidator(_item), Field(json_schema_extra={"type": ["string", "object"]})]


def _encoding(value: object) -> object:
    if not isinstance(value, str) or not is_encoding(value):
        raise wrong("", "utf-8, windows-1252, utf-16, shift_jis or another name that Python knows")
    return value


def _delimiter(value: object) -> object:
    if value == "\\t":
        return "\t"
    if not isinstance(value, str) or len(value) != 1 or value in '"\r\n':
        raise wrong("", "one character, such as ';', or \\t")
    return value


Encoding = Annotated[str, BeforeValidator(_encoding)]
Delimiter = Annotated[str, BeforeValidator(_delimiter)]
LLAMA_INDEX = "llama-index"
"""The format of an input that a reader of LlamaIndex loads, from wherever it does."""


class InputConfig(Model):
    """Where items come from: `paths` (relative ones start at the job file's folder; globs; `-` for stdin) or `items` written in place.

    With `sql` they are the rows of a query on the database at `url`, or on the SQLite file that is the only path.
    `text` and `id` name a field, a dotted field, or a template such as `{title}. {text}`. `format` is `auto` or a reader's name.
    """

    paths: FilePaths = Field((), alias="path")
    items: tuple[InlineItem, ...] = ()
    exclude: Texts = ()
    format: Text = "auto"
    text: Text = "text"
    id: Text = "id"
    metadata: Texts | None = None
    root: FilePath | None = None
    encoding: Encoding | None = None
    delimiter: Delimiter | None = None
    duplicates: Literal["fail", "first", "last"] = "fail"
    allow_empty: Flag = False
    options: dict[str, Any] = Field(default_factory=dict)
    sql: Text | None = None
    url: SecretStr | None = None
    _left_out: Callable[[str], bool] | None = PrivateAttr(default=None)

    def leaving_out(self, left_out: Callable[[str], bool]) -> Self:
        """Return the same input, whose globs pass over the real paths that `left_out` says yes to."""
        changed = self.model_copy()
        changed._left_out = left_out
        return changed

    def leaves_out(self, path: str) -> bool:
        """Tell whether a glob passes over a real path because it belongs to the job file."""
        return self._left_out is not None and self._left_out(path)

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
        if self.sql is not None or self.url is not None:
            return self._one_database()
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

    def _one_database(self) -> Self:
        if self.sql is None:
            raise wrong("url without sql", "both: the database's address, and the query whose rows are read")
        one_file = len(self.paths) == 1 and self.paths[0] != STDIN and not is_glob(self.paths[0])
        # Stated by a variable that is not there now: what a file is checked for goes on without it.
        address = "url" in self.model_fields_set
        if address == bool(self.paths) or not (address or one_file):
            raise wrong("sql asks one database", "url, the address of a PostgreSQL database, or path, an SQLite file")
        of_files = (self.items, self.options, self.exclude, self.root, self.encoding, self.delimiter)
        if any(of_files) or self.format != "auto":
            raise wrong("the rows of a query are no files", "sql with url or path, text, id, metadata")
        return self

    def secrets(self) -> frozenset[str]:
        """Return the address of a database."""
        return frozenset() if self.url is None else frozenset({self.url.get_secret_value()})


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
