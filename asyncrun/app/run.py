"""A run from its first line to its last: lock, ledger, trace, signals, jobs, report."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from asyncrun.aio.event_loop import loop_factory
from asyncrun.aio.stop import MAX_RUNTIME, StopRequest, handle_signals
from asyncrun.app.builder import JobBuilder
from asyncrun.app.flag_overrides import Selection, load_jobs
from asyncrun.app.job_checks import check_jobs, output_path, outputs_read
from asyncrun.app.recording import build_handlers, hash_of, open_recorder, open_sender, recorded_summary, send_on, settings_of
from asyncrun.app.request import Request
from asyncrun.app.run_watch import capture_warnings, watch_run
from asyncrun.app.state_lock import enter_state_folder, spooled_stdin
from asyncrun.callbacks.base import CallbackManager
from asyncrun.callbacks.base_handler import BaseCallbackHandler
from asyncrun.clock import Clock, SystemClock
from asyncrun.errors import LockedError, StopRunError, TryLaterError, UsageError
from asyncrun.grammar.file_formats import STDIN, STDOUT
from asyncrun.jobfile.input_output import OutputConfig
from asyncrun.jobfile.job_file import absolute
from asyncrun.jobfile.jobs import Job, setting_of
from asyncrun.jobs.interface import find_kind
from asyncrun.ledger.job_records import open_refresh
from asyncrun.ledger.ledger import Ledger
from asyncrun.ports import CombinedProgress, Progress
from asyncrun.process_locks import LOCK_TIMEOUT
from asyncrun.redact import Redactor, redact_error
from asyncrun.results import RunResult
from asyncrun.runner import PlannedJob, Runner
from asyncrun.state_folder import LEDGER, TRACES, open_state_folder, recorded_path, state_folder
from asyncrun.trace.recorder import TraceRecorder
from asyncrun.trace.run_record import new_run_id
from asyncrun.trace.running_totals import RunningTotals

LOCK_INTERVAL = 0.2
"""Seconds between two looks at a lock that another run holds, or at a state folder that another process holds."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """How a run ended, its state folder, whether a job wrote to standard output, and each job's file with the format of its rows."""

    result: RunResult
    state: Path
    stdout_taken: bool
    outputs: Mapping[str, tuple[Path, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Caller:
    """Who has asked for a run.

    `progress` shows it, `stdin` is where standard input is kept, `handlers` are told of its events, and `ended` of its result, in a thread
    of its own. Without `signals` those of the process are left to its owner.
    """

    progress: Progress
    stdin: Path | None = None
    handlers: Sequence[BaseCallbackHandler] = ()
    signals: bool = True
    ended: Callable[[RunResult], object] = lambda _: None


def run_jobs_of(
    request: Request, open_progress: Callable[[bool], Progress], ended: Callable[[RunReport], object] = lambda _: None
) -> RunReport:
    """Run the selected jobs of a file. Raises JobFileError, TryLaterError and StorageError before anything is sent.

    `open_progress` is asked for the progress once it is known whether a job writes its rows to standard output. `ended` is told how the
    run has ended, in a thread of its own, before the last pings have arrived.
    """
    selection = load_jobs(request)
    state = open_state_folder(state_folder(request.file, request.state_dir))
    stdout_taken = any(output_path(job) == STDOUT for job in selection.jobs)
    progress = open_progress(stdout_taken)
    try:
        # Read before there is a loop, so that Ctrl-C ends the reading at once.
        wanted = any(STDIN in job.input.paths for job in selection.jobs)
        with spooled_stdin(state, wanted=wanted) as stdin, asyncio.Runner(loop_factory=loop_factory()) as loop:
            report = partial(RunReport, state=state, stdout_taken=stdout_taken, outputs=_outputs(selection))
            caller = Caller(progress, stdin, ended=lambda result: ended(report(result)))
            return report(loop.run(_run(request, selection, state, caller)))
    finally:
        progress.close()


async def arun_jobs_of(request: Request, progress: Progress, handlers: Sequence[BaseCallbackHandler] = ()) -> RunReport:
    """Run the selected jobs of a file on the running event loop, whose owner takes signals; cancelled, it ends what is in flight.

    `handlers` are told of its events, too. Raises what `run_jobs_of` raises.
    """
    try:
        selection = await asyncio.to_thread(load_jobs, request)
        state = await asyncio.to_thread(open_state_folder, state_folder(request.file, request.state_dir))
        if STDIN in [path for job in selection.jobs for path in (*job.input.paths, output_path(job))]:
            raise UsageError("'-' is standard input or output, which belongs to the program", hint="Name a file.")
        result = await _run(request, selection, state, Caller(progress, handlers=handlers, signals=False))
        return RunReport(result, state, stdout_taken=False, outputs=_outputs(selection))
    finally:
        progress.close()


def _outputs(selection: Selection) -> Mapping[str, tuple[Path, str]]:
    """Return the file of each job that writes one, with the format of its rows."""
    outputs: dict[str, OutputConfig] = {job.name: found for job in selection.jobs if (found := setting_of(job, "output")) is not None}
    return {name: (absolute(selection.job_file.root, output.path), output.format) for name, output in outputs.items()}


async def _run(request: Request, selection: Selection, state: Path, caller: Caller) -> RunResult:
    clock = SystemClock()
    redactor = selection.redactor(request.environ)
    try:
        figures = None
        if request.options.metrics_file is not None or selection.job_file.metrics is not None:
            from asyncrun.app.run_metrics import metrics_file

            figures = await asyncio.to_thread(metrics_file, request.options, selection.job_file)
        # Around the lock: neither the next run nor who reads the end of this one need wait for the last word of it.
        async with _with_listeners(caller.progress, request, selection, state, redactor=redactor, clock=clock) as progress:
            try:
                result = await _run_locked(request, selection, state, replace(caller, progress=progress), redactor=redactor, clock=clock)
            except LockedError:
                raise  # The run that has the lock tells of itself.
            except Exception as error:
                if figures is not None:
                    await figures.write(error, clock.now(), progress.warn)
                raise
            if figures is not None and result.jobs:
                await figures.write(result, clock.now(), progress.warn)
            await asyncio.to_thread(caller.ended, result)
            return result
    except Exception as error:
        # Whoever shows it does not know the secrets of this run.
        redact_error(error, redactor.redact)
        raise


@asynccontextmanager
async def _with_listeners(
    progress: Progress, request: Request, selection: Selection, state: Path, *, redactor: Redactor, clock: Clock
) -> AsyncIterator[Progress]:
    """Yield a progress that also tells those under `notify`, as long as the block lasts, and waits for the last word at its end.

    A rehearsal with the first items is no news; of a shard, which is not the whole, only notices are sent. Raises
    MissingExtraError when notices cannot be sent at all.
    """
    async with AsyncExitStack() as stack:
        if request.options.limit is None and (told := selection.notices()):
            from asyncrun.app.run_notices import with_notices

            progress = await stack.enter_async_context(with_notices(progress, told, request, state, redactor=redactor, now=clock.now))
        if not request.options.is_partial and (addresses := selection.pings()):
            from asyncrun.app.run_pings import with_pings

            progress = await stack.enter_async_context(with_pings(progress, addresses, redactor, clock))
        yield progress


async def _run_locked(
    request: Request, selection: Selection, state: Path, caller: Caller, *, redactor: Redactor, clock: Clock
) -> RunResult:
    job_file, jobs, stop, totals = selection.job_file, selection.jobs, StopRequest(), RunningTotals()
    progress = CombinedProgress(caller.progress, totals)
    async with AsyncExitStack() as stack:
        repaired = await _enter(stack, state, request, clock)
        # The recorder also warns from its own thread, and a progress belongs to the loop's.
        loop = asyncio.get_running_loop()
        sender = open_sender(request.environ)

        def tell(words: str) -> None:
            progress.warn(redactor.redact(words))

        def warn(words: str) -> None:
            loop.call_soon_threadsafe(tell, words)

        stack.enter_context(capture_warnings(warn))
        opened = partial(open_recorder, so_far=totals.summary, follow=sender.offer if sender else None)
        recorder = await asyncio.to_thread(opened, state / TRACES, redactor, clock, job_file.trace, warn)
        stack.push_async_callback(asyncio.to_thread, recorder.close)
        if sender:
            stack.callback(sender.close)
        for words in (*([repaired] if repaired else []), *selection.notes()):
            tell(words)
        ledger = Ledger(state / LEDGER, warn)
        stack.push_async_callback(asyncio.to_thread, ledger.close)
        handlers = await asyncio.to_thread(build_handlers, request.options.handlers, warn)
        manager = CallbackManager([recorder, *caller.handlers, *handlers])
        stack.push_async_callback(manager.aclose)
        builder = JobBuilder(request, job_file, ledger, stop, clock, manager, caller.stdin, warn=tell, redact=redactor.redact, loop=loop)
        stack.push_async_callback(builder.aclose)
        if request.options.retry is not None:
            from asyncrun.app.failed import with_failures

            jobs = await asyncio.to_thread(with_failures, jobs, builder, request.options.retry.ids)
            if not jobs:
                return _nothing_failed(progress, clock)
        await asyncio.to_thread(check_jobs, jobs, builder)
        if request.options.refresh:
            named = [job for job in jobs if job.name in request.jobs]
            await open_refresh(ledger, await asyncio.to_thread(lambda: [builder.job_id(job) for job in named]))
        run_id = await asyncio.to_thread(_begin, recorder, state, request, jobs)
        progress.run_started(run_id, [job.name for job in jobs])
        planned = await asyncio.to_thread(_planned_jobs, jobs, builder)
        runner = Runner(
            planned, progress=progress, manager=manager, stop=stop, fail_fast=request.options.fail_fast, clock=clock, redact=redactor.redact
        )
        started = clock.monotonic()
        if request.options.max_runtime is not None:
            stack.callback(loop.call_later(request.options.max_runtime, stop.request, MAX_RUNTIME).cancel)
        watched = partial(watch_run, builder, progress, clock, stop, signals=caller.signals)
        cancelled = await _run_until_stopped(runner, stop, manager.as_trace(run_id), watched, signals=caller.signals)
        result = RunResult(run_id, runner.results(), clock.monotonic() - started, stop.signal, _shard_of(request), builder.executor_use())
        await asyncio.to_thread(_record_end, recorder, result, builder)
        await send_on(sender, state, job_file, result, environ=request.environ, warn=tell)
        progress.run_finished(result)
        if cancelled is not None:
            raise cancelled
        return result


def _planned_jobs(jobs: Sequence[Job], builder: JobBuilder) -> list[PlannedJob]:
    reading = outputs_read(jobs, builder.root)
    return [PlannedJob(job.name, job.kind, job.needs, partial(find_kind(job.kind).open, job, builder), job.name in reading) for job in jobs]


def _begin(recorder: TraceRecorder, state: Path, request: Request, jobs: Sequence[Job]) -> str:
    shard, file = _shard_of(request), request.file
    settings = {**({} if shard is None else {"shard": shard}), **settings_of(jobs)}
    return recorder.begin_run(job_file=recorded_path(state, file), settings=settings, job_file_hash=hash_of(file))


def _record_end(recorder: TraceRecorder, result: RunResult, builder: JobBuilder) -> None:
    summary = recorded_summary(result, builder.models.limits.learned_limits(), str(builder.request.file))
    recorder.end_run(status=str(result.status), exit_code=result.exit_code, summary=summary, seconds=result.seconds)


def _shard_of(request: Request) -> str | None:
    return None if request.options.shard is None else str(request.options.shard)


def _nothing_failed(progress: Progress, clock: Clock) -> RunResult:
    """Return how a retry ends that has nothing to send: it is told, and not recorded as a run."""
    result = RunResult(new_run_id(clock.now(), secrets.token_hex(2)), (), 0.0)
    progress.run_started(result.run_id, [])
    progress.run_finished(result)
    return result


async def _enter(stack: AsyncExitStack, state: Path, request: Request, clock: Clock) -> str | None:
    """Enter the state folder for as long as the stack is open; returns what was repaired there.

    Raises LockedError if another run is in the way after `wait_for_lock` seconds, TryLaterError if others are after LOCK_TIMEOUT at least.
    """
    began, wait_for_lock = clock.monotonic(), request.options.wait_for_lock
    while True:
        try:
            return await asyncio.to_thread(stack.enter_context, enter_state_folder(state, request.file, request.options.shard))
        except TryLaterError as error:
            # Waited for here and not in the thread, where no signal would end it.
            longest = wait_for_lock if isinstance(error, LockedError) else max(wait_for_lock, LOCK_TIMEOUT)
            if clock.monotonic() - began >= longest:
                raise
            await clock.sleep(LOCK_INTERVAL)


async def _run_until_stopped(
    runner: Runner,
    stop: StopRequest,
    trace: AbstractContextManager[None],
    watched: Callable[[], AbstractContextManager[None]],
    *,
    signals: bool,
) -> asyncio.CancelledError | None:
    """Run until all jobs have ended, or a signal has cancelled them, or a handler of events has stopped them.

    Returns how the owner of the loop has cancelled it: the caller raises that once the end is recorded.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  # inside asyncio.run
    try:
        with trace, handle_signals(stop, task.cancel) if signals else nullcontext():
            try:
                with watched():
                    await runner.run()
            except asyncio.CancelledError as error:
                if not (signals and stop.requested):
                    stop.request("cancelled")
                    return error
                task.uncancel()
    except StopRunError as error:
        stop.request(str(error))
    return None
