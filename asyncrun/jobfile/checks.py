"""Checks across jobs: names, needs, outputs, limits, budgets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from asyncrun.grammar.file_formats import input_format
from asyncrun.jobfile.entries import JobEntry, Parts
from asyncrun.jobfile.field_types import Model
from asyncrun.jobfile.input_checks import check_reading, input_path
from asyncrun.jobfile.input_output import LLAMA_INDEX
from asyncrun.jobfile.jobs import Chunking, batch_models, setting_of
from asyncrun.jobfile.mistakes import Findings
from asyncrun.jobfile.output_checks import check_format
from asyncrun.jobfile.sections import (
    EXECUTOR_KEYS,
    EmbedderConfig,
    EndpointConfig,
    ExecutorConfig,
    LlmConfig,
    ModelConfig,
    StoreConfig,
)
from asyncrun.jobfile.unavailable import Names
from asyncrun.jobfile.yaml_tree import KeyPath, Scalar, Table, show
from asyncrun.registry import BUILT_IN, names

LOCAL_MODEL = "all-MiniLM-L6-v2"
MODEL_NEEDED = frozenset(
    {"openai", "azure", "cohere", "voyage", "jina", "gemini", "huggingface", "ollama"}
    | {"vllm", "llamacpp", "infinity", "lmstudio", "litellm"}
)
"""The providers that cannot be asked without the name of a model; the others have one to go by, or serve one alone."""
LOCAL_KEYS = frozenset({"provider", "model", "dimensions", "document_prefix", "query_prefix", "space", "batch", "on_too_long", "on_empty"})
"""The keys that the provider local looks at: nobody is asked, so there is no address, no key, no limit and no price."""
STORE_KEYS = {
    "sqlite": frozenset({"type", "path"}),
    "lancedb": frozenset({"type", "path"}),
    "qdrant": frozenset({"type", "url", "api_key"}),
    "llama-index": frozenset({"type", "path", "options", "url", "api_key"}),
}
"""The keys that a type of store looks at; a type that is not here takes them all."""
VECTORS_ALONE = frozenset({"qdrant", "llama-index"})
"""The types of stores that know no words."""


def check_names(entries: Sequence[JobEntry], findings: Findings) -> None:
    """Every name belongs to one job."""
    first: dict[str, int] = {}
    for entry in entries:
        if entry.name and first.setdefault(entry.name, entry.position) != entry.position:
            findings.add(entry.path("name"), f"jobs[{first[entry.name]}] has this name too", "a name of its own")


def check_embedder(embedder: EmbedderConfig, path: KeyPath, names: Names, findings: Findings) -> None:
    """An embedder's provider is known, and a model is named where the provider does not settle it."""
    usable = names.check("embedders", "provider", embedder.provider, (*path, "provider"), findings)
    if not usable or findings.knows((*path, "model")):
        return
    _check_endpoint_of_batches(embedder, path, findings)
    if embedder.provider in MODEL_NEEDED and embedder.model is None:
        example = ", such as text-embedding-3-small" if embedder.provider == "openai" else f" of {embedder.provider}"
        findings.add(path, "missing", f"a model's name{example}", missing="model")
    if embedder.provider == "llama-index":
        _check_llama_index(embedder, path, findings)
    elif embedder.options and embedder.provider in BUILT_IN["embedders"]:
        findings.add((*path, "options"), f"the provider {embedder.provider} has no options", "extra_body, or no options", key=True)
    if embedder.api_version and embedder.provider != "azure":
        findings.add((*path, "api_version"), f"the provider {embedder.provider} has no versions to choose from", "azure", key=True)
    if embedder.provider == "local":
        if embedder.model not in (None, LOCAL_MODEL):
            findings.add((*path, "model"), "the provider local carries one model", f"{LOCAL_MODEL}, or no model")
        _check_unused(embedder, LOCAL_KEYS, "the provider local", path, findings)


def check_store(store: StoreConfig, path: KeyPath, names: Names, findings: Findings) -> None:
    """A store's type is known, and its keys are those of the type."""
    if names.check("stores", "store type", store.type, (*path, "type"), findings) and store.type in STORE_KEYS:
        _check_unused(store, STORE_KEYS[store.type], f"the store type {store.type}", path, findings)
    if store.type == "llama-index" and not store.options.get("class"):
        findings.add(path, "missing", "{class: llama_index.core.vector_stores.SimpleVectorStore}", missing="options")


def check_llm(llm: LlmConfig, path: KeyPath, names: Names, findings: Findings) -> None:
    """A chat model's provider is known, and its model is named."""
    usable = names.check("llms", "provider", llm.provider, (*path, "provider"), findings)
    if not usable:
        return
    _check_endpoint_of_batches(llm, path, findings)
    if llm.model is None and not findings.knows((*path, "model")):
        findings.add(path, "missing", "a model's name, such as gpt-4o-mini", missing="model")


def check_executor(executor: ExecutorConfig, names: Names, findings: Findings) -> None:
    """What the executor needs is installed, and its keys are those of its type."""
    names.check("executors", "executor", executor.type, ("executor", "type"), findings)
    _check_unused(executor, EXECUTOR_KEYS[executor.type], f"the executor {executor.type}", ("executor",), findings)


def _check_unused(model: Model, used: Collection[str], owner: str, path: KeyPath, findings: Findings) -> None:
    """What is stated and would be ignored is a mistake; an empty value, or the default, asks for nothing."""
    for name, field in type(model).model_fields.items():
        key, value = field.alias or name, getattr(model, name)
        if key in used or findings.knows((*path, key)):
            continue
        node = findings.node((*path, key))
        key_file = isinstance(node, Table) and "file" in node.entries  # Its key is not read yet.
        if key_file or (value not in (None, "", (), {}) and value != field.get_default(call_default_factory=True)):
            findings.add((*path, key), f"{owner} does not use it", ", ".join(sorted(used)), key=True)


def _check_llama_index(embedder: EmbedderConfig, path: KeyPath, findings: Findings) -> None:
    if not embedder.options.get("class"):
        findings.add(path, "missing", "{class: llama_index.core.MockEmbedding, args: {}}", missing="options")
    for key in ("base_url", "params", "tokenizer", "endpoints"):
        if getattr(embedder, key):
            findings.add((*path, key), "the class has its own arguments", "options.args", key=True)


def check_parts(entries: Sequence[JobEntry], names: Names, findings: Findings) -> None:
    """What a job states in place is known: embedder, store, format of the input, chunker."""
    for entry in entries:
        if entry.job is None:
            continue
        if entry.embedder is not None and entry.embedder[0] != "embedders":
            check_embedder(entry.job.embedder, entry.embedder, names, findings)
        store: StoreConfig | None = getattr(entry.job, "store", None)
        if store is not None and isinstance(findings.node(entry.path("store")), Table):
            check_store(store, entry.path("store"), names, findings)
        given = entry.job.input
        names.check("readers", "format", given.format, entry.path("input", "format"), findings, extra=("auto", LLAMA_INDEX))
        for position, path in enumerate(given.paths if given.format == "auto" and given.sql is None else ()):
            names.check_extra("readers", input_format(path) or "", input_path(entry, position, findings), findings)
        check_reading(entry, findings)
        chunk: Chunking | None = setting_of(entry.job, "chunk")
        if chunk is not None:
            names.check("chunkers", "way to cut", chunk.by, entry.path("chunk", "by"), findings)
        check_format(entry, names, findings)


def check_budgets(entries: Sequence[JobEntry], findings: Findings) -> None:
    """A budget of money needs a price."""
    for entry in entries:
        if entry.job is None or entry.job.budget.cost is None:
            continue
        embedder = entry.job.embedder
        llm: LlmConfig | None = setting_of(entry.job, "llm")
        free = embedder.provider == "local" or embedder.price_per_million_tokens is not None
        for word, has_price in (("embedder", free), ("llm", llm is None or llm.price_per_million_tokens is not None)):
            if not has_price:
                findings.add(entry.path("budget", "cost"), "a budget of money needs a price", f"price_per_million_tokens at the {word}")


def check_delivery(entries: Sequence[JobEntry], findings: Findings) -> None:
    """A deadline, or a word on stragglers, belongs to models that are asked by batches; defaults may hold one for such jobs.

    A deadline is that of what is asked last: of an answer nobody knows when it is there whose question waits first.
    """
    for entry in entries:
        unclear = any(findings.knows((*path, "delivery")) for path in (*entry.parts, entry.path("embedder"), entry.path("llm")))
        if entry.job is None or unclear or not (models := batch_models(entry.job)):
            continue
        waits = [model.delivery == "batch" for model in models.values()]
        if not any(waits):
            words = " or ".join(models)
            for key in ("deadline", "stragglers"):
                stated = key in entry.job.model_fields_set and setting_of(entry.job, key) is not None
                if stated and key not in entry.inherited:
                    what, allowed = "its requests do not wait in batches", f"delivery: batch at its {words}, or no {key}"
                    findings.add(entry.path(key), what, allowed, key=True)
        elif any(waits[:-1]) and setting_of(entry.job, "deadline") is not None:
            what = "its questions wait in batches before its answers are asked for, so that nobody knows when those are there"
            findings.add(entry.path("deadline"), what, "an embedder with delivery: online, or no deadline", key=True)


def _check_endpoint_of_batches(model: ModelConfig, path: KeyPath, findings: Findings) -> None:
    where = (*path, "delivery")
    if model.delivery != "batch" or model.provider == "local" or findings.knows(where):
        return
    if model.provider not in (known := names("batches")):
        others = ", ".join(known)
        findings.add(where, f"the provider {model.provider} has no batch endpoint", f"online, or one of the providers {others}")
    elif model.endpoints:
        findings.add(where, "a batch goes to one endpoint", "online, or base_url instead of endpoints")


def check_limits(parts: Parts, entries: Sequence[JobEntry], findings: Findings) -> None:
    """Limits hold for an endpoint, a key and a model: what two embedders or llms state about the same three must be the same."""
    first: dict[tuple[str, str, str], tuple[KeyPath, EndpointConfig | ModelConfig]] = {}
    for path, endpoint, model in _endpoints(parts, entries):
        stated = endpoint.limits.model_dump(exclude_unset=True)
        if not stated:
            continue
        identity = (endpoint.base_url or model.provider, _key_of(path, endpoint, findings), model.model or "")
        other_path, other = first.setdefault(identity, (path, endpoint))
        if other.limits.model_dump(exclude_unset=True) != stated:
            what = f"{show(other_path)} states other limits for the same endpoint, key and model"
            findings.add((*path, "limits"), what, "the same limits, or limits at one of them", key=True)


def _endpoints(parts: Parts, entries: Sequence[JobEntry]) -> Iterator[tuple[KeyPath, EndpointConfig | ModelConfig, ModelConfig]]:
    """Yield the endpoints of embedders and llms, or their one address, by where their settings stand, each with its model."""
    models: dict[KeyPath, ModelConfig] = {("embedders", name): one for name, one in parts.embedders.items() if one is not None}
    models |= {("llms", name): one for name, one in parts.llms.items() if one is not None}
    for entry in entries:
        llm: LlmConfig | None = setting_of(entry.job, "llm")
        if entry.job is not None and entry.embedder is not None:
            models.setdefault(entry.embedder, entry.job.embedder)
        if llm is not None and not any(path[0] == "llms" for path in entry.parts):
            models[entry.path("llm")] = llm
    for path, model in models.items():
        yield from (((*path, "endpoints", at), endpoint, model) for at, endpoint in enumerate(model.endpoints_with_limits()))
        if not model.endpoints:
            yield path, model, model


def _key_of(path: KeyPath, model: EndpointConfig | ModelConfig, findings: Findings) -> str:
    if model.api_key is not None:
        return model.api_key.get_secret_value()
    node = findings.node((*path, "api_key"))
    return node.text if isinstance(node, Scalar) else ""
