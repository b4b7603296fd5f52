"""Who is told of a run: the trace that records it, whatever state its file is in, an OTLP collector, and installed handlers."""

from __future__ import annotations

import asyncio
import hashlib
import platform
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncrun import __version__, registry
from asyncrun.app.recorded_runs import read_trace
from asyncrun.app.request import SECRET_NAMES, environment_secrets
from asyncrun.callbacks.base_handler import BaseCallbackHandler, describe_error
from asyncrun.clock import Clock, SystemClock
from asyncrun.errors import AsyncrunError, DamagedStateError, StorageError, TryLaterError, UsageError, os_words
from asyncrun.escape import printable
from asyncrun.jobfile.job_file import JobFile
from asyncrun.jobfile.jobs import Job
from asyncrun.jobfile.sections import TraceConfig
from asyncrun.plugins import find_plugins
from asyncrun.process_locks import hold_folder
from asyncrun.redact import MASK, Redactor
from asyncrun.results import JobResult, RunResult
from asyncrun.trace.recorder import TraceRecorder
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.ui.run_json import summary_document

if TYPE_CHECKING:
    from asyncrun.trace.exporters.otlp_sender import OtlpSender

LONGEST_SENDING = 5.0
"""Seconds that a collector which hangs may cost, the import of OpenTelemetry included."""
DAMAGED = ".damaged"
"""What is added to the name of a store that was set aside."""
MOST_REASONS = 50
"""Reasons for which items of one job failed that are recorded."""
MOST_TOLD = 3
"""Places, and different sentences about failed items, that are recorded for one reason."""
_DIGITS = re.compile(r"\d+")
COMPANIONS = ("-wal", "-shm", "")
"""The store itself comes last: whoever makes a new one finds no log of the old one."""


def open_recorder(
    path: Path,
    redactor: Redactor,
    clock: Clock,
    config: TraceConfig,
    warn: Callable[[str], object],
    *,
    so_far: Callable[[], Mapping[str, Any]] = dict,
    follow: Callable[[RunRecord, Sequence[Span]], object] | None = None,
) -> TraceRecorder:
    """Return a recorder that is open, after runs past their time have left the store. Blocks, and raises nothing.

    A damaged store is set aside and a new one begun. A store that cannot be used, of a newer version for one, leaves the run
    without a trace. `warn` is told of both; `so_far` and `follow` are what `TraceRecorder` says.
    """
    recorder = TraceRecorder(path, redactor, clock, max_size=config.max_size, warn=warn, texts=config.text, so_far=so_far, follow=follow)
    before = _identity(path)
    try:
        try:
            _open(recorder, config)
        except DamagedStateError as error:
            recorder.close()
            aside = _set_aside(path, before)
            warn(f"{error.message}; it is set aside as {aside.name}, and traces begin anew")
            _open(recorder, config)
    except (StorageError, TryLaterError) as error:
        recorder.close()
        warn(f"this run goes without a trace: {error.message}; {error.hint}")
    return recorder


def open_sender(environ: Mapping[str, str]) -> OtlpSender | None:
    """Return what sends runs to a collector, when `OTEL_EXPORTER_OTLP_ENDPOINT` is set."""
    if not any(name.startswith("OTEL_") for name in environ):
        return None  # What sends is loaded only where it may be wanted.
    from asyncrun.trace.exporters.otlp_sender import OtlpSender, is_wanted

    return OtlpSender(environ) if is_wanted(environ) else None


async def send_on(
    sender: OtlpSender | None,
    state: Path,
    job_file: JobFile,
    result: RunResult,
    *,
    environ: Mapping[str, str],
    warn: Callable[[str], object],
) -> None:
    """Send a collector what the environment asks for of a run that has ended; `warn` is told, once, when that fails."""
    if await _send_trace(sender, state, result.run_id, environ, warn):
        await _send_figures(job_file, result, environ, warn)


async def _send_trace(
    sender: OtlpSender | None, state: Path, run_id: str, environ: Mapping[str, str], warn: Callable[[str], object]
) -> bool:
    """Send what the collector has not been sent yet, and return whether that went well."""
    if sender is None:
        return True
    try:
        await asyncio.to_thread(lambda: sender.finish(*read_trace(state, run_id), SystemClock().now()))
    except Exception as error:  # a trace that another tool does not take is no failure of the run
        warn(f"the trace is not sent on: {_without_secrets(error, environ)}")
        return False
    return True


async def _send_figures(job_file: JobFile, result: RunResult, environ: Mapping[str, str], warn: Callable[[str], object]) -> None:
    if not any(name.startswith("OTEL_") for name in environ):
        return  # What sends is loaded only where it may be wanted.
    from asyncrun.aio.thread_calls import in_own_thread
    from asyncrun.app.run_metrics import run_end
    from asyncrun.metrics import run_metrics
    from asyncrun.trace.exporters.otlp_metrics import send_metrics, wants_metrics

    def send() -> None:
        now = SystemClock().now()
        run = RunRecord(result.run_id, now, version=__version__, host=platform.node())
        send_metrics(run_metrics(run_end(job_file, result, now)), run, environ)

    if not wants_metrics(environ):
        return
    try:
        await in_own_thread(send, LONGEST_SENDING)
    except TimeoutError:
        warn(f"the metrics are not sent on: the collector has taken more than {LONGEST_SENDING:g} s")
    except Exception as error:  # figures that another tool does not take are no failure of the run
        warn(f"the metrics are not sent on: {_without_secrets(error, environ)}")


def _without_secrets(error: Exception, environ: Mapping[str, str]) -> str:
    from asyncrun.trace.exporters.otlp_sender import HEADERS

    secrets = {*environment_secrets(environ), *([environ[HEADERS]] if environ.get(HEADERS) else [])}
    hint = f"; {error.hint}" if isinstance(error, AsyncrunError) else ""
    return f"{printable(Redactor(secrets).redact(str(error)), 300)}{hint}"


def build_handlers(names: Iterable[str], warn: Callable[[str], object]) -> list[BaseCallbackHandler]:
    """Return a new handler of each name; one that cannot be had is told to `warn`, and the run goes on without it. Blocks.

    Raises UsageError for a name that nobody offers.
    """
    handlers = []
    for name in dict.fromkeys(names):
        try:
            part = registry.load("handlers", name)
        except UsageError as error:
            if name not in {plugin.name for plugin in find_plugins("handlers")}:
                raise
            warn(f"this run goes without the handler {name}: {error.message}")
            continue
        try:
            handlers.append(part())
        except Exception as error:  # another's code: what it watches goes on
            warn(f"this run goes without the handler {name}: {describe_error(error)}")
    return handlers


def recorded_summary(result: RunResult, learned_limits: Mapping[str, Any], file: str = "") -> dict[str, Any]:
    """Return what a trace keeps of the end of a run: its summary, the hint of each job, and what failed by job and reason with what helps.

    `file` is the job file as commands are told it.

    >>> recorded_summary(RunResult("r1", (), 0.5), {})["failures"]
    []
    """
    return {
        **summary_document(result),
        "learned_limits": dict(learned_limits),
        "hints": {job.name: job.hint for job in result.jobs if job.hint},
        "failures": [group for job in result.jobs for group in _failures_of(job, f" {shlex.quote(file)}" if file else "")],
    }


def _failures_of(job: JobResult, words: str) -> list[dict[str, Any]]:
    """Return the failed items of a job by reason, most first: how many, where the first stand, what was said of those, what helps."""
    if not job.counts.failed and not job.failures and not job.failed_by:
        return []
    from asyncrun.ui.advice import ADVICE  # most runs do without it

    advice = {str(reason): text for reason, text in ADVICE.items()}
    told = Counter(job.failed_by) | Counter(failure.reason for failure in job.failures)
    groups: list[dict[str, Any]] = []
    for reason, count in told.most_common(MOST_REASONS):
        failures = [failure for failure in job.failures if failure.reason == reason]
        messages = {_DIGITS.sub("0", failure.message): failure.message for failure in reversed(failures)}
        groups.append(
            {
                "job": job.name,
                "reason": reason,
                "count": count,
                "places": [str(failure.place) for failure in failures[:MOST_TOLD]],
                "messages": list(messages.values())[::-1][:MOST_TOLD],
                "advice": advice[reason].format(words=words) if reason in advice else None,
            }
        )
    if others := told.total() - sum(group["count"] for group in groups):
        more = f"{len(told) - MOST_REASONS:,} other reasons: see `asyncrun failed`"
        groups.append({"job": job.name, "reason": "others", "count": others, "places": [], "messages": [more], "advice": None})
    return groups


def settings_of(jobs: Iterable[Job]) -> dict[str, Any]:
    """Return the resolved settings of jobs by dotted names, such as `embed-notes.embedder.model`; texts written in place are counted.

    What is a secret, or is called like one, is masked; the recorder takes out secrets in other places.
    """
    found: dict[str, Any] = {}
    for job in jobs:
        described = job.model_dump(mode="json", exclude={"name", "needs"})
        given = described.get("input")
        if isinstance(given, dict) and given.get("items"):
            given["items"] = len(given["items"])
        found.update(_flat(described, job.name))
    return found


def hash_of(path: Path) -> str | None:
    """Return the SHA-256 of a file, None when it can no longer be read. Blocks."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _open(recorder: TraceRecorder, config: TraceConfig) -> None:
    recorder.open()
    recorder.prune(config.keep)


def _set_aside(path: Path, identity: tuple[int, int] | None) -> Path:
    aside = path.with_name(path.name + DAMAGED)
    with hold_folder(path.parent):
        # Another run may have done so, and begun a new one, meanwhile.
        if _identity(path) == identity:
            try:
                for end in COMPANIONS:
                    with suppress(FileNotFoundError):
                        path.with_name(path.name + end).replace(aside.with_name(aside.name + end))
            except OSError as error:
                raise StorageError(f"cannot set {path} aside: {os_words(error)}") from error
    return aside


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino


def _flat(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            flat.update(_flat(value, f"{name}.{key}"))
        elif value is not None:
            flat[f"{name}.{key}"] = MASK if SECRET_NAMES.search(key) else value
    return flat
