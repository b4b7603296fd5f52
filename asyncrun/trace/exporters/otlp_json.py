"""OTLP/JSON: what a collector takes at `/v1/traces` with the content type application/json.

https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding: names in lowerCamelCase, ids in hexadecimal digits, enums as numbers,
64-bit integers as texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from asyncrun.escape import printable
from asyncrun.trace.exporters.otel_spans import SCOPE, Attribute, OtelSpan, otel_spans_of, resource_of, trace_id
from asyncrun.trace.run_record import RunRecord, Span

INTERNAL, CLIENT = 1, 3
OK, ERROR = 1, 2


def otlp_document(run: RunRecord, spans: Sequence[Span], now: float) -> dict[str, Any]:
    """Return the run as an ExportTraceServiceRequest.

    >>> run = RunRecord("r", 0.0, 2.0, "succeeded", 0, 2.0, None, "1", "here")
    >>> [resource] = otlp_document(run, [], now=5.0)["resourceSpans"]
    >>> [span["name"] for span in resource["scopeSpans"][0]["spans"]]
    ['asyncrun run']
    """
    trace = f"{trace_id(run):032x}"
    scope = {"name": SCOPE, "version": printable(run.version)}
    encoded = [_span(trace, span) for span in otel_spans_of(run, spans, now)]
    resource = {"attributes": _attributes(resource_of(run))}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": encoded}]}]}


def _span(trace: str, span: OtelSpan) -> dict[str, Any]:
    status: dict[str, Any] = {"code": ERROR, **({"message": span.message} if span.message else {})} if span.failed else {"code": OK}
    parent = {} if span.parent is None else {"parentSpanId": f"{span.parent:016x}"}
    return {
        "traceId": trace,
        "spanId": f"{span.id:016x}",
        **parent,
        "name": span.name,
        "kind": CLIENT if span.client else INTERNAL,
        "startTimeUnixNano": str(span.start),
        "endTimeUnixNano": str(span.end),
        "attributes": _attributes(span.attributes),
        "status": status,
    }


def _attributes(values: Mapping[str, Attribute]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Attribute) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, tuple):
        return {"arrayValue": {"values": [_value(each) for each in value]}}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}
