"""Sending runs on: when it is wanted, and what is said when it cannot be done. With a collector: tests/integration/test_otel.py."""

from __future__ import annotations

import sys

import pytest

from asyncrun.errors import MissingExtraError
from asyncrun.trace.exporters.otlp_sender import OtlpSender, is_wanted
from asyncrun.trace.run_record import RunRecord, Span

ENVIRON = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        (ENVIRON, True),
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({**ENVIRON, "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({**ENVIRON, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**ENVIRON, "OTEL_TRACES_EXPORTER": "otlp"}, True),
    ],
)
def test_the_environment_decides(environ: dict[str, str], wanted: bool) -> None:
    assert is_wanted(environ) is wanted


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, runs: list[RunRecord], nightly: list[Span]) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(MissingExtraError) as caught:
        OtlpSender(ENVIRON).finish(runs[0], nightly, 0.0)
    assert "asyncrun[otel]" in caught.value.hint
