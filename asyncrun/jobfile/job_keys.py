"""The keys of a job made in Python, in the forms that a job file has, for type checkers and for `help()`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, TypedDict

from asyncrun.jobfile.field_types import Model

Settings: TypeAlias = Mapping[str, object]
"""A section as a mapping; its keys are checked when the job is made."""
Named: TypeAlias = str | Settings | Model
"""A name, or the settings themselves."""
FileName: TypeAlias = str | Path
Rows: TypeAlias = FileName | Settings
"""Where rows go: a path, `-`, or a mapping with `path`, `format`, `columns`."""
Items: TypeAlias = FileName | Sequence[FileName] | Settings
"""Where items come from: a path, paths, or a mapping with `path` or `items`."""
Seconds: TypeAlias = float | str
"""Seconds, or a duration such as `15m`."""
Part: TypeAlias = int | str
"""A number of items, or a percentage such as `1%`."""


class _Named(TypedDict):
    name: str
    input: Items


class JobKeys(_Named, total=False):
    """The keys of every kind; `docs/job-file-reference.md` says what each is for."""

    needs: Sequence[str]
    workers: int | Literal["auto"] | None
    max_failures: Part | None
    skip: FileName | None
    max_runtime: Seconds | None
    budget: Settings
    notify: Settings
    embedder: Named


class _RowKeys(JobKeys):
    output: Rows


class EmbedKeys(_RowKeys, total=False):
    """The keys of an embed job."""

    kind: Literal["embed"]


class IngestKeys(JobKeys, total=False):
    """The keys of an ingest job."""

    kind: Literal["ingest"]
    store: Named
    collection: str
    chunk: Settings
    source: str
    prune: bool
    max_delete: Part
    on_new_space: Literal["refuse", "rebuild"]


class QueryKeys(_RowKeys, total=False):
    """The keys of a query job."""

    kind: Literal["query"]
    store: Named
    collection: str
    top_k: int
    search: Literal["vector", "keyword", "hybrid"]
    filter: str | None
    llm: Named | None
    prompt: Named | None
    context_tokens: int | None
