"""The job file as a whole: the model of its keys, and what a run gets from it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from asyncrun.errors import Mistake, UsageError
from asyncrun.jobfile.field_types import VARIABLE_SCHEMA, Accepts, FilePath, Model
from asyncrun.jobfile.jobs import Job, setting_of
from asyncrun.jobfile.mistakes import suggest
from asyncrun.jobfile.notify import NotifyConfig
from asyncrun.jobfile.sections import EmbedderConfig, ExecutorConfig, LlmConfig, StoreConfig, TraceConfig

VERSION = 1
"""The version of the job file's language that this asyncrun reads."""


class TopLevel(Model):
    """A job file for asyncrun: what to embed, to ingest and to ask."""

    version: Annotated[int, Field(ge=1, le=VERSION), Accepts((VARIABLE_SCHEMA,))] = VERSION
    vars: dict[str, str | int | float | bool] = Field(default_factory=dict)
    defaults: dict[str, Any] = Field(default_factory=dict)
    embedders: dict[str, EmbedderConfig] = Field(default_factory=dict)
    llms: dict[str, LlmConfig] = Field(default_factory=dict)
    stores: dict[str, StoreConfig] = Field(default_factory=dict)
    trace: TraceConfig = Field(default_factory=TraceConfig)
    executor: ExecutorConfig = Field(default_factory=ExecutorConfig)
    notify: NotifyConfig = Field(default_factory=NotifyConfig)
    metrics: FilePath | None = None
    jobs: tuple[Job, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class JobFile:
    """A job file that is free of mistakes, as far as the selected jobs reach.

    `root` is the folder where relative paths start; `jobs` keep the file's order. `key_files` hold keys; `keyless` says which keys are
    missing: to look at the jobs none is needed. `metrics` is the file of the last run's figures, None for none.
    """

    path: Path
    root: Path
    version: int
    vars: Mapping[str, str]
    embedders: Mapping[str, EmbedderConfig]
    llms: Mapping[str, LlmConfig]
    stores: Mapping[str, StoreConfig]
    trace: TraceConfig
    executor: ExecutorConfig
    notify: NotifyConfig
    jobs: tuple[Job, ...]
    key_files: tuple[Path, ...] = ()
    keyless: tuple[Mistake, ...] = ()
    metrics: str | None = None

    def absolute(self, path: str) -> Path:
        """Return the absolute path that a path of the file stands for."""
        return absolute(self.root, path)

    def selected(self, names: Sequence[str] = (), with_needs: bool = True) -> tuple[Job, ...]:
        """Return the named jobs (none named: all) and what they need, each after its needs, else in the file's order.

        Raises UsageError for a name that no job has.
        """
        by_name = {job.name: job for job in self.jobs}
        unknown = [name for name in names if name not in by_name]
        if unknown:
            raise unknown_job(unknown[0], list(by_name))
        wanted = set(names or by_name)
        needs = {job.name: job.needs for job in self.jobs}
        if with_needs:
            wanted = closure(wanted, needs)
        return tuple(by_name[name] for name in in_order(needs) if name in wanted)

    def models(self) -> tuple[EmbedderConfig | LlmConfig, ...]:
        """Return every embedder and llm of the file, also those that jobs have in place."""
        used = (setting_of(job, name) for job in self.jobs for name in ("embedder", "llm"))
        return (*self.embedders.values(), *self.llms.values(), *(model for model in used if model is not None))

    def secrets(self) -> frozenset[str]:
        """Return every key, header value and secret address of the file."""
        places: list[EmbedderConfig | LlmConfig | StoreConfig] = [*self.models(), *self.stores.values()]
        places += [store for job in self.jobs if (store := getattr(job, "store", None)) is not None]
        found = frozenset(secret for place in places for secret in place.secrets())
        asked = (secret for job in self.jobs for secret in job.input.secrets())
        told = (secret for notify in (self.notify, *(job.notify for job in self.jobs)) for secret in notify.secrets())
        return frozenset(secret for secret in {*found, *asked, *told} if secret)


def absolute(root: Path, path: str) -> Path:
    """Return the absolute path that a path stands for, without `..` in it."""
    return Path(os.path.normpath(root / path))


def unknown_job(name: str, known: Sequence[str]) -> UsageError:
    """Return the error for a name that no job has."""
    guess = suggest(name, known)
    hint = f"Did you mean {guess!r}?" if guess else f"Jobs of this file: {', '.join(known)}."
    return UsageError(f"no job is named {name!r}", hint=hint)


def closure(names: set[str], needs: Mapping[str, Sequence[str]]) -> set[str]:
    """Return the names and all that they need, directly or not.

    >>> sorted(closure({"ask"}, {"ask": ["ingest"], "ingest": [], "embed": []}))
    ['ask', 'ingest']
    """
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += needs.get(name, ())
    return found


def in_order(needs: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the names so that each comes after what it needs, else in their own order; there must be no cycle.

    >>> list(in_order({"ask": ["ingest"], "embed": [], "ingest": []}))
    ['ingest', 'ask', 'embed']
    """
    done: set[str] = set()
    for start in needs:
        stack = [(start, iter(needs[start]))] if start not in done else []
        while stack:
            name, rest = stack[-1]
            below = next((need for need in rest if need not in done and need in needs), None)
            if below is not None:
                stack.append((below, iter(needs[below])))
                continue
            stack.pop()
            if name not in done:
                done.add(name)
                yield name
