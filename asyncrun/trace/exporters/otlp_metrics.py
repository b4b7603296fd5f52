"""The figures of a run sent to a collector over OTLP/HTTP, by OpenTelemetry's own exporter (the extra `otel`)."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from asyncrun.errors import MissingExtraError, TryLaterError
from asyncrun.metrics import Metric
from asyncrun.trace.exporters.otlp import SCOPE
from asyncrun.trace.exporters.otlp_sender import ENDPOINT, HEADERS, resource_of
from asyncrun.trace.run_record import RunRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData

METRICS_ENDPOINT = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
EXPORT_TIMEOUT = 2.0
"""Seconds that the exporter tries for."""
_NOT_FOR_METRICS = (404, 405, 415, 501)
"""What a collector of traces alone says to metrics, as Phoenix does."""


def wants_metrics(environ: Mapping[str, str]) -> bool:
    """Return whether the environment asks for metrics to be sent.

    >>> wants_metrics({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_METRICS_EXPORTER": "none"})
    False
    """
    off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or environ.get("OTEL_METRICS_EXPORTER", "").strip() == "none"
    return bool(_address(environ)) and not off


def send_metrics(metrics: Sequence[Metric], run: RunRecord, environ: Mapping[str, str]) -> bool:
    """Send figures, and return whether the collector has taken them: one that takes traces alone has not. Blocks.

    Raises MissingExtraError without the extra, TryLaterError when the collector refuses or is not there.
    """
    try:
        import requests
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics.export import MetricExportResult
        from opentelemetry.util.re import parse_env_headers
    except ImportError as error:
        raise MissingExtraError(f"{ENDPOINT} is set, but OpenTelemetry is not installed", hint="pip install 'asyncrun[otel]'") from error
    statuses: list[int] = []
    headers = parse_env_headers(environ[HEADERS], liberal=True) if environ.get(HEADERS) else None
    with requests.Session() as session, _listening(OTLPMetricExporter.__module__) as words:
        session.hooks["response"].append(lambda reply, *_, **__: statuses.append(reply.status_code))
        exporter = OTLPMetricExporter(endpoint=_address(environ), headers=headers, timeout=EXPORT_TIMEOUT, session=session)
        try:
            if exporter.export(_metrics_data(metrics, run, environ)) is MetricExportResult.SUCCESS:
                return True
        finally:
            exporter.shutdown()
    if statuses and statuses[-1] in _NOT_FOR_METRICS:
        return False
    raise TryLaterError(f"the collector took no metrics: {words[0] if words else 'no reason is given'}", hint=f"Check {ENDPOINT}.")


def _address(environ: Mapping[str, str]) -> str:
    own, shared = (environ.get(name, "").strip() for name in (METRICS_ENDPOINT, ENDPOINT))
    return own or (shared and shared.rstrip("/") + "/v1/metrics")


def _metrics_data(metrics: Sequence[Metric], run: RunRecord, environ: Mapping[str, str]) -> MetricsData:
    from opentelemetry.sdk.metrics.export import Gauge, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics
    from opentelemetry.sdk.metrics.export import Metric as OtelMetric
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    now = round(run.started * 1e9)

    def points(metric: Metric) -> list[NumberDataPoint]:
        return [NumberDataPoint(dict(labels), now, now, value) for labels, value in metric.values.items()]

    gauges = [OtelMetric(metric.name, metric.description, metric.unit, Gauge(points(metric))) for metric in metrics]
    scope = ScopeMetrics(InstrumentationScope(SCOPE, run.version), gauges, "")
    return MetricsData([ResourceMetrics(resource_of(run, environ), [scope], "")])


@contextmanager
def _listening(name: str) -> Iterator[list[str]]:
    """Keep what a module says in this thread, which would else go to standard error as it is."""
    words: list[str] = []
    own = threading.get_ident()

    def take(record: logging.LogRecord) -> bool:
        if record.thread == own:
            words.append(record.getMessage())
        return record.thread != own

    logger: Any = logging.getLogger(name)
    logger.addFilter(take)
    try:
        yield words
    finally:
        logger.removeFilter(take)
