"""A trace as OpenTelemetry has it: one root for the run, ids of 16 and 8 bytes, times in nanoseconds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncrun.escape import printable
from asyncrun.trace.exporters.semantics import Attribute, Attributes, describe_span
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.span_tree import DETAILS

SCOPE = "asyncrun"


@dataclass(frozen=True, slots=True)
class Telemetry:
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


def telemetry_of(run: RunRecord, spans: Sequence[Span], now: float) -> list[Telemetry]:
    """Return the run as a span and its spans below it; what has not ended ends at the last time that is known.

    Attempts and waits are left out: by the conventions one span covers an operation with its retries.
    """
    last = max([run.started, run.ended or 0.0, *(span.start for span in spans), *(span.end or 0.0 for span in spans)])
    known = {span.id for span in spans}
    root = _hash(f"{run.run_id}\0run", 8)
    return [_run(run, root, last, now), *(_span(run, span, root, last, known) for span in spans if span.type not in DETAILS)]


def telemetry_of_ended(run: RunRecord, spans: Sequence[Span]) -> list[Telemetry]:
    """Return spans that have ended, as `telemetry_of` does when the run has; their parents need not be among them."""
    root = _hash(f"{run.run_id}\0run", 8)
    return [_span(run, span, root, span.end or span.start, {span.parent or 0}) for span in spans if span.type not in DETAILS]


def resource_of(run: RunRecord) -> Attributes:
    """Return what is said once about where the spans come from."""
    return {
        "service.name": "asyncrun",
        "service.version": printable(run.version),
        "host.name": printable(run.host),
        "openinference.project.name": "asyncrun",
    }


def _run(run: RunRecord, root: int, last: float, now: float) -> Telemetry:
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
    return Telemetry(root, None, "asyncrun run", False, _nanoseconds(run.started), _nanoseconds(last), attributes, failed, message)


def _span(run: RunRecord, span: Span, root: int, last: float, known: set[int]) -> Telemetry:
    described = describe_span(span)
    attributes: Attributes = dict(described.attributes)
    if span.end is None:
        attributes["asyncrun.unfinished"] = True
    failed = span.status == "failed"
    if failed:
        # The convention asks for a word on each operation that failed.
        attributes.setdefault("error.type", "_OTHER")
    parent = _id(run, span.parent) if span.parent in known and span.parent is not None else root
    end = max(last if span.end is None else span.end, span.start)
    message = printable(str(span.attributes.get("error.message", ""))) if failed else ""
    name, client = described.name, described.client
    return Telemetry(_id(run, span.id), parent, name, client, _nanoseconds(span.start), _nanoseconds(end), attributes, failed, message)


def _id(run: RunRecord, number: int) -> int:
    return _hash(f"{run.run_id}\0{number}", 8)


def _hash(text: str, size: int) -> int:
    # Never 0, which stands for "none".
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).digest()
    return int.from_bytes(digest, "big") or 1


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000) * 1000
