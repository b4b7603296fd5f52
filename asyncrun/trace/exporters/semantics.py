"""What a span is called elsewhere: OpenTelemetry's conventions for generative AI, and OpenInference's, side by side.

https://github.com/open-telemetry/semantic-conventions-genai (v0.1.0) and https://arize-ai.github.io/openinference/spec; both may be
had at once because their names do not meet. What neither knows is kept below `asyncrun.`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from asyncrun.callbacks.schema import CBEventType
from asyncrun.escape import printable
from asyncrun.trace.run_record import Span

Attribute = bool | int | float | str | tuple[str, ...]
Attributes = dict[str, Attribute]

PROVIDERS = {"azure": "azure.ai.openai", "gemini": "gcp.gemini", "mistral": "mistral_ai"}
"""Our word for a provider -> the one that OpenTelemetry states, where they differ."""
KINDS = {
    CBEventType.EMBEDDING.value: "EMBEDDING",
    CBEventType.LLM.value: "LLM",
    CBEventType.RETRIEVE.value: "RETRIEVER",
    CBEventType.RERANKING.value: "RERANKER",
    CBEventType.FUNCTION_CALL.value: "TOOL",
    CBEventType.AGENT_STEP.value: "AGENT",
    CBEventType.TEMPLATING.value: "PROMPT",
}
"""Event type -> OpenInference's kind of span; every other is a CHAIN."""
_OPERATIONS = {CBEventType.EMBEDDING.value: "embeddings", CBEventType.LLM.value: "chat", CBEventType.RETRIEVE.value: "retrieval"}
_SHARED = {
    "provider": ("gen_ai.provider.name",),
    "dimensions": ("gen_ai.embeddings.dimension.count",),
    "server.address": ("server.address",),
    "error.type": ("error.type",),
    "top_k": ("gen_ai.retrieval.top_k",),
    "tokens": ("gen_ai.usage.input_tokens", "llm.token_count.prompt", "llm.token_count.total"),
}
_CHAT = {
    "input_tokens": ("gen_ai.usage.input_tokens", "llm.token_count.prompt"),
    "output_tokens": ("gen_ai.usage.output_tokens", "llm.token_count.completion"),
    "tokens": ("llm.token_count.total",),
    "finish_reason": ("gen_ai.response.finish_reasons",),
    "max_tokens": ("gen_ai.request.max_tokens",),
}
"""What a chat model's span says in words of its own."""
_MODEL = {CBEventType.EMBEDDING.value: "embedding.model_name", CBEventType.LLM.value: "llm.model_name"}


@dataclass(frozen=True, slots=True)
class Described:
    """A span under other names. `client` says whether another process did the work."""

    name: str
    client: bool
    attributes: Mapping[str, Attribute]


def describe_span(span: Span) -> Described:
    """Return a span's name and attributes; one span covers all attempts of an operation.

    >>> describe_span(Span("r", 1, None, "embedding", "", 0.0, 1.0, "succeeded", {"model_name": "m", "provider": "openai"})).name
    'embeddings m'
    """
    operation = _OPERATIONS.get(span.type)
    found: Attributes = {"openinference.span.kind": KINDS.get(span.type, "CHAIN"), "asyncrun.type": printable(span.type)}
    if span.name:
        found["asyncrun.name"] = printable(span.name)
    found["asyncrun.status"] = printable(span.status)
    if operation:
        found["gen_ai.operation.name"] = operation
    for key, value in span.attributes.items():
        found.update(_renamed(span, printable(key), printable(value) if isinstance(value, str) else value))
    model, source = str(span.attributes.get("model_name", "")), span.name
    if span.type == CBEventType.RETRIEVE.value and source:
        found["gen_ai.data_source.id"] = printable(source)
    words = {"retrieval": source, "embeddings": model, "chat": model}.get(operation or "", span.name)
    name = " ".join(part for part in (operation or span.type, words) if part)
    return Described(printable(name), operation in ("embeddings", "chat") and span.attributes.get("provider") != "local", found)


def _renamed(span: Span, key: str, value: Attribute) -> Attributes:
    if key == "model_name":
        names: tuple[str, ...] = ("gen_ai.request.model", *([_MODEL[span.type]] if span.type in _MODEL else []))
    elif span.type == CBEventType.LLM.value and key in _CHAT:
        names = _CHAT[key]
    elif key == "tokens" and span.type not in _MODEL:
        # Of a job they are the sum over its requests, which say it themselves.
        names = ("asyncrun.tokens",)
    else:
        names = _SHARED.get(key, (f"asyncrun.{key}",))
    if key == "provider":
        value = PROVIDERS.get(str(value), value)
    if key == "finish_reason":
        value = (str(value),)  # one for each choice
    return dict.fromkeys(names, value)
