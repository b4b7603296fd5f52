"""Runs on their way to other tools: as a file, and to a collector when the environment names one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import orjson

from asyncrun.app.recorded_runs import read_trace
from asyncrun.app.request import environment_secrets
from asyncrun.clock import SystemClock
from asyncrun.errors import AsyncrunError
from asyncrun.escape import printable
from asyncrun.redact import Redactor
from asyncrun.writers.atomic import AtomicFile

if TYPE_CHECKING:
    from asyncrun.trace.exporters.otlp_sender import OtlpSender

Format = Literal["otlp", "perfetto", "json"]


def export_trace(state: Path, words: str, form: Format) -> tuple[str, str]:
    """Return the id of one run, and the run as JSON in the form of another tool. Raises UnknownRunError and StorageError."""
    from asyncrun.trace.exporters.otlp_json import otlp_document
    from asyncrun.trace.exporters.perfetto import perfetto_document
    from asyncrun.trace.json_documents import plain_document

    describe = {"otlp": otlp_document, "perfetto": perfetto_document, "json": plain_document}[form]
    run, spans = read_trace(state, words)
    return run.run_id, orjson.dumps(describe(run, spans, SystemClock().now())).decode()


def export_page(state: Path, words: str) -> tuple[str, str]:
    """Return the id of one run, and the run as a page of HTML that stands alone. Raises UnknownRunError and StorageError."""
    from asyncrun.trace.exporters.html import render_html

    run, spans = read_trace(state, words)
    return run.run_id, render_html(run, spans, SystemClock().now())


def write_trace(path: Path, text: str) -> None:
    """Write an export to a file, whole or not at all. Raises OutputError and StorageError."""
    file = AtomicFile(path)
    try:
        file.write(text.encode() + b"\n")
        file.commit()
    finally:
        file.abort()


def open_sender(environ: Mapping[str, str]) -> OtlpSender | None:
    """Return what sends runs to a collector, when `OTEL_EXPORTER_OTLP_ENDPOINT` is set."""
    if not any(name.startswith("OTEL_") for name in environ):
        return None  # What sends is loaded only where it may be wanted.
    from asyncrun.trace.exporters.otlp_sender import OtlpSender, is_wanted

    return OtlpSender(environ) if is_wanted(environ) else None


async def send_trace(
    sender: OtlpSender | None, state: Path, run_id: str, environ: Mapping[str, str], warn: Callable[[str], object]
) -> None:
    """Send what the collector has not been sent of the run that has ended; `warn` is told when that fails."""
    if sender is None:
        return
    try:
        await asyncio.to_thread(lambda: sender.finish(*read_trace(state, run_id), SystemClock().now()))
    except Exception as error:  # a trace that another tool does not take is no failure of the run
        from asyncrun.trace.exporters.otlp_sender import HEADERS

        secrets = {*environment_secrets(environ), *([environ[HEADERS]] if environ.get(HEADERS) else [])}
        hint = f"; {error.hint}" if isinstance(error, AsyncrunError) else ""
        warn(f"the trace is not sent on: {printable(Redactor(secrets).redact(str(error)), 300)}{hint}")
