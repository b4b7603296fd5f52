"""The keys of a job: what each is for, and the forms that a job file has, for those who make jobs in Python."""

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
"""Seconds, or a duration such as `15m`; of a deadline also a local time of day such as `06:00`."""
Part: TypeAlias = int | str
"""A number of items, or a percentage such as `1%`."""


JOB_KEYS: Mapping[str, str] = {
    "name": "The job's name, of its own in this file.",
    "kind": "What the job does.",
    "needs": "Jobs that must have succeeded first, at least in part; jobs whose output is read are added.",
    "input": "Where items come from: a path, a list of paths and globs, '-' for standard input, or a mapping.",
    "workers": "Batches in flight of this job; auto: what limits and adaptation allow, 64 at most.",
    "max_failures": "How many items may fail before the job does.",
    "skip": "A file of ids that are never sent, one a line, as asyncrun failed --ids writes them.",
    "max_runtime": "After this time the job stops cleanly; the next run goes on.",
    "budget": "What the job may use until it has finished; it stops cleanly before the call that would pass it.",
    "notify": "Who is told that this job has started and how it ended.",
    "deadline": "By when its rows should be there: with `delivery: batch` while there is time, online for what is left.",
    "stragglers": "How that is sent again which an expired or partly finished batch leaves.",
    "embedder": "An embedder's name, provider/model, or its settings; default: the model that comes with asyncrun.",
    "store": "A store's name, or its settings.",
    "collection": "The name of the collection; a table's name as written.",
    "output": "Where rows go: a path that ends in .jsonl, .parquet, .csv or .npy, '-' for standard output, or a mapping.",
}
"""Of the keys that kinds share; those of its own stand in the model of a kind."""


class _Named(TypedDict):
    name: str
    input: Items


class RunKeys(TypedDict, total=False):
    """How a job is run, of every kind."""

    workers: int | Literal["auto"] | None
    max_failures: Part | None
    skip: FileName | None
    max_runtime: Seconds | None
    budget: Settings
    notify: Settings


class IngestionKeys(RunKeys, total=False):
    """How documents come into a collection."""

    chunk: Settings
    source: str
    prune: bool
    max_delete: Part
    on_new_space: Literal["refuse", "rebuild"]


class DeliveryKeys(TypedDict, total=False):
    """What becomes of requests that wait in a provider's batch."""

    deadline: Seconds | None
    stragglers: Literal["online", "batch"]


class JobKeys(_Named, RunKeys, total=False):
    """The keys of every kind; `docs/job-file-reference.md` says what each is for."""

    needs: Sequence[str]
    embedder: Named


class _RowKeys(JobKeys, total=False):
    output: Rows


class EmbedKeys(_RowKeys, DeliveryKeys, total=False):
    """The keys of an embed job."""

    kind: Literal["embed"]


class IngestKeys(JobKeys, IngestionKeys, DeliveryKeys, total=False):
    """The keys of an ingest job."""

    kind: Literal["ingest"]
    store: Named
    collection: str


class QueryKeys(_RowKeys, DeliveryKeys, total=False):
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


class GenerateKeys(_RowKeys, DeliveryKeys, total=False):
    """The keys of a generate job."""

    kind: Literal["generate"]
    llm: Named
    prompt: Named | None
    messages: Sequence[Settings] | None
    system: str | None
    schema: FileName | Settings | None
    repair: int
    samples: int
