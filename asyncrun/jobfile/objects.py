"""Jobs made in Python as the text of a job file: they are read, checked and run as every other one. Keys stay out of that text."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from asyncrun.errors import JobFileError
from asyncrun.jobfile.field_types import Model, Written
from asyncrun.jobfile.mistakes import HIDDEN
from asyncrun.jobfile.units import SHARES, Threshold

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
    return _Writer().job_file(jobs if isinstance(jobs, Mapping) else {"jobs": list(jobs)})


def check_job(kind: str, data: Mapping[str, Any]) -> Job:
    """Return the one job that these keys describe. Raises JobFileError with the sentences of a job file, without lines and columns."""
    from asyncrun.jobfile.loader import LoadOptions, parse_job_file

    # Whether the jobs are there that it needs is seen when they run together.
    alone = {key: value for key, value in data.items() if key != "needs"}
    described = _Writer(literal=True).job_file({"jobs": [{"kind": kind, **alone}]})
    options = LoadOptions(variables=described.variables, environ=os.environ, check_inputs=False, need_keys=False)
    try:
        [job] = parse_job_file(described.text, Path("jobs"), options).jobs
    except JobFileError as error:
        raise without_places(error, "jobs[0].") from None
    return job


def paths_as_text(value: Any) -> Any:
    """Return what a job is made of with every path as the text that a job file would have.

    >>> paths_as_text({"input": [Path("a.jsonl")], "top_k": 3})
    {'input': ['a.jsonl'], 'top_k': 3}
    """
    if isinstance(value, Mapping):
        return {name: paths_as_text(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [paths_as_text(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def without_places(error: JobFileError, prefix: str = "") -> JobFileError:
    """Return the error of a job file that has no lines: its mistakes stand at the paths of keys."""
    return JobFileError([replace(mistake, path=mistake.path.removeprefix(prefix), place=None, line=None) for mistake in error.mistakes])


@dataclass(slots=True)
class _Writer:
    """Writes values as a job file has them. `keys` gets what must not stand there; `literal`: a `$` is one."""

    literal: bool = False
    keys: dict[str, str] = field(default_factory=dict)

    def job_file(self, sections: Mapping[str, Any]) -> JobFileText:
        return JobFileText(json.dumps(self.data(sections), ensure_ascii=False), self.keys)

    def data(self, value: Any, *, secret: bool = False) -> Any:
        if isinstance(value, SecretStr):
            return self._variable(value.get_secret_value())
        if isinstance(value, Model):
            return replace(self, literal=True)._model(value)
        if isinstance(value, Mapping):
            return {str(name): self.data(each, secret=secret or name in HIDDEN) for name, each in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, str | bytes):
            return [self.data(each, secret=secret) for each in value]
        if isinstance(value, Threshold):
            return str(value)
        if not isinstance(value, str | Path):
            return value
        text = str(value)
        if secret:
            return text if "${" in text else self._variable(text)
        return text.replace("$", "$$") if self.literal else text

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
