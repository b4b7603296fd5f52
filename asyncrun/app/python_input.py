"""What Python hands to a store: documents as a job file has them, and texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import orjson

from asyncrun.app.store_choice import literally
from asyncrun.errors import UsageError

Documents: TypeAlias = str | Path | Mapping[str, Any] | Iterable[str | Mapping[str, Any]]
"""A path or glob, what a job has under `input`, or texts, or mappings with `text`, `id` and whatever else is kept as metadata."""


def describe_input(documents: Documents, spool: Path) -> Mapping[str, Any]:
    """Return where documents come from as a job has it; those in memory are written to the file `spool`. Blocks."""
    if isinstance(documents, str | Path):
        return {"path": _absolute(documents)}
    if isinstance(documents, Mapping):
        return {key: _absolute(value) if key in ("path", "root") else value for key, value in documents.items()}
    fields: dict[str, None] = {}
    with spool.open("wb") as file:
        for number, document in enumerate(documents, 1):
            if not isinstance(document, str | Mapping):
                raise UsageError(f"document {number} is neither a text nor a mapping but of the type {type(document).__name__}")
            row = {"text": document} if isinstance(document, str) else dict(document)
            row.setdefault("id", f"items#{number}")
            fields |= dict.fromkeys(row)
            file.write(json_line(row, partial(_refuse, number)))
    return {"path": literally(spool), "metadata": [name for name in fields if name not in ("id", "text")], "allow_empty": True}


def json_line(row: Mapping[str, Any], default: Callable[[Any], Any]) -> bytes:
    r"""Return a row as a line of JSON lines; `default` says what stands for an object that is no JSON.

    >>> json_line({"id": "a", "text": b"a"}, repr)
    b'{"id":"a","text":"b\'a\'"}\n'
    """
    try:
        return orjson.dumps(row, default, orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError as error:
        # Older versions of orjson name half of a surrogate pair as the cause.
        if error.__cause__ is not None and not isinstance(error.__cause__, UnicodeEncodeError):
            raise error.__cause__ from None
    try:
        # Half of a surrogate pair: whoever reads the line names its item.
        return json.dumps(row, default=default).encode() + b"\n"
    except (ValueError, RecursionError):
        # Something holds itself.
        plain = {name: value if isinstance(value, str) else default(value) for name, value in row.items()}
        return json.dumps(plain).encode() + b"\n"


def _refuse(number: int, value: Any) -> NoReturn:
    raise UsageError(f"document {number} holds an object of the type {type(value).__name__}, which is no JSON")


def text_given(name: str, value: object) -> str:
    """Return an argument that must be a text. Raises UsageError for another one."""
    if not isinstance(value, str):
        raise UsageError(f"{name} is of the type {type(value).__name__}, and must be a text")
    return value


def _absolute(paths: Any) -> Any:
    return literally(Path(paths).absolute()) if isinstance(paths, str | Path) else [_absolute(path) for path in paths]
