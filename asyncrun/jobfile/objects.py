"""Jobs made in Python as the text of a job file: they are read, checked and run as every other one. Keys stay out of that text."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from asyncrun.errors import JobFileError, Mistake
from asyncrun.jobfile.field_types import Model, Written
from asyncrun.jobfile.mistakes import HIDDEN
from asyncrun.jobfile.units import SHARES, Deadline, Threshold
from asyncrun.jobfile.yaml_parser import MAX_LEVELS, TOO_DEEP, UNPRINTABLE
from asyncrun.jobfile.yaml_tree import SURROGATE

_ESCAPED = re.compile(f"{UNPRINTABLE.pattern}|[\x85\u2028\u2029]")
"""What JSON has as it is, and YAML refuses, or takes for the end of a line."""
_MAX_BITS = 10_000
"""Of a whole number: Python writes none of more than 4300 digits."""

if TYPE_CHECKING:
    from asyncrun.jobfile.jobs import Job


@dataclass(frozen=True, slots=True)
class JobFileText:
    """The text of a job file, and the variables in it that stand for keys."""

    text: str
    variables: Mapping[str, str] = field(repr=False)


def as_job_file(jobs: Mapping[str, Any] | Iterable[Job | Mapping[str, Any]]) -> JobFileText:
    """Return jobs, or the mapping of a whole job file, as the text of one.

    Mappings hold what a job file would, `${VAR}` too; what a job object holds is meant as it is. Keys may stand in both.

    >>> from asyncrun.jobs import EmbedJob
    >>> as_job_file([EmbedJob(name="notes", input="notes.jsonl", output="out.npy")]).text
    '{"jobs": [{"kind": "embed", "name": "notes", "input": {"path": ["notes.jsonl"]}, "output": {"path": "out.npy"}}]}'
    """
    return _Writer().job_file(as_written(jobs if isinstance(jobs, Mapping) else {"jobs": list(jobs)}))


def check_job(kind: str, data: Mapping[str, Any]) -> Job:
    """Return the one job that these keys describe. Raises JobFileError with the sentences of a job file, without lines and columns."""
    from asyncrun.jobfile.field_types import NAME_PATTERN
    from asyncrun.jobfile.loader import LoadOptions, parse_job_file

    # Whether the jobs are there that it needs is seen when they run together.
    needs = data.get("needs")
    named = isinstance(needs, list) and all(isinstance(each, str) and re.fullmatch(NAME_PATTERN, each) for each in needs)
    alone = {key: value for key, value in data.items() if key != "needs" or not named}
    described = _Writer(literal=True).job_file({"jobs": [{"kind": kind, **alone}]})
    options = LoadOptions(variables=described.variables, environ=os.environ, check_inputs=False, need_keys=False)
    try:
        [job] = parse_job_file(described.text, Path("jobs"), options).jobs
    except JobFileError as error:
        raise without_places(error, "jobs[0].") from None
    return job


def as_written(value: Any, at: str = "", within: tuple[int, ...] = ()) -> Any:
    """Return what a job is made of as a job file would have it: paths are texts, numbers of numpy are numbers, its arrays are lists.

    `at` is the path of the value, and `within` what it stands in. Raises JobFileError for what no job file can hold.

    >>> as_written({"input": [Path("a.jsonl")], "top_k": 3})
    {'input': ['a.jsonl'], 'top_k': 3}
    """
    if value is None or isinstance(value, bool | SecretStr | Model | Threshold | Deadline):
        return value
    if isinstance(value, str):
        if (half := SURROGATE.search(value)) is not None:
            raise _refused(at, f"the character U+{ord(half.group()):04X} cannot stand in a job file", "text in UTF-8")
        return str.__str__(value)  # of an enumeration, too
    if isinstance(value, os.PathLike):
        return as_written(os.fspath(value), at)
    if isinstance(value, int | float):
        if not (value.bit_length() <= _MAX_BITS if isinstance(value, int) else math.isfinite(value)):
            raise _refused(at, "this number cannot be written", "a finite number")
        return value
    if not isinstance(value, bytes | bytearray | memoryview):
        if isinstance(value, Mapping | Sequence):
            if id(value) in within or len(within) >= MAX_LEVELS:
                raise _refused(at, TOO_DEEP)
            within = (*within, id(value))
            if isinstance(value, Mapping):
                return {name: as_written(each, f"{at}.{name}" if at else str(name), within) for name, each in value.items()}
            return [as_written(each, f"{at}[{place}]", within) for place, each in enumerate(value)]
        if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
            return as_written(value.tolist(), at, (*within, id(value)))
    raise _refused(
        at, f"an object of the type {type(value).__name__} stands here", "texts, numbers, true, false, lists and mappings of these"
    )


def without_places(error: JobFileError, prefix: str = "") -> JobFileError:
    """Return the error of a job file that has no lines: its mistakes stand at the paths of keys."""
    return JobFileError([replace(mistake, path=mistake.path.removeprefix(prefix), place=None, line=None) for mistake in error.mistakes])


def text_of(data: Any) -> str:
    """Return what a job file holds as its text: JSON, which is YAML, too.

    >>> text_of({"jobs": []})
    '{"jobs": []}'
    """
    return _ESCAPED.sub(lambda found: f"\\u{ord(found.group()):04x}", json.dumps(data, ensure_ascii=False))


def _refused(at: str, message: str, allowed: str | None = None) -> JobFileError:
    return JobFileError([Mistake(at, message, allowed)])


@dataclass(slots=True)
class _Writer:
    """Writes values as a job file has them. `keys` gets what must not stand there; `literal`: a `$` is one."""

    literal: bool = False
    keys: dict[str, str] = field(default_factory=dict)

    def job_file(self, sections: Mapping[str, Any]) -> JobFileText:
        return JobFileText(text_of(self.data(sections)), self.keys)

    def data(self, value: Any, *, secret: bool = False) -> Any:
        if isinstance(value, SecretStr):
            return self._variable(value.get_secret_value())
        if isinstance(value, Model):
            return replace(self, literal=True)._model(value)
        if isinstance(value, Mapping):
            return {str(name): self.data(each, secret=secret or name in HIDDEN) for name, each in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, str):
            return [self.data(each, secret=secret) for each in value]
        if isinstance(value, Threshold | Deadline):
            return str(value)
        if not isinstance(value, str):
            return value
        if secret:
            return value if "${" in value else self._variable(value)
        return value.replace("$", "$$") if self.literal else value

    def _model(self, model: Model) -> dict[str, Any]:
        fields = type(model).model_fields
        written = {"kind": model.kind} if hasattr(model, "kind") else {}
        for name, about in fields.items():
            if name in model.model_fields_set:
                value = getattr(model, name)
                share = any(isinstance(each, Written) and each.description == SHARES for each in about.metadata)
                written[about.alias or name] = f"{100 * value:.15g}%" if share else self.data(value)
        return {**written, **self.data(model.model_extra or {})}

    def _variable(self, key: str) -> str:
        name = f"ASYNCRUN_KEY_{len(self.keys)}"
        self.keys[name] = key
        return "${" + name + "}"
