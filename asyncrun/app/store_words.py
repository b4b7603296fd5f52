"""What Python says of a store, as a job file has it: which store, which embedder, which documents."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import orjson

from asyncrun.errors import JobFileError, UsageError
from asyncrun.humanize import did_you_mean
from asyncrun.jobfile.job_file import JobFile
from asyncrun.jobfile.loader import LoadOptions, load_job_file, parse_job_file
from asyncrun.jobfile.objects import as_job_file, without_places
from asyncrun.jobfile.sections import EmbedderConfig, StoreConfig

EmbedderWords: TypeAlias = str | Mapping[str, Any] | EmbedderConfig
"""What a job has under `embedder`: `local`, `provider/model`, a name of its job file, or settings."""
Documents: TypeAlias = str | Path | Mapping[str, Any] | Iterable[str | Mapping[str, Any]]
"""A path or glob, what a job has under `input`, or texts, or mappings with `text`, `id` and whatever else is kept as metadata."""


def load_store(store: str | Path, file: str | Path | None, reading: LoadOptions) -> tuple[StoreConfig, JobFile]:
    """Return a store, and the job file that it is of; the path of an sqlite store is one of its own. Blocks.

    Raises JobFileError, and UsageError for a name that is neither a store of the file nor that of a file.
    """
    if file is None:
        path = Path(store).absolute()
        job_file = _job_file_of({"store": {"path": literally(path)}}, path.parent / "python-store", reading)
        [asked] = (job.asks for job in job_file.jobs if job.asks is not None)
        return asked.store, job_file
    job_file, name = load_job_file(Path(file), reading), str(store)
    if name in job_file.stores:
        return job_file.stores[name], job_file
    if not job_file.absolute(name).is_file():
        known = ", ".join(job_file.stores) or "none"
        guess = did_you_mean(name, list(job_file.stores))
        raise UsageError(f"{job_file.path} has no store {name!r}, and no file is there; its stores: {known}{guess}")
    return StoreConfig(path=str(job_file.absolute(name))), job_file


def find_embedder(words: EmbedderWords, job_file: JobFile, reading: LoadOptions) -> EmbedderConfig:
    """Return the embedder that is meant. Raises JobFileError."""
    if isinstance(words, EmbedderConfig):
        return words
    if isinstance(words, str) and words in job_file.embedders:
        return job_file.embedders[words]
    return _job_file_of({"embedder": words}, job_file.path, reading).jobs[0].embedder


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


def literally(path: str | Path) -> str:
    """Return a path as a job file has it, where `$` begins a variable."""
    return str(path).replace("$", "$$")


def _absolute(paths: Any) -> Any:
    return literally(Path(paths).absolute()) if isinstance(paths, str | Path) else [_absolute(path) for path in paths]


def _job_file_of(keys: Mapping[str, Any], path: Path, reading: LoadOptions) -> JobFile:
    """Return the job file of a query job with some keys."""
    entry = {"kind": "query", "name": "search", "input": {"items": ["?"]}, "output": "-", **keys}
    try:
        described = as_job_file({"jobs": [entry]})
        return parse_job_file(described.text, path, replace(reading, variables={**reading.variables, **described.variables}))
    except JobFileError as error:
        raise without_places(error, "jobs[0].") from None
