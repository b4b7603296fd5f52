"""Runs sent to a collector: a local one that parses the protocol's own messages, as OpenTelemetry publishes them."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from asyncrun.errors import TryLaterError
from asyncrun.metrics import RunEnd, run_metrics
from asyncrun.results import Counts, JobResult, Status
from asyncrun.testing.server import FakeServer
from asyncrun.trace.exporters.otlp import otlp_document
from asyncrun.trace.exporters.otlp_metrics import send_metrics, wants_metrics
from asyncrun.trace.exporters.otlp_sender import OtlpSender
from asyncrun.trace.run_record import RunRecord, Span

pytestmark = pytest.mark.needs("otel")

STARTED = 1_795_486_500.0
NOW = STARTED + 60
RUN = RunRecord("20261124-021500-4f2a", STARTED, STARTED + 9, "failed", 1, 9.0, "jobs.yaml", "0.1.0", "here")
SPANS = [
    Span(RUN.run_id, 1, None, "async_job", "notes", STARTED, STARTED + 9, "failed", {"tokens": 12}),
    Span(RUN.run_id, 2, 1, "embedding", "", STARTED + 1, STARTED + 2.5, "succeeded", {"model_name": "m", "tokens": 12, "waits.rate": 0.5}),
    Span(RUN.run_id, 3, 1, "embedding", "\x1b[31mred\udcff", STARTED + 3, None, "running", {"provider": "openai", "cut": True}),
    Span(
        RUN.run_id, 4, 1, "retrieve", "docs", STARTED + 3, STARTED + 4, "failed", {"error.type": "StorageError", "error.message": "no disk"}
    ),
]


@dataclass
class Collector:
    """What a collector was sent, and how it answers."""

    url: str
    status: int = 200
    answering: threading.Event = field(default_factory=threading.Event)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    metrics_status: int = 200

    def requests(self) -> list[Any]:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        return [ExportTraceServiceRequest.FromString(body) for body, path in zip(self.bodies, self.paths, strict=False) if "trace" in path]

    def figures(self) -> dict[str, dict[tuple[str, ...], float]]:
        """The values of the gauges by their names and their labels' values, without the job file's."""
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

        found: dict[str, dict[tuple[str, ...], float]] = {}
        for body, path in zip(self.bodies, self.paths, strict=True):
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics if "metrics" in path else ():
                assert {"service.name": "asyncrun"}.items() <= values(resource.resource.attributes).items()
                for metric in resource.scope_metrics[0].metrics:
                    points = found.setdefault(metric.name, {})
                    for point in metric.gauge.data_points:
                        labels = tuple(entry.value.string_value for entry in point.attributes if entry.key != "job_file")
                        points[labels] = getattr(point, point.WhichOneof("value"))
        return found

    def spans(self) -> list[Any]:
        scopes = (scope for request in self.requests() for resource in request.resource_spans for scope in resource.scope_spans)
        return [span for scope in scopes for span in scope.spans]


@pytest.fixture
def collector() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = found.metrics_status if "metrics" in self.path else found.status
            found.bodies.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            found.headers.append({name.lower(): value for name, value in self.headers.items()})
            found.paths.append(self.path)
            found.answering.wait()
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = False
        found = Collector(f"http://127.0.0.1:{server.server_port}")
        found.answering.set()
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield found
        finally:
            found.answering.set()
            server.shutdown()
            thread.join()


def values(attributes: Sequence[Any]) -> dict[str, Any]:
    return {entry.key: getattr(entry.value, entry.value.WhichOneof("value")) for entry in attributes}


def send(spans: Sequence[Span], environ: Mapping[str, str]) -> int:
    sender = OtlpSender(environ, patience=120)
    try:
        return sender.finish(RUN, spans, NOW)
    finally:
        sender.close()


def eventually(happens: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_arrives_whole(collector: Collector) -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_HEADERS": "x-team=search"}
    assert send(SPANS, environ) == 5
    assert collector.paths == ["/v1/traces"]
    assert collector.headers[0]["content-type"] == "application/x-protobuf"
    assert collector.headers[0]["x-team"] == "search"
    [request] = collector.requests()
    [resource] = request.resource_spans
    assert {"service.name": "asyncrun", "host.name": "here"}.items() <= values(resource.resource.attributes).items()
    root, job, embedding, unfinished, retrieval = collector.spans()
    assert (root.name, root.parent_span_id, root.status.code) == ("asyncrun run", b"", 2)
    assert (job.parent_span_id, embedding.parent_span_id) == (root.span_id, job.span_id)
    assert len({span.trace_id for span in (root, job, embedding, unfinished, retrieval)}) == 1
    assert (embedding.name, embedding.kind, embedding.status.code) == ("embeddings m", 3, 1)
    assert embedding.end_time_unix_nano - embedding.start_time_unix_nano == 1_500_000_000
    assert {"gen_ai.usage.input_tokens": 12, "asyncrun.waits.rate": 0.5}.items() <= values(embedding.attributes).items()
    assert {"asyncrun.unfinished": True, "asyncrun.name": "\\x1b[31mred\\udcff"}.items() <= values(unfinished.attributes).items()
    assert (retrieval.status.code, retrieval.status.message) == (2, "no disk")


def test_the_file_and_what_is_sent_are_the_same(collector: Collector) -> None:
    from google.protobuf.json_format import Parse
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    send(SPANS, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    document = otlp_document(RUN, SPANS, NOW)
    for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        # Protobuf's own mapping has bytes in base64; OTLP has ids in hexadecimal digits.
        for key in ("traceId", "spanId", "parentSpanId"):
            if key in span:
                span[key] = base64.b64encode(bytes.fromhex(span[key])).decode()
    parsed = Parse(json.dumps(document), ExportTraceServiceRequest())
    [scope] = parsed.resource_spans[0].scope_spans
    assert len(scope.spans) == len(collector.spans())
    for ours, sent in zip(scope.spans, collector.spans(), strict=True):
        assert (ours.name, ours.kind, ours.trace_id, ours.span_id, ours.parent_span_id) == (
            *(sent.name, sent.kind, sent.trace_id, sent.span_id, sent.parent_span_id),
        )
        assert (ours.start_time_unix_nano, ours.end_time_unix_nano) == (sent.start_time_unix_nano, sent.end_time_unix_nano)
        assert values(ours.attributes) == values(sent.attributes)
        assert (ours.status.code, ours.status.message) == (sent.status.code, sent.status.message)


def test_many_spans_go_in_several_requests(collector: Collector) -> None:
    spans = [Span(RUN.run_id, number, None, "query", "", STARTED, STARTED + 1, "succeeded") for number in range(1, 1200)]
    assert send(spans, {"OTEL_EXPORTER_OTLP_ENDPOINT": f"{collector.url}/"}) == 1200
    assert len(collector.bodies) == 3
    assert len({span.span_id for span in collector.spans()}) == 1200


def test_a_collector_that_refuses_is_told_in_a_sentence(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    collector.status = 400
    with pytest.raises(TryLaterError, match="0 spans") as caught:
        send(SPANS, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in caught.value.hint
    assert caplog.records == []
    assert logging.getLogger("opentelemetry").propagate


def test_what_has_ended_is_sent_while_the_run_goes_on_and_once(collector: Collector) -> None:
    sender = OtlpSender({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, patience=120)
    sender.offer(RUN, SPANS[1:2])
    eventually(collector.spans)
    assert [span.name for span in collector.spans()] == ["embeddings m"]
    assert sender.finish(RUN, SPANS, NOW) == 5
    assert len({span.span_id for span in collector.spans()}) == len(collector.spans()) == 5
    [early, root, job, *_] = collector.spans()
    assert (early.parent_span_id, early.trace_id) == (job.span_id, root.trace_id)
    sender.close()


def test_what_a_collector_did_not_take_on_the_way_it_gets_at_the_end(collector: Collector) -> None:
    collector.status = 400
    sender = OtlpSender({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, patience=120)
    sender.offer(RUN, SPANS[1:2])
    eventually(lambda: collector.bodies)
    collector.status = 200
    collector.bodies.clear()
    assert sender.finish(RUN, SPANS, NOW) == 5
    assert len(collector.spans()) == 5
    sender.close()


def test_what_a_collector_refuses_while_the_run_is_ending_it_gets_with_the_rest(collector: Collector) -> None:
    class Ending(list[Span]):
        """All spans of a run: once they are looked at, the answer comes that was awaited."""

        def __iter__(self) -> Iterator[Span]:
            collector.status = 200
            collector.answering.set()
            return super().__iter__()

    collector.status = 400
    collector.answering.clear()
    sender = OtlpSender({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, patience=120)
    sender.offer(RUN, SPANS[1:2])
    eventually(lambda: collector.bodies)
    collector.bodies.clear()
    assert sender.finish(RUN, Ending(SPANS), NOW) == 5
    assert len(collector.spans()) == 5
    sender.close()


def test_a_slow_collector_gets_what_was_too_much_at_the_end(collector: Collector) -> None:
    spans = [Span(RUN.run_id, number, None, "query", "", STARTED, STARTED + 1, "succeeded") for number in range(1, 3000)]
    collector.answering.clear()
    sender = OtlpSender({"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}, patience=120)
    for first in range(0, len(spans), 50):
        sender.offer(RUN, spans[first : first + 50])
    collector.answering.set()
    assert sender.finish(RUN, spans, NOW) == 3000
    assert len({span.span_id for span in collector.spans()}) == len(collector.spans()) == 3000
    sender.close()


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[Path]:
    with FakeServer().in_thread() as server:
        (tmp_path / "notes.jsonl").write_text('{"id": "a", "text": "one"}\n{"id": "b", "text": "two"}\n')
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
        job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
        yield tmp_path


COMMAND = [sys.executable, "-m", "asyncrun", "run", "jobs.yaml", "--progress", "never"]


def run_in(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(COMMAND, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True, check=False)


def test_a_run_is_sent_when_the_environment_names_a_collector(collector: Collector, notes: Path) -> None:
    ended = run_in(notes, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert ended.returncode == 0, ended.stderr
    spans = {span.name: span for span in collector.spans()}
    assert len(spans) == len(collector.spans())
    assert set(spans) == {"asyncrun run", "async_job notes", "embeddings m", "async_job write out.jsonl"}
    found = values(spans["embeddings m"].attributes)
    assert {"gen_ai.provider.name", "gen_ai.embeddings.dimension.count", "openinference.span.kind"} <= set(found)


def test_spans_arrive_before_the_run_has_ended(collector: Collector, tmp_path: Path) -> None:
    with FakeServer().in_thread() as server:
        embedder = {
            "provider": "openai",
            "model": "m",
            "base_url": server.base_url,
            "limits": {"requests_per_minute": 120},
            "batch": {"max_items": 1},
        }
        jobs = [{"name": "few", "kind": "embed", "input": {"items": ["one"]}, "output": "few.jsonl", "embedder": embedder}]
        jobs.append({**jobs[0], "name": "many", "input": {"items": [f"text {number}" for number in range(1000)]}, "output": "many.jsonl"})
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": jobs}))
        with subprocess.Popen(COMMAND, cwd=tmp_path, env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}) as running:
            try:
                eventually(lambda: any(span.name == "embeddings m" for span in collector.spans()))
                assert running.poll() is None
                assert all(span.name != "asyncrun run" for span in collector.spans())
            finally:
                running.terminate()
    early = {span.parent_span_id for span in collector.spans() if span.name == "embeddings m"}
    assert early <= {span.span_id for span in collector.spans()}
    assert len({span.span_id for span in collector.spans()}) == len(collector.spans())
    assert sum(span.name == "asyncrun run" for span in collector.spans()) == 1


@pytest.mark.parametrize("fault", ["refuses", "answers 503", "hangs", "is not there"])
def test_a_run_goes_well_without_its_collector_and_says_so_once(collector: Collector, notes: Path, fault: str, unused_port: int) -> None:
    url = collector.url
    match fault:
        case "refuses":
            collector.status = 400
        case "answers 503":
            collector.status = 503
        case "hangs":
            collector.answering.clear()
        case _:
            url = f"http://127.0.0.1:{unused_port}"
    ended = run_in(notes, OTEL_EXPORTER_OTLP_ENDPOINT=url)
    assert ended.returncode == 0
    assert ended.stderr.count("the trace is not sent on: the collector took 0 spans") == 1
    assert "Traceback" not in ended.stderr
    assert (notes / "out.jsonl").exists()


def test_nothing_is_sent_when_the_environment_says_so(collector: Collector, notes: Path) -> None:
    assert run_in(notes, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_SDK_DISABLED="true").returncode == 0
    assert (
        run_in(notes, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="none").returncode == 0
    )
    assert collector.bodies == []


# Figures --------------------------------------------------------------------------------------------------------------------------------

FIGURES = run_metrics(
    RunEnd("/srv/jobs.yaml", ["notes"], STARTED, 3, 9.0, [JobResult("notes", "embed", Status.PARTIAL, 3, counts=Counts(ok=2, failed=1))])
)


def test_the_figures_of_a_run_arrive_beside_its_trace_and_are_those_of_the_file(collector: Collector, notes: Path) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    ended = run_in(notes, OTEL_EXPORTER_OTLP_ENDPOINT=f"{collector.url}/", ASYNCRUN_METRICS_FILE="run.prom")
    assert (ended.returncode, "not sent on" in ended.stderr) == (0, False)
    assert collector.paths[-1] == "/v1/metrics"
    sent = collector.figures()
    assert sent["asyncrun.job.items"]["notes", "embed", "ok"] == 2
    assert sent["asyncrun.job.wait"]["notes", "embed", "request"] > 0
    written = {
        (sample.name, *(value for label, value in sample.labels.items() if label != "job_file")): sample.value
        for family in text_string_to_metric_families((notes / "run.prom").read_text())
        for sample in family.samples
        if "timestamp" not in sample.name
    }
    names = {metric.name: metric.prometheus_name for metric in FIGURES} | {"asyncrun.job.cost": "asyncrun_job_cost_dollars"}
    found = {(names[name], *labels): value for name, points in sent.items() if "timestamp" not in name for labels, value in points.items()}
    assert found == written


def test_a_collector_of_traces_alone_is_not_asked_for_more(collector: Collector, notes: Path) -> None:
    collector.metrics_status = 404
    ended = run_in(notes, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert (ended.returncode, "not sent on" in ended.stderr) == (0, False)
    assert collector.spans()


@pytest.mark.parametrize("status", [404, 405])
def test_it_is_known_by_its_answer(collector: Collector, status: int) -> None:
    collector.metrics_status = status
    assert send_metrics(FIGURES, RUN, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}) is False


def test_figures_may_have_a_collector_and_a_name_of_their_own(collector: Collector, unused_port: int) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{unused_port}",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{collector.url}/api/metrics",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-team=search",
    }
    assert wants_metrics(environ)
    assert send_metrics(FIGURES, RUN, environ)
    assert collector.paths == ["/api/metrics"]
    assert collector.headers[0]["x-team"] == "search"


def test_a_refusal_is_told_in_a_sentence_and_nowhere_else(collector: Collector, caplog: pytest.LogCaptureFixture) -> None:
    collector.metrics_status = 400
    with pytest.raises(TryLaterError, match=r"the collector took no metrics: .*400"):
        send_metrics(FIGURES, RUN, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})
    assert caplog.records == []


def test_a_collector_that_hangs_over_figures_is_left(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncrun.trace.exporters.otlp_metrics.EXPORT_TIMEOUT", 0.2)
    collector.answering.clear()
    with pytest.raises(TryLaterError, match="the collector took no metrics"):
        send_metrics(FIGURES, RUN, {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url})


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://here", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://here", "OTEL_METRICS_EXPORTER": "none"},
    ],
)
def test_figures_are_sent_only_where_they_are_wanted(environ: dict[str, str]) -> None:
    assert not wants_metrics(environ)
