"""Names to parts: `name -> module:attribute` for built-ins and installed plugins alike, imported on use."""

from __future__ import annotations

import importlib
import importlib.util
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from asyncrun.errors import AsyncrunError, MissingExtraError, UsageError
from asyncrun.humanize import did_you_mean
from asyncrun.plugins import PORT_VERSIONS, Plugin, find_plugins


@dataclass(frozen=True, slots=True)
class PartLocation:
    """Where a part is found, and which extra brings the `module` that it needs."""

    target: str
    extra: str | None = None
    module: str | None = None
    distribution: str = "asyncrun"


BUILT_IN: Mapping[str, Mapping[str, PartLocation]] = {
    "kinds": {
        "embed": PartLocation("asyncrun.jobs.embed:EMBED"),
        "generate": PartLocation("asyncrun.jobs.generate:GENERATE"),
        "ingest": PartLocation("asyncrun.jobs.ingest:INGEST"),
        "query": PartLocation("asyncrun.jobs.query:QUERY"),
    },
    "embedders": {
        "local": PartLocation("asyncrun.embedders.local_embedder:LocalEmbedding"),
        "openai": PartLocation("asyncrun.embedders.provider_classes:OpenAIEmbedding"),
        "azure": PartLocation("asyncrun.embedders.provider_classes:AzureOpenAIEmbedding"),
        "cohere": PartLocation("asyncrun.embedders.provider_classes:CohereEmbedding"),
        "voyage": PartLocation("asyncrun.embedders.provider_classes:VoyageEmbedding"),
        "jina": PartLocation("asyncrun.embedders.provider_classes:JinaEmbedding"),
        "mistral": PartLocation("asyncrun.embedders.provider_classes:MistralAIEmbedding"),
        "gemini": PartLocation("asyncrun.embedders.provider_classes:GeminiEmbedding"),
        "isaacus": PartLocation("asyncrun.embedders.provider_classes:IsaacusEmbedding"),
        "heroku": PartLocation("asyncrun.embedders.provider_classes:HerokuEmbedding"),
        "huggingface": PartLocation("asyncrun.embedders.provider_classes:HuggingFaceInferenceAPIEmbedding"),
        "ollama": PartLocation("asyncrun.embedders.provider_classes:OllamaEmbedding"),
        "tei": PartLocation("asyncrun.embedders.provider_classes:TextEmbeddingsInference"),
        "vllm": PartLocation("asyncrun.embedders.provider_classes:VLLMEmbedding"),
        "llamacpp": PartLocation("asyncrun.embedders.provider_classes:LlamaCppEmbedding"),
        "infinity": PartLocation("asyncrun.embedders.provider_classes:InfinityEmbedding"),
        "lmstudio": PartLocation("asyncrun.embedders.provider_classes:LMStudioEmbedding"),
        "llama-index": PartLocation("asyncrun.embedders.llama_index:LlamaIndexEmbedding"),
        "litellm": PartLocation("asyncrun.embedders.provider_classes:LiteLLMEmbedding"),
    },
    "llms": dict.fromkeys(
        ("openai", "azure", "mistral", "heroku", "gemini", "anthropic", "ollama", "vllm", "llamacpp", "lmstudio", "litellm"),
        PartLocation("asyncrun.llms.http_chat:HttpChat"),
    ),
    "batches": {
        "openai": PartLocation("asyncrun.batches.openai:OpenAIBatches"),
        "azure": PartLocation("asyncrun.batches.openai:AzureBatches"),
        "mistral": PartLocation("asyncrun.batches.mistral:MistralBatches"),
        "gemini": PartLocation("asyncrun.batches.gemini:GeminiBatches"),
        "voyage": PartLocation("asyncrun.batches.openai:VoyageBatches"),
        "anthropic": PartLocation("asyncrun.batches.anthropic:AnthropicBatches"),
    },
    "stores": {
        "sqlite": PartLocation("asyncrun.stores.sqlite:SqliteStore"),
        "pgvector": PartLocation("asyncrun.stores.pgvector:PgVectorStore", extra="pgvector", module="psycopg"),
        "llama-index": PartLocation("asyncrun.stores.llama_index:LlamaIndexStore"),
        "lancedb": PartLocation("asyncrun.stores.lancedb:LanceDBStore", extra="lancedb", module="lancedb"),
        "qdrant": PartLocation("asyncrun.stores.qdrant:QdrantStore", extra="qdrant", module="qdrant_client"),
    },
    "readers": {
        "text": PartLocation("asyncrun.readers.text:read_text"),
        "lines": PartLocation("asyncrun.readers.lines:read_lines"),
        "jsonl": PartLocation("asyncrun.readers.lines:read_jsonl"),
        "csv": PartLocation("asyncrun.readers.csv:read_csv"),
        "tsv": PartLocation("asyncrun.readers.csv:read_tsv"),
        "parquet": PartLocation("asyncrun.readers.parquet:read_parquet", extra="parquet", module="pyarrow"),
        "markdown": PartLocation("asyncrun.readers.markdown:read_markdown"),
        "html": PartLocation("asyncrun.readers.html:read_html", extra="documents", module="selectolax"),
        "pdf": PartLocation("asyncrun.readers.pdf:read_pdf", extra="documents", module="pypdfium2"),
        "docx": PartLocation("asyncrun.readers.docx:read_docx"),
        "ipynb": PartLocation("asyncrun.readers.ipynb:read_ipynb"),
        "eml": PartLocation("asyncrun.readers.mail:read_eml", extra="documents", module="selectolax"),
        "mbox": PartLocation("asyncrun.readers.mbox:read_mbox", extra="documents", module="selectolax"),
        "kreuzberg": PartLocation("asyncrun.readers.kreuzberg:read_kreuzberg", extra="kreuzberg", module="kreuzberg"),
    },
    "chunkers": {
        "sentence": PartLocation("asyncrun.chunkers.sentence_chunker:SentenceChunker"),
        "token": PartLocation("asyncrun.chunkers.token_chunker:TokenChunker"),
        "markdown": PartLocation("asyncrun.chunkers.markdown_chunker:MarkdownChunker"),
        "heading": PartLocation("asyncrun.chunkers.markdown_chunker:MarkdownChunker"),
        "page": PartLocation("asyncrun.chunkers.page_chunker:PageChunker"),
        "code": PartLocation("asyncrun.chunkers.code_chunker:CodeChunker"),
        "none": PartLocation("asyncrun.chunkers.interface:WholeChunker"),
    },
    "writers": {
        "jsonl": PartLocation("asyncrun.writers.jsonl:JsonlWriter"),
        "parquet": PartLocation("asyncrun.writers.parquet:ParquetWriter", extra="parquet", module="pyarrow"),
        "csv": PartLocation("asyncrun.writers.csv:CsvWriter"),
        "npy": PartLocation("asyncrun.writers.npy:NpyWriter"),
    },
    "exporters": {
        "otlp": PartLocation("asyncrun.trace.exporters.otlp:otlp_document"),
        "perfetto": PartLocation("asyncrun.trace.exporters.perfetto:perfetto_document"),
        "json": PartLocation("asyncrun.trace.trace_json:plain_document"),
    },
    "handlers": {},
    "executors": {
        "local": PartLocation("asyncrun.executors.local:LocalExecutor"),
        "processes": PartLocation("asyncrun.executors.processes:ProcessExecutor"),
        "ray": PartLocation("asyncrun.executors.ray:RayExecutor", extra="ray", module="ray"),
    },
    "tokenizers": {"local": PartLocation("asyncrun.embedders.tokenizer:MiniLMTokenizer")},
    "progress": {"bar": PartLocation("asyncrun.ui.progress_choice:open_progress")},
}


@dataclass(frozen=True, slots=True)
class Offer:
    """A part under its name, the version of the distribution that brings it, and why it is not used, if it is not."""

    port: str
    name: str
    part: PartLocation
    version: str
    problem: str | None = None


def offers(version: str) -> list[Offer]:
    """Return every part that can be named, built-in (of this `version`) and installed; only installed parts are imported.

    A name that two distributions bring is in it twice; jobs that name it are refused.
    """
    own = [Offer(port, name, part, version) for port in PORT_VERSIONS for name, part in BUILT_IN[port].items()]
    found = [*own, *(Offer(each.port, each.name, _location(each), each.version, each.refusal) for each in find_plugins())]
    bringing: dict[tuple[str, str], list[str]] = defaultdict(list)
    for offer in found:
        if offer.problem is None:
            bringing[offer.port, offer.name].append(offer.part.distribution)
    return [replace(offer, problem=offer.problem or _problem(offer, bringing[offer.port, offer.name])) for offer in found]


def _problem(offer: Offer, distributions: list[str]) -> str | None:
    others = sorted({each for each in distributions if each != offer.part.distribution})
    if others:
        return f"{offer.name!r} is offered by {' and '.join(others)}, too"
    if offer.part.distribution != "asyncrun":
        try:
            _import(offer.port, offer.name, offer.part)
        except AsyncrunError as error:
            return error.message
    return None


def names(port: str) -> list[str]:
    """Return the names known for a port, built-in and installed, sorted; those of plugins for another version of the port are not."""
    return sorted({*BUILT_IN.get(port, {}), *(plugin.name for plugin in _usable(port))})


def locate(port: str, name: str) -> PartLocation:
    """Return where a part is found; nothing is imported. For a built-in one nobody looks at what is installed: see `find_clash`.

    Raises UsageError for a name that nobody offers, or that two plugins offer, or one that was made for another version of the port.
    """
    if (built_in := BUILT_IN[port].get(name)) is not None:
        return built_in
    offers = [_location(plugin) for plugin in _usable(port, name)]
    if len(offers) > 1:
        raise _clash(port, name, offers)
    if not offers:
        if (why := refusal(port, name)) is not None:
            raise UsageError(why, hint="Install versions of both that fit each other.")
        raise UsageError(f"no {port} named {name!r}; known: {', '.join(names(port))}{did_you_mean(name, names(port))}")
    return offers[0]


def refusal(port: str, name: str) -> str | None:
    """Return why an installed part cannot be used, None where there is none of the name or it can; nothing is imported."""
    return next((plugin.refusal for plugin in find_plugins(port, name) if plugin.refusal), None)


def find_clash(used: Iterable[tuple[str, str]]) -> UsageError | None:
    """Return the error of the first part, of those with a port and a name, that two distributions offer; nothing is imported.

    To look at every installed distribution takes milliseconds: here once for all parts of a run.
    """
    installed: dict[tuple[str, str], list[PartLocation]] = defaultdict(list)
    for plugin in _usable():
        installed[plugin.port, plugin.name].append(_location(plugin))
    for port, name in used:
        built_in = BUILT_IN[port].get(name)
        offers = [*([built_in] if built_in else []), *installed[port, name]]
        if len(offers) > 1:
            return _clash(port, name, offers)
    return None


def _clash(port: str, name: str, offers: Iterable[PartLocation]) -> UsageError:
    both = " and ".join(sorted({offer.distribution for offer in offers}))
    return UsageError(f"{port} name {name!r} is offered by {both}", hint="Uninstall one of them.")


def missing_extra(port: str, name: str) -> MissingExtraError | None:
    """Return the error of a built-in part whose extra is not installed, None for any other; nothing is imported.

    >>> missing_extra("writers", "jsonl") is None
    True
    """
    part = BUILT_IN[port].get(name)
    if part is None or part.extra is None or part.module is None or importlib.util.find_spec(part.module) is not None:
        return None
    return _missing(name, part.extra)


def load(port: str, name: str) -> Any:
    """Import a part and return it.

    >>> load("embedders", "local").__name__
    'LocalEmbedding'

    Raises UsageError as `locate` and for a plugin that cannot be imported, MissingExtraError when an extra is not installed.
    """
    return _import(port, name, locate(port, name))


def _import(port: str, name: str, part: PartLocation) -> Any:
    if part.extra and part.module and importlib.util.find_spec(part.module) is None:
        raise _missing(name, part.extra)  # It may be imported by another process, long after this.
    module, _, attribute = part.target.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        if part.extra and isinstance(error, ImportError):
            raise _missing(name, part.extra) from error
        if part.distribution == "asyncrun":
            raise
        # Whatever it is, jobs of other kinds go on: to read a job file all kinds in it are imported.
        words = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
        raise UsageError(
            f"the plugin {name!r} of {part.distribution} cannot be imported: {words}",
            hint=f"Reinstall or remove {part.distribution}.",
        ) from error
    if part.distribution != "asyncrun" and port != "kinds" and not callable(found):
        raise UsageError(
            f"the plugin {name!r} of {part.distribution} is no part: {part.target} cannot be called",
            hint=f"Reinstall or remove {part.distribution}.",
        )
    return found


def _missing(name: str, extra: str) -> MissingExtraError:
    return MissingExtraError(
        f"{name} needs the extra {extra!r}, which is not installed", hint=f"Install it: pip install 'asyncrun[{extra}]'."
    )


def _usable(port: str | None = None, name: str | None = None) -> list[Plugin]:
    return [plugin for plugin in find_plugins(port, name) if plugin.refusal is None]


def _location(plugin: Plugin) -> PartLocation:
    return PartLocation(plugin.target, distribution=plugin.distribution)
