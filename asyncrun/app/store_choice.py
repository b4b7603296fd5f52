"""Which store is meant by a name or a path, and which embedder, as a job file has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from asyncrun.errors import JobFileError, UsageError
from asyncrun.humanize import did_you_mean
from asyncrun.jobfile.job_file import JobFile, absolute
from asyncrun.jobfile.loader import LoadOptions, load_job_file, parse_job_file
from asyncrun.jobfile.objects import as_job_file, without_places
from asyncrun.jobfile.sections import EmbedderConfig, StoreConfig

EmbedderWords: TypeAlias = str | Mapping[str, Any] | EmbedderConfig
"""What a job has under `embedder`: `local`, `provider/model`, a name of its job file, or settings."""


def load_store(
    store: str | Path, file: str | Path | None, reading: LoadOptions, *, base: Path | None = None, may_be_new: bool = False
) -> tuple[StoreConfig, JobFile]:
    """Return a store, and the job file that it is of; the path of an sqlite store is one of its own. Blocks.

    A relative path starts at `base`, by default at the job file's folder. With `may_be_new` no file need be there, but then its name must
    look like one. Raises JobFileError, and UsageError for a name that is neither a store of the file nor that of a file.
    """
    if file is None:
        path = Path(store).absolute()
        job_file = _job_file_of({"store": {"path": literally(path)}}, path.parent / "python-store", reading)
        [asked] = (job.asks for job in job_file.jobs if job.asks is not None)
        return asked.store, job_file
    job_file, name = load_job_file(Path(file), reading), str(store)
    if name in job_file.stores:
        return job_file.stores[name], job_file
    path = absolute(base or job_file.root, name)
    if not path.is_file() and not (may_be_new and looks_like_file(name)):
        known = ", ".join(job_file.stores) or "none"
        guess = did_you_mean(name, list(job_file.stores))
        raise UsageError(f"{job_file.path} has no store {name!r}, and no file is there; its stores: {known}{guess}")
    return StoreConfig(path=str(path)), job_file


def looks_like_file(name: str) -> bool:
    """Tell whether a name can hardly be that of a store in a job file.

    >>> [looks_like_file(name) for name in ("index.db", "./index", "docs")]
    [True, True, False]
    """
    return "/" in name or "." in name


def find_embedder(words: EmbedderWords, job_file: JobFile, reading: LoadOptions) -> EmbedderConfig:
    """Return the embedder that is meant. Raises JobFileError."""
    if isinstance(words, EmbedderConfig):
        return words
    if isinstance(words, str) and words in job_file.embedders:
        return job_file.embedders[words]
    return _job_file_of({"embedder": words}, job_file.path, reading).jobs[0].embedder


def literally(path: str | Path) -> str:
    """Return a path as a job file has it, where `$` begins a variable."""
    return str(path).replace("$", "$$")


def _job_file_of(keys: Mapping[str, Any], path: Path, reading: LoadOptions) -> JobFile:
    """Return the job file of a query job with some keys."""
    entry = {"kind": "query", "name": "search", "input": {"items": ["?"]}, "output": "-", **keys}
    try:
        described = as_job_file({"jobs": [entry]})
        return parse_job_file(described.text, path, replace(reading, variables={**reading.variables, **described.variables}))
    except JobFileError as error:
        raise without_places(error, "jobs[0].") from None
