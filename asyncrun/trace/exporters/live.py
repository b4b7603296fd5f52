"""A run sent to a collector over OTLP/HTTP, by OpenTelemetry's own exporter (the extra `otel`)."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from asyncrun.errors import MissingExtraError, TryLaterError
from asyncrun.trace.exporters.telemetry import SCOPE, Telemetry, resource_of, telemetry_of, trace_id
from asyncrun.trace.records import RunRecord, Span

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
SENT_TOGETHER = 512
"""Spans of one request, as OpenTelemetry's own batches have it."""


class _Words(logging.Handler):
    """Keeps what the exporter says first, which would else go to standard error as it is."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.first = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.first = self.first or record.getMessage()


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Return whether the environment asks for runs to be sent.

    >>> is_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"})
    True
    """
    off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or environ.get("OTEL_TRACES_EXPORTER", "").strip() == "none"
    return bool(environ.get(ENDPOINT, "").strip()) and not off


def send_run(run: RunRecord, spans: Sequence[Span], environ: Mapping[str, str], now: float) -> int:
    """Send a run to `OTEL_EXPORTER_OTLP_ENDPOINT` and return how many spans that were.

    Blocks: a request at most as long as `OTEL_EXPORTER_OTLP_TIMEOUT`, by default 10 s, and no further one after one that failed.
    Raises MissingExtraError without the extra, and TryLaterError when the collector does not take them.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
        from opentelemetry.util.re import parse_env_headers
    except ImportError as error:
        raise MissingExtraError(f"{ENDPOINT} is set, but OpenTelemetry is not installed", hint="pip install 'asyncrun[otel]'") from error
    address = environ[ENDPOINT].strip().rstrip("/") + "/v1/traces"
    headers = parse_env_headers(environ[HEADERS], liberal=True) if environ.get(HEADERS) else None
    readable = _readable(run, telemetry_of(run, spans, now), Resource.create(_named(resource_of(run), environ)))
    sent = 0
    with _quiet() as words:
        exporter: SpanExporter = OTLPSpanExporter(endpoint=address, headers=headers)
        try:
            while batch := list(islice(readable, SENT_TOGETHER)):
                if exporter.export(batch) is not SpanExportResult.SUCCESS:
                    said = words.first or "no reason is given"
                    raise TryLaterError(f"the collector took {sent} spans and no more: {said}", hint=f"Check {ENDPOINT}.")
                sent += len(batch)
        finally:
            exporter.shutdown()
    return sent


def _readable(run: RunRecord, spans: Sequence[Telemetry], resource: Resource) -> Generator[ReadableSpan, None, None]:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    scope, trace = InstrumentationScope(SCOPE, run.version), trace_id(run)

    def context(number: int) -> SpanContext:
        return SpanContext(trace, number, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    for span in spans:
        yield ReadableSpan(
            name=span.name,
            context=context(span.id),
            parent=None if span.parent is None else context(span.parent),
            resource=resource,
            attributes=dict(span.attributes),
            kind=SpanKind.CLIENT if span.client else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, span.message or None) if span.failed else Status(StatusCode.OK),
            start_time=span.start,
            end_time=span.end,
            instrumentation_scope=scope,
        )


def _named(resource: dict[str, bool | int | float | str], environ: Mapping[str, str]) -> dict[str, bool | int | float | str]:
    """Return the resource under the name that the environment gives to the service."""
    name = environ.get("OTEL_SERVICE_NAME", "").strip()
    return {**resource, "service.name": name} if name else resource


@contextmanager
def _quiet() -> Generator[_Words, None, None]:
    words, logger = _Words(), logging.getLogger("opentelemetry")
    before = logger.propagate
    logger.addHandler(words)
    logger.propagate = False
    try:
        yield words
    finally:
        logger.propagate = before
        logger.removeHandler(words)
