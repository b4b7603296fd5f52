"""A run sent to a collector over OTLP/HTTP, by OpenTelemetry's own exporter (the extra `otel`)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING

from asyncrun.errors import MissingExtraError, TryLaterError
from asyncrun.trace.exporters.otlp import SCOPE, Attributes, OtelSpan, ended_otel_spans_of, otel_spans_of, resource_attributes, trace_id
from asyncrun.trace.run_record import RunRecord, Span

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
SENT_TOGETHER = 512
"""Spans of one request, as OpenTelemetry's own batches have it."""
MOST_BATCHES_WAITING = 16
"""Batches that wait for a slow collector while the run goes on."""
COLLECTOR_TIMEOUT = 2.0
"""Seconds that a collector that is dead, or hangs, may cost at the end of a run."""


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


class OtlpSender:
    """Sends spans to a collector in a thread of its own, while the run goes on, and at its end what is left.

    Args:
        environ: names the collector, as OpenTelemetry's variables do.
        patience: seconds without a batch taken after which the end gives the collector up.

    Not OpenTelemetry's BatchSpanProcessor: that drops what its queue cannot hold, and cannot tell what the collector has taken. Here
    the trace store holds everything, so whatever was not taken on the way is sent at the end.
    """

    def __init__(self, environ: Mapping[str, str], patience: float = COLLECTOR_TIMEOUT) -> None:
        self._environ = environ
        self._patience = patience
        self._batches: SimpleQueue[tuple[RunRecord, Sequence[OtelSpan], bool] | None] = SimpleQueue()
        self._taken: set[int] = set()
        self._changed = threading.Condition()
        self._steps = 0
        self._ended = False
        self._ending = False
        self._failure: Exception | None = None
        self._words = _Words()
        self._exporter: SpanExporter | None = None
        self._thread: threading.Thread | None = None

    def offer(self, run: RunRecord, spans: Sequence[Span]) -> None:
        """Have spans sent that have ended, and whose parents will be sent. Returns at once; what is too much waits for the end."""
        if self._batches.qsize() < MOST_BATCHES_WAITING:
            self._send(run, ended_otel_spans_of(run, spans), at_end=False)

    def finish(self, run: RunRecord, spans: Sequence[Span], now: float) -> int:
        """Send what the collector has not taken of a run, and return how many spans it has taken in all.

        Blocks as long as the collector takes a batch every now and then. Raises MissingExtraError without the extra, and TryLaterError
        when the collector refuses, or takes nothing for `patience` seconds.
        """
        self._ending = True
        self._send(run, otel_spans_of(run, spans, now), at_end=True)
        self._batches.put(None)
        with self._changed:
            # The import of OpenTelemetry is not the collector's fault.
            self._changed.wait_for(lambda: self._exporter is not None or self._ended)
            while not self._ended:
                if not self._changed.wait_for(partial(self._has_moved, self._steps), self._patience):
                    self._failure = self._refused(self._words.first or f"it took nothing for {self._patience:g} s")
                    break
        if self._failure is not None:
            raise self._failure
        return len(self._taken)

    def _has_moved(self, steps: int) -> bool:
        return self._ended or self._steps != steps

    def close(self) -> None:
        """Send nothing more. A request that is under way is left behind: it ends at its timeout, and does not keep the process."""
        self._ending = True
        self._failure = self._failure or self._refused("the run was given up")
        self._batches.put(None)
        if self._exporter is not None:
            self._exporter.shutdown()

    def _send(self, run: RunRecord, spans: Sequence[OtelSpan], *, at_end: bool) -> None:
        for first in range(0, len(spans), SENT_TOGETHER):
            self._batches.put((run, spans[first : first + SENT_TOGETHER], at_end))
        if self._thread is None:
            thread = threading.Thread(target=self._send_on, name="asyncrun-otlp", daemon=True)
            thread.start()  # which fails where the system gives no more threads
            self._thread = thread

    def _send_on(self) -> None:
        with _quiet(self._words):
            try:
                exporter = _exporter(self._environ)
                with self._changed:
                    self._exporter = exporter
                    self._changed.notify()
                while (batch := self._batches.get()) is not None and self._failure is None:
                    self._export(exporter, *batch)
            except Exception as error:
                self._failure = error
            finally:
                with self._changed:
                    self._ended = True
                    self._changed.notify()

    def _export(self, exporter: SpanExporter, run: RunRecord, batch: Sequence[OtelSpan], at_end: bool) -> None:
        from opentelemetry.sdk.trace.export import SpanExportResult

        left = [span for span in batch if span.id not in self._taken]
        if not left or (self._ending and not at_end):
            return
        if exporter.export(list(_readable(run, left, self._environ))) is SpanExportResult.SUCCESS:
            self._words.first = ""
            with self._changed:
                self._taken.update(span.id for span in left)
                self._steps += 1
                self._changed.notify()
        elif at_end:
            raise self._refused(self._words.first or "no reason is given")

    def _refused(self, said: str) -> TryLaterError:
        return TryLaterError(f"the collector took {len(self._taken)} spans and no more: {said}", hint=f"Check {ENDPOINT}.")


def _exporter(environ: Mapping[str, str]) -> SpanExporter:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.util.re import parse_env_headers
    except ImportError as error:
        raise MissingExtraError(f"{ENDPOINT} is set, but OpenTelemetry is not installed", hint="pip install 'asyncrun[otel]'") from error
    address = environ[ENDPOINT].strip().rstrip("/") + "/v1/traces"
    headers = parse_env_headers(environ[HEADERS], liberal=True) if environ.get(HEADERS) else None
    return OTLPSpanExporter(endpoint=address, headers=headers)


def _readable(run: RunRecord, spans: Sequence[OtelSpan], environ: Mapping[str, str]) -> Generator[ReadableSpan, None, None]:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    scope, trace = InstrumentationScope(SCOPE, run.version), trace_id(run)
    resource = resource_of(run, environ)

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


def resource_of(run: RunRecord, environ: Mapping[str, str]) -> Resource:
    """Return where a run comes from, under the name that the environment gives to the service."""
    from opentelemetry.sdk.resources import Resource

    resource: Attributes = resource_attributes(run)
    name = environ.get("OTEL_SERVICE_NAME", "").strip()
    return Resource.create({**resource, "service.name": name} if name else resource)


@contextmanager
def _quiet(words: _Words) -> Generator[None, None, None]:
    logger = logging.getLogger("opentelemetry")
    before = logger.propagate
    logger.addHandler(words)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = before
        logger.removeHandler(words)
