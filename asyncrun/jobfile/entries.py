"""The entries under `jobs`, each with its defaults merged in, checked against the model of its kind, and given keys from files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from pydantic import SecretStr

from asyncrun.jobfile.jobs import Job, PartialJob, job_model, job_options, keys_of, setting_of
from asyncrun.jobfile.mistakes import Findings, listed, suggest
from asyncrun.jobfile.sections import EmbedderConfig, LlmConfig, ModelConfig, StoreConfig, local_embedder, short_form
from asyncrun.jobfile.unavailable import Names
from asyncrun.jobfile.validation_errors import build_model
from asyncrun.jobfile.yaml_tree import KeyPath, Scalar

MAX_JOBS = 1000

Keys: TypeAlias = Mapping[KeyPath, str]
"""Keys that were read from files, by the path of the embedder, store or llm that they belong to."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The named parts of the file that jobs refer to; one with mistakes is None."""

    embedders: Mapping[str, EmbedderConfig | None]
    stores: Mapping[str, StoreConfig | None]
    llms: Mapping[str, LlmConfig | None]

    def with_keys(self, keys: Keys) -> Parts:
        """Return the parts with their keys."""
        return Parts(
            {name: _with_key(part, ("embedders", name), keys) for name, part in self.embedders.items()},
            {name: _with_key(part, ("stores", name), keys) for name, part in self.stores.items()},
            {name: _with_key(part, ("llms", name), keys) for name, part in self.llms.items()},
        )


@dataclass(frozen=True, slots=True)
class JobEntry:
    """One entry under `jobs`.

    `shown` is the name as it was typed, with variables unfilled. `job` is None when too much of it is wrong. `parts` are the paths of
    the parts that it refers to by name, `embedder` that of its embedder's settings (None: not in the file). `inherited` are the keys
    that come from the defaults, `needs` the stated ones. `model` is that of its kind.
    """

    position: int
    name: str
    shown: str
    job: Job | None
    parts: frozenset[KeyPath]
    embedder: KeyPath | None
    inherited: frozenset[str]
    needs: tuple[str, ...]
    model: type[Job]

    def path(self, *rest: str | int) -> KeyPath:
        """Return the path of something in this entry, or in the defaults that it takes it from."""
        if rest and rest[0] in self.inherited:
            return ("defaults", *rest)
        return ("jobs", self.position, *rest)

    def leaving_out(self, left_out: Callable[[str], bool]) -> JobEntry:
        """Return the entry, whose input's globs pass over the real paths that `left_out` says yes to."""
        return self if self.job is None else replace(self, job=self.job.model_copy(update={"input": self.job.input.leaving_out(left_out)}))

    def with_keys(self, keys: Keys) -> JobEntry:
        """Return the entry with the keys of what its job uses, and with what becomes of empty texts in its kind."""
        job = self.job
        if job is None:
            return self
        embedder = _with_key(job.embedder, self.embedder or (), keys)
        if job.skips_empty and "on_empty" not in embedder.model_fields_set:
            embedder = embedder.model_copy()
            object.__setattr__(embedder, "on_empty", "skip")  # a default, and not stated
        changes = {"embedder": embedder}
        for key in ("store", "llm"):
            part: StoreConfig | LlmConfig | None = setting_of(job, key)
            if part is not None:
                owner = next((path for path in self.parts if path[0] == f"{key}s"), self.path(key))
                changes[key] = _with_key(part, owner, keys)
        return replace(self, job=job.model_copy(update=changes))


def _with_key(part: Any, path: KeyPath, keys: Keys) -> Any:
    changes: dict[str, Any] = {"api_key": SecretStr(keys[path])} if path in keys else {}
    if isinstance(part, ModelConfig):
        changes["endpoints"] = tuple(_with_key(each, (*path, "endpoints", at), keys) for at, each in enumerate(part.endpoints))
    return part.model_copy(update=changes) if part is not None and changes else part


class EntryBuilder:
    """Builds the entries of a file, one by one."""

    def __init__(self, defaults: Mapping[str, Any], parts: Parts, names: Names, findings: Findings) -> None:
        self._defaults = defaults
        self._parts = parts
        self._names = names
        self._findings = findings

    def build(self, position: int, data: Any) -> JobEntry | None:
        """Return the entry at a position, None for what is no mapping."""
        path: KeyPath = ("jobs", position)
        if not isinstance(data, dict):
            self._findings.add(path, "not a job", "a mapping such as {name: notes, kind: embed, input: notes.jsonl, output: vectors.jsonl}")
            return None
        name, needs, kind = data.get("name"), data.get("needs", self._defaults.get("needs")), data.get("kind")
        stated = tuple(need if isinstance(need, str) else "" for need in needs) if isinstance(needs, list) else ()
        typed = self._findings.node((*path, "name"))
        blank = JobEntry(
            position=position,
            name=name if isinstance(name, str) else "",
            shown=typed.text if isinstance(typed, Scalar) else "",
            job=None,
            parts=frozenset(),
            embedder=None,
            inherited=frozenset(self._defaults.keys() - data.keys()),
            needs=stated,
            model=PartialJob,
        )
        if "kind" not in data:
            self._findings.add(path, "missing", ", ".join(self._names.built("kinds")), missing="kind")
        elif not isinstance(kind, str):
            self._findings.add((*path, "kind"), "not a kind of job", ", ".join(self._names.built("kinds")))
        elif self._names.check("kinds", "kind", kind, (*path, "kind"), self._findings):
            blank = replace(blank, model=job_model(kind))
        if blank.model is PartialJob and not self._names.plugins("kinds"):
            options = job_options()
            for key in data.keys() - options - {"name", "kind"}:
                self._findings.add((*path, key), "unknown key", listed(sorted(options)), suggest(key, options), key=True)
        return self._filled(blank, data)

    def _filled(self, blank: JobEntry, own: Mapping[str, Any]) -> JobEntry:
        known = keys_of(blank.model)
        data = {key: value for key, value in self._defaults.items() if key in known} | dict(own)
        parts: set[KeyPath] = set()
        embedder = self._embedder(blank, data, parts) if "embedder" in data and "embedder" in known else None
        for key, section in (("store", self._parts.stores), ("llm", self._parts.llms)):
            if key in data and key in known and isinstance(data[key], str):
                data[key] = self._named(blank.path(key), data[key], section, parts)
        for key in [key for key in data if key in ("embedder", "store", "llm") and data[key] is None]:
            del data[key]
        job: Job | None = build_model(blank.model, data, lambda path: blank.path(*path), self._findings)
        if job is None:
            job = build_model(PartialJob, data, lambda path: blank.path(*path), self._findings)
        return replace(blank, job=job, parts=frozenset(parts), embedder=embedder)

    def _embedder(self, entry: JobEntry, data: dict[str, Any], parts: set[KeyPath]) -> KeyPath | None:
        """Put the embedder's model or data into the place of its name; return where its settings stand."""
        value, path = data["embedder"], entry.path("embedder")
        if not isinstance(value, str):
            return path
        if value in self._parts.embedders:
            parts.add(("embedders", value))
            data["embedder"] = self._parts.embedders[value] or local_embedder()
            return ("embedders", value)
        if value == "local":
            data["embedder"] = local_embedder()
            return None
        short = short_form(value)
        if short is None:
            if not self._findings.knows(path):
                known = [*dict.fromkeys([*self._parts.embedders, "local"])]
                allowed = f"{listed(known)}, or provider/model such as openai/text-embedding-3-small"
                self._findings.add(path, f"unknown embedder{self._findings.quoted(path)}", allowed, suggest(value, known))
            data["embedder"] = local_embedder()
            return None
        usable = self._names.check("embedders", "provider", short[0], path, self._findings)
        data["embedder"] = {"provider": short[0], "model": short[1]} if usable else local_embedder()
        return path

    def _named(
        self, path: KeyPath, name: str, known: Mapping[str, StoreConfig | LlmConfig | None], parts: set[KeyPath]
    ) -> StoreConfig | LlmConfig | None:
        """Return the store or llm of a name."""
        word = str(path[-1])
        if name in known:
            parts.add((f"{word}s", name))
            return known[name]
        if not self._findings.knows(path):
            declared = listed(known) or f"a name that is declared under {word}s"
            self._findings.add(path, f"unknown {word}{self._findings.quoted(path)}", declared, suggest(name, known))
        return None
