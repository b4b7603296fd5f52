"""A run as OpenTelemetry's resource and spans, and as OTLP/JSON; attributes by its conventions and by OpenInference's.

https://github.com/open-telemetry/semantic-conventions-genai (v0.1.0) and https://arize-ai.github.io/openinference/spec; both may be
had at once because their names do not meet. What neither knows is kept below `asyncrun.`.

OTLP/JSON is what a collector takes at `/v1/traces` with the content type application/json, by
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: names in lowerCamelCase, ids in hexadecimal digits, enums as numbers,
64-bit integers as texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncrun.callbacks.schema import CBEventType
from asyncrun.escape import printable
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.span_tree import DETAILS

SCOPE = "asyncrun"
Attribute = bool | int | float | str | tuple[str, ...]
Attributes = dict[str, Attribute]

OTEL_PROVIDERS = {"azure": "azure.ai.openai", "gemini": "gcp.gemini", "mistral": "mistral_ai"}
"""Our word for a provider -> the one that OpenTelemetry states, where they differ."""
OPENINFERENCE_KINDS = {
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
    "response_model": ("gen_ai.response.model",),
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
    "cached_tokens": ("gen_ai.usage.cache_read.input_tokens", "llm.token_count.prompt_details.cache_read"),
    "reasoning_tokens": ("llm.token_count.completion_details.reasoning",),
    "finish_reason": ("gen_ai.response.finish_reasons",),
    "max_tokens": ("gen_ai.request.max_tokens",),
}
"""What a chat model's span says in words of its own."""
_MODEL = {CBEventType.EMBEDDING.value: "embedding.model_name", CBEventType.LLM.value: "llm.model_name"}


@dataclass(frozen=True, slots=True)
class OtelSpan:
    """One span, ready to be encoded; `start` and `end` are nanoseconds since 1970, `message` says why a failed one failed."""

    id: int
    parent: int | None
    name: str
    client: bool
    start: int
    end: int
    attributes: Mapping[str, Attribute]
    failed: bool
    message: str


def trace_id(run: RunRecord) -> int:
    """Return the run's trace id: 16 bytes, the same each time the run is exported."""
    return _hash(f"{run.run_id}\0{run.host}\0{run.started!r}", 16)


def otel_spans_of(run: RunRecord, spans: Sequence[Span], now: float) -> list[OtelSpan]:
    """Return the run as a span and its spans below it; what has not ended ends at the last time that is known.

    Attempts and waits are left out: by the conventions one span covers an operation with its retries.
    """
    last = max([run.started, run.ended or 0.0, *(span.start for span in spans), *(span.end or 0.0 for span in spans)])
    known = {span.id for span in spans}
    root = _hash(f"{run.run_id}\0run", 8)
    return [_run(run, root, last, now), *(_span(run, span, root, last, known) for span in spans if span.type not in DETAILS)]


def ended_otel_spans_of(run: RunRecord, spans: Sequence[Span]) -> list[OtelSpan]:
    """Return spans that have ended, as `otel_spans_of` does when the run has; their parents need not be among them."""
    root = _hash(f"{run.run_id}\0run", 8)
    return [_span(run, span, root, span.end or span.start, {span.parent or 0}) for span in spans if span.type not in DETAILS]


def resource_attributes(run: RunRecord) -> Attributes:
    """Return what is said once about where the spans come from."""
    return {
        "service.name": "asyncrun",
        "service.version": printable(run.version),
        "host.name": printable(run.host),
        "openinference.project.name": "asyncrun",
    }


def _run(run: RunRecord, root: int, last: float, now: float) -> OtelSpan:
    attributes: Attributes = {"openinference.span.kind": "CHAIN", "asyncrun.run_id": printable(run.run_id)}
    attributes["asyncrun.status"] = printable(run.status_at(now))
    if run.exit_code is not None:
        attributes["asyncrun.exit_code"] = run.exit_code
    if run.job_file is not None:
        attributes["asyncrun.job_file"] = printable(run.job_file)
    if run.lost:
        attributes["asyncrun.lost_spans"] = run.lost
    failed = run.ended is not None and run.status == "failed"
    message = f"exit code {run.exit_code}" if failed else ""
    return OtelSpan(root, None, "asyncrun run", False, _nanoseconds(run.started), _nanoseconds(last), attributes, failed, message)


def _span(run: RunRecord, span: Span, root: int, last: float, known: set[int]) -> OtelSpan:
    name, client, attributes = describe_span(span)
    if span.end is None:
        attributes["asyncrun.unfinished"] = True
    failed = span.status == "failed"
    if failed:
        # The convention asks for a word on each operation that failed.
        attributes.setdefault("error.type", "_OTHER")
    parent = _id(run, span.parent) if span.parent in known and span.parent is not None else root
    end = max(last if span.end is None else span.end, span.start)
    message = printable(str(span.attributes.get("error.message", ""))) if failed else ""
    return OtelSpan(_id(run, span.id), parent, name, client, _nanoseconds(span.start), _nanoseconds(end), attributes, failed, message)


def _id(run: RunRecord, number: int) -> int:
    return _hash(f"{run.run_id}\0{number}", 8)


def _hash(text: str, size: int) -> int:
    # Never 0, which stands for "none".
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).digest()
    return int.from_bytes(digest, "big") or 1


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000) * 1000


def describe_span(span: Span) -> tuple[str, bool, Attributes]:
    """Return a span's name, whether another process did the work, and its attributes; one span covers all attempts of an operation.

    >>> describe_span(Span("r", 1, None, "embedding", "", 0.0, 1.0, "succeeded", {"model_name": "m", "provider": "openai"}))[0]
    'embeddings m'
    """
    operation = _OPERATIONS.get(span.type)
    found: Attributes = {"openinference.span.kind": OPENINFERENCE_KINDS.get(span.type, "CHAIN"), "asyncrun.type": printable(span.type)}
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
    return printable(name), operation in ("embeddings", "chat") and span.attributes.get("provider") != "local", found


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
        value = OTEL_PROVIDERS.get(str(value), value)
    if key == "finish_reason":
        value = (str(value),)  # one for each choice
    return dict.fromkeys(names, value)


_INTERNAL, _CLIENT = 1, 3
_OK, _ERROR = 1, 2


def otlp_document(run: RunRecord, spans: Sequence[Span], now: float) -> dict[str, Any]:
    """Return the run as an ExportTraceServiceRequest.

    >>> run = RunRecord("r", 0.0, 2.0, "succeeded", 0, 2.0, None, "1", "here")
    >>> [resource] = otlp_document(run, [], now=5.0)["resourceSpans"]
    >>> [span["name"] for span in resource["scopeSpans"][0]["spans"]]
    ['asyncrun run']
    """
    trace = f"{trace_id(run):032x}"
    scope = {"name": SCOPE, "version": printable(run.version)}
    encoded = [_span_json(trace, span) for span in otel_spans_of(run, spans, now)]
    resource = {"attributes": _attributes_json(resource_attributes(run))}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": encoded}]}]}


def _span_json(trace: str, span: OtelSpan) -> dict[str, Any]:
    status: dict[str, Any] = {"code": _ERROR, **({"message": span.message} if span.message else {})} if span.failed else {"code": _OK}
    parent = {} if span.parent is None else {"parentSpanId": f"{span.parent:016x}"}
    return {
        "traceId": trace,
        "spanId": f"{span.id:016x}",
        **parent,
        "name": span.name,
        "kind": _CLIENT if span.client else _INTERNAL,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": _attributes_json(span.attributes),
        "status": status,
    }


def _attributes_json(values: Mapping[str, Attribute]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value_json(value)} for key, value in values.items()]


def _value_json(value: Attribute) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, tuple):
        return {"arrayValue": {"values": [_value_json(each) for each in value]}}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}
