"""The contract suite of exporters: subclass `ExporterContract`, give it the fixture `exporter`, and run it with pytest."""

# ruff: noqa: D102, S101 - a suite for pytest: tests assert, and their names say what is promised

from __future__ import annotations

import json

import pytest

from asyncrun.callbacks.schema import CBEventType
from asyncrun.trace.exporters import Exporter
from asyncrun.trace.run_record import RunRecord, Span

RUN = RunRecord("20260101-000000-4f2a", 1767225600.0, 1767225604.0, "partial", 3, 4.0, "jobs.yaml", "1", "here", {"items": 3})
SPANS = (
    Span(RUN.run_id, 1, None, CBEventType.ASYNC_JOB.value, "notes", RUN.started, RUN.started + 4, "succeeded", {"items": 3}),
    Span(RUN.run_id, 2, 1, CBEventType.EMBEDDING.value, "", RUN.started + 1, RUN.started + 2, "failed", {"tokens": 9, "waits.rate": 0.5}),
    Span(RUN.run_id, 5, 1, CBEventType.EMBEDDING.value, '\u6f22"<&\n\x1b[31m', RUN.started + 2, RUN.started + 3, "succeeded", {}),
)
UNFINISHED = RunRecord("20260101-000000-4f2b", RUN.started, seen=RUN.started + 1)
OPEN_SPAN = Span(UNFINISHED.run_id, 1, None, CBEventType.ASYNC_JOB.value, "notes", RUN.started, None, "running")


def exported(exporter: Exporter, run: RunRecord, *spans: Span) -> str:
    """Return what an export writes. Raises ValueError for numbers that JSON has no word for."""
    answer = exporter(run, spans, run.started + 100)
    return answer if isinstance(answer, str) else json.dumps(answer, allow_nan=False)


class ExporterContract:
    """What every exporter promises. The fixture `exporter` returns it.

    >>> from asyncrun.registry import load
    >>> class TestMine(ExporterContract):
    ...     @pytest.fixture
    ...     def exporter(self):
    ...         return load("exporters", "html")
    """

    @pytest.fixture
    def exporter(self) -> Exporter:
        """Return the exporter."""
        raise NotImplementedError

    def test_a_run_is_a_text_or_an_object_of_json(self, exporter: Exporter) -> None:
        assert exported(exporter, RUN, *SPANS).encode()

    def test_a_run_is_exported_the_same_each_time(self, exporter: Exporter) -> None:
        assert exported(exporter, RUN, *SPANS) == exported(exporter, RUN, *SPANS)

    def test_spans_make_a_difference(self, exporter: Exporter) -> None:
        assert exported(exporter, RUN, *SPANS) != exported(exporter, RUN, *SPANS[:1])

    def test_no_sequence_for_a_terminal_gets_through(self, exporter: Exporter) -> None:
        assert "\x1b" not in exported(exporter, RUN, *SPANS)

    def test_a_run_without_spans_and_one_that_was_killed_are_exported(self, exporter: Exporter) -> None:
        exported(exporter, RUN)
        exported(exporter, UNFINISHED, OPEN_SPAN)
