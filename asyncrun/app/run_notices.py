"""Notices of a run and of its jobs: a progress that tells the addresses under `notify.to` of ends, beside the work."""

from __future__ import annotations

import asyncio
import platform
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from asyncrun.aio.stop import MAX_RUNTIME
from asyncrun.app.flag_overrides import RUN
from asyncrun.app.recorded_runs import find_run, runs_before
from asyncrun.app.request import Request
from asyncrun.app.run_pings import cancel_all, wait_or_give_up
from asyncrun.errors import AsyncrunError, LockedError, TryLaterError
from asyncrun.jobfile.notify import NotifyConfig
from asyncrun.notify.notices import Notice, missing_apprise, send_notice, service_of
from asyncrun.ports import CombinedProgress, Progress
from asyncrun.redact import Redactor
from asyncrun.results import JobResult, RunResult, Status
from asyncrun.state_folder import TRACES
from asyncrun.trace.run_record import RunRecord
from asyncrun.trace.store import TraceStore
from asyncrun.ui.run_end import render_trouble
from asyncrun.ui.run_notice import NoticeSource, render_error_notice, render_notice, render_test_notice


class RunNotices(Progress):
    """Tells addresses how the run and its jobs have ended; whatever becomes of a notice changes nothing else.

    Args:
        told: who is told of which ends, by the name of the job, or `RUN`.
        source: where the run is.
        redact: takes secrets out of a text.
        failed_before: says whether the run, or the job of a name, did not go well when it last ran. Blocks.
        send: sends a notice to an address and returns why it was not sent.

    `unsent` holds a sentence for each notice that was not sent.
    """

    def __init__(
        self,
        told: Mapping[str, NotifyConfig],
        source: NoticeSource,
        *,
        redact: Callable[[str], str],
        failed_before: Callable[[str, str], bool],
        send: Callable[[str, Notice], Awaitable[str | None]] = send_notice,
    ) -> None:
        self._told = told
        self._source = source
        self._redact = redact
        self._failed_before = failed_before
        self._send_notice = send
        self._notices: set[asyncio.Task[None]] = set()
        self._run_id = ""
        self.unsent: list[str] = []

    def run_started(self, run_id: str, tasks: Sequence[str]) -> None:
        """Keep the id of the run."""
        self._run_id = run_id

    def task_finished(self, task: str, result: JobResult | None) -> None:
        """Tell the end of a job; one that had not begun when the run reached its planned end has nothing to tell."""
        if result is not None and not (result.status is Status.CANCELLED and (result.reason or "").endswith(MAX_RUNTIME)):
            self._tell(task, RunResult(self._run_id, (result,), result.seconds))

    def run_finished(self, result: RunResult) -> None:
        """Tell the end of the run."""
        if result.jobs:
            self._tell(RUN, result)

    def failed(self, error: Exception) -> None:
        """Tell that the run ended by an error instead of a result."""
        if (told := self._told.get(RUN)) is not None and {"failure", "always"}.intersection(told.when):
            self._send(RUN, render_error_notice(error, self._source))

    def give_up(self) -> None:
        """Cancel the notices that are under way."""
        cancel_all(self._notices)

    async def aclose(self) -> None:
        """Wait for the notices that are under way; a signal gives them up."""
        while waiting := [task for task in self._notices if not task.done()]:
            await wait_or_give_up(waiting)

    def _tell(self, name: str, result: RunResult) -> None:
        if name in self._told:
            self._add(self._decide(name, result))

    async def _decide(self, name: str, result: RunResult) -> None:
        when, job = self._told[name].when, None if name == RUN else name
        bad = bool(render_trouble(result).lines)
        recovered = "recovered" in when and not result.exit_code and await asyncio.to_thread(self._failed_before, self._run_id, name)
        partial_end = "partial" in when and result.status is Status.PARTIAL
        if "always" in when or ("failure" in when and bad) or partial_end or recovered:
            self._send(name, render_notice(result, self._source, job=job, recovered=recovered))

    def _send(self, name: str, notice: Notice) -> None:
        clean = replace(notice, title=self._redact(notice.title), body=self._redact(notice.body))
        for number, address in enumerate(self._told[name].to):
            self._add(self._deliver(notice_name(name, number, address.get_secret_value()), address.get_secret_value(), clean))

    async def _deliver(self, shown: str, address: str, notice: Notice) -> None:
        if (why := await self._send_notice(address, notice)) is not None:
            self.unsent.append(f"{shown} was not sent: {self._redact(why)}")

    def _add(self, work: Any) -> None:
        self._notices.add(asyncio.create_task(work))


def notice_name(job: str, number: int, address: str) -> str:
    """Return how a notice is named where its address must not be seen.

    >>> notice_name("notes", 0, "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ")
    'the notice by slack (notify.to[0] of the job notes)'
    """
    return f"the notice by {service_of(address)} (notify.to[{number}]{f' of the job {job}' if job != RUN else ''})"


@asynccontextmanager
async def with_notices(
    progress: Progress, told: Mapping[str, NotifyConfig], request: Request, state: Path, *, redactor: Redactor, now: Callable[[], float]
) -> AsyncIterator[Progress]:
    """Yield a progress that also sends notices; those that were not sent are warned of when the block has ended.

    An error of the block is told too, but for a lock: the run that has it tells of itself. Raises MissingExtraError without the extra.
    """
    if (missing := missing_apprise()) is not None:
        raise missing
    source = await asyncio.to_thread(_source, request, state)
    notices = RunNotices(told, source, redact=redactor.redact, failed_before=partial(failed_before, state, now()))
    try:
        yield CombinedProgress(progress, notices)
    except LockedError:
        raise
    except Exception as error:
        notices.failed(error)
        raise
    except BaseException:
        notices.give_up()
        raise
    finally:
        await notices.aclose()
        for sentence in notices.unsent:
            progress.warn(f"{sentence}; nothing else is changed by it")


async def send_test_notices(told: Mapping[str, NotifyConfig], job_file: str) -> list[tuple[str, str | None]]:
    """Send a notice to everybody at once, and return each by its name, with why it was not sent, None when it was."""
    notice = render_test_notice(job_file, platform.node())
    each = [(name, number, address.get_secret_value()) for name, notify in told.items() for number, address in enumerate(notify.to)]
    ends = await asyncio.gather(*(send_notice(address, notice) for _, _, address in each))
    return [(notice_name(*one), end) for one, end in zip(each, ends, strict=True)]


def failed_before(state: Path, now: float, run_id: str, name: str) -> bool:
    """Tell whether a job file (`RUN`), or a job of it, did not go well before a run. Blocks.

    What says nothing is passed over: planned ends, and runs without the job. Without a trace nothing is known to have failed.
    """
    try:
        with TraceStore(state / TRACES, read_only=True) as store:
            runs = store.runs()
        before = runs_before(runs, find_run(runs, run_id))
    except AsyncrunError:
        return False
    return next((bad for run in reversed(before) if (bad := _went_badly(run, name, now)) is not None), False)


def _went_badly(run: RunRecord, name: str, now: float) -> bool | None:
    if run.ended is None:
        return True if name == RUN and run.status_at(now) != run.status else None
    jobs = [job for job in run.summary.get("jobs", ()) if name in (RUN, job.get("name"))]
    bad = [job for job in jobs if job.get("status") != Status.SUCCEEDED]
    planned = [job for job in bad if job.get("exit_code") in (0, TryLaterError.exit_code) and str(job.get("reason")).endswith(MAX_RUNTIME)]
    if not jobs or (bad and len(planned) == len(bad)):
        return None
    return bool(bad)


def _source(request: Request, state: Path) -> NoticeSource:
    name, host, folder = request.file.name, platform.node(), f"--state-dir {shlex.quote(str(state.absolute()))}"
    if request.text is not None:
        return NoticeSource(name, None, host, folder)
    file = request.file.absolute()
    return NoticeSource(name, file, host, f"-f {shlex.quote(str(file))}" + ("" if request.state_dir is None else f" {folder}"))
