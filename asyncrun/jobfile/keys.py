"""Keys that stand in files, put where they belong, and the policies that follow from a job's kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import SecretStr

from asyncrun.jobfile.entries import JobEntry, Parts
from asyncrun.jobfile.jobs import setting_of
from asyncrun.jobfile.sections import EmbedderConfig, LlmConfig, ModelConfig, StoreConfig
from asyncrun.jobfile.yaml_tree import Path

C = TypeVar("C", EmbedderConfig, StoreConfig, LlmConfig)


class KeyRing:
    """Knows the keys that were read from files, by the path of the embedder, store or llm that they belong to."""

    def __init__(self, keys: Mapping[Path, str]) -> None:
        self._keys = keys

    def parts(self, parts: Parts) -> Parts:
        """Return the named parts with their keys."""
        return Parts(
            {name: self._with_key(part, ("embedders", name)) for name, part in parts.embedders.items()},
            {name: self._with_key(part, ("stores", name)) for name, part in parts.stores.items()},
            {name: self._with_key(part, ("llms", name)) for name, part in parts.llms.items()},
        )

    def entry(self, entry: JobEntry) -> JobEntry:
        """Return a job with the keys of what it uses."""
        job = entry.job
        if job is None:
            return entry
        embedder = self._with_key(job.embedder, entry.embedder or ())
        if job.skips_empty and "on_empty" not in embedder.model_fields_set:
            embedder = embedder.model_copy()
            object.__setattr__(embedder, "on_empty", "skip")  # a default, and not stated
        changes = {"embedder": embedder}
        for key in ("store", "llm"):
            part: StoreConfig | LlmConfig | None = setting_of(job, key)
            if part is not None:
                owner = next((path for path in entry.parts if path[0] == f"{key}s"), entry.path(key))
                changes[key] = self._with_key(part, owner)
        return replace(entry, job=job.model_copy(update=changes))

    def _with_key(self, part: Any, path: Path) -> Any:
        key = self._keys.get(path)
        changes: dict[str, Any] = {}
        if key is not None:
            changes["api_key"] = SecretStr(key)
        if isinstance(part, ModelConfig):
            changes["endpoints"] = tuple(self._with_key(each, (*path, "endpoints", at)) for at, each in enumerate(part.endpoints))
        return part.model_copy(update=changes) if part is not None and changes else part
