"""Who is told of which end, and that no notice changes anything else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from asyncrun.aio.stop import MAX_RUNTIME
from asyncrun.app.run_notices import RUN, RunNotices, failed_before
from asyncrun.errors import OutageError
from asyncrun.jobfile.notify import NotifyConfig
from asyncrun.notify.notices import Notice
from asyncrun.results import Counts, JobResult, RunResult, Status
from asyncrun.trace.run_record import RunRecord
from asyncrun.trace.store import TraceStore
from asyncrun.ui.run_notice import NoticeSource

WHERE = NoticeSource("jobs.yaml", Path("jobs.yaml"), "here", "-f jobs.yaml")
OK = JobResult("notes", "embed", Status.SUCCEEDED, 0, counts=Counts(items=2, ok=2))
FAILED = JobResult("notes", "embed", Status.FAILED, 1, "hunter2 is refused")
PARTIAL = JobResult("notes", "embed", Status.PARTIAL, 3, counts=Counts(items=2, ok=1, failed=1))
PLANNED = JobResult("notes", "embed", Status.STOPPED, 75, MAX_RUNTIME)
NOT_BEGUN = JobResult("notes", "embed", Status.CANCELLED, 0, f"not begun: {MAX_RUNTIME}")
CANCELLED = JobResult("notes", "embed", Status.CANCELLED, 0, "ingest failed")


def told(*when: str) -> NotifyConfig:
    return NotifyConfig(to=["json://here/A1BRTD4JD"], when=when)  # type: ignore[arg-type]


class Receiver:
    def __init__(self, why: str | None = None) -> None:
        self.why = why
        self.got: list[Notice] = []

    async def send(self, address: str, notice: Notice) -> str | None:
        assert address == "json://here/A1BRTD4JD"
        self.got.append(notice)
        return self.why

    def notices(self, names: dict[str, NotifyConfig], *, failed_before: bool = False) -> RunNotices:
        return RunNotices(
            names, WHERE, redact=lambda text: text.replace("hunter2", "***"), failed_before=lambda *_: failed_before, send=self.send
        )


async def one_run(names: dict[str, NotifyConfig], *results: JobResult, before: bool = False) -> tuple[Any, list[str]]:
    receiver = Receiver()
    notices = receiver.notices(names, failed_before=before)
    notices.run_started("r1", [result.name for result in results])
    for result in results:
        notices.task_finished(result.name, result)
    notices.run_finished(RunResult("r1", results, 1.0))
    await notices.aclose()
    return [notice.title.removeprefix("asyncrun: ") for notice in receiver.got], notices.unsent


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("when", "result", "before", "says"),
    [
        (["failure"], OK, False, None),
        (["failure"], FAILED, False, "failed"),
        (["failure"], PARTIAL, False, "is partial"),
        (["failure"], PLANNED, False, None),
        (["failure"], CANCELLED, False, None),
        (["partial"], FAILED, False, None),
        (["partial"], PARTIAL, False, "is partial"),
        (["always"], OK, False, "succeeded"),
        (["always"], PLANNED, False, "stopped"),
        (["recovered"], OK, False, None),
        (["recovered"], OK, True, "has recovered"),
        (["recovered"], FAILED, True, None),
        (["recovered"], PLANNED, True, None),
        (["failure", "recovered"], OK, True, "has recovered"),
        (["failure", "recovered"], FAILED, True, "failed"),
        (["always", "recovered"], OK, True, "has recovered"),
        (["never"], FAILED, True, None),
    ],
)
async def test_an_end_is_told_when_it_is_asked_for(when: list[str], result: JobResult, before: bool, says: str | None) -> None:
    titles, unsent = await one_run({RUN: told(*when)}, result, before=before)
    assert titles == ([] if says is None else [f"jobs.yaml {says} on here"])
    assert unsent == []


@pytest.mark.asyncio
async def test_a_job_is_told_of_alone_and_not_when_it_had_no_time_to_begin() -> None:
    assert (await one_run({"notes": told("always")}, OK))[0] == ["notes of jobs.yaml succeeded on here"]
    assert (await one_run({"notes": told("always")}, NOT_BEGUN))[0] == []
    assert (await one_run({"other": told("always")}, OK))[0] == []


@pytest.mark.asyncio
async def test_what_is_told_and_what_was_not_sent_hold_no_secret() -> None:
    receiver = Receiver("hunter2 is no token")
    notices = receiver.notices({RUN: told("failure")})
    notices.run_finished(RunResult("r1", (FAILED,), 1.0))
    notices.failed(OutageError("down: hunter2", hint="Wait."))
    await notices.aclose()
    assert "hunter2" not in str(receiver.got)
    assert ["*** is refused" in notice.body or "down: ***" in notice.body for notice in receiver.got] == [True, True]
    assert notices.unsent == ["the notice by json (notify.to[0]) was not sent: *** is no token"] * 2


@pytest.mark.asyncio
async def test_an_interrupt_gives_up_the_notices_and_the_run_keeps_its_result() -> None:
    class Hanging(Receiver):
        async def send(self, address: str, notice: Notice) -> str | None:
            await asyncio.get_running_loop().create_future()
            return None

    notices = Hanging().notices({RUN: told("always")})
    notices.run_finished(RunResult("r1", (OK,), 1.0))

    async def close() -> str:
        await notices.aclose()
        return "the result"

    closing = asyncio.create_task(close())
    for _ in range(10):
        await asyncio.sleep(0)
    closing.cancel()
    assert await closing == "the result"
    assert notices.unsent == []


def record(number: int, *jobs: JobResult, file: str = "jobs.yaml", ended: bool = True) -> RunRecord:
    summary = {"jobs": [{"name": job.name, "status": job.status, "exit_code": job.exit_code, "reason": job.reason} for job in jobs]}
    return RunRecord(f"r{number}", float(number), float(number) if ended else None, job_file=file, summary=summary if ended else {})


@pytest.mark.parametrize(
    ("runs", "run_failed", "job_failed"),
    [
        ([], False, False),
        ([record(1, OK)], False, False),
        ([record(1, FAILED)], True, True),
        ([record(1, PARTIAL)], True, True),
        ([record(1, FAILED), record(2, OK)], False, False),
        ([record(1, FAILED), record(2, PLANNED), record(3, NOT_BEGUN)], True, True),
        ([record(1, FAILED, file="other.yaml")], False, False),
        ([record(1, ended=False)], True, False),
        ([record(1, FAILED), record(2, JobResult("docs", "ingest", Status.SUCCEEDED, 0))], False, True),
    ],
    ids=["the first run", "good", "failed", "partial", "good since", "a planned end between", "another file", "killed", "another job"],
)
def test_what_failed_before_is_read_from_the_trace(tmp_path: Path, runs: list[RunRecord], run_failed: bool, job_failed: bool) -> None:
    with TraceStore(tmp_path / "traces.db") as store:
        for run in (*runs, record(9)):
            store.add_run(run)
    assert failed_before(tmp_path, 1000.0, "r9", RUN) == run_failed
    assert failed_before(tmp_path, 1000.0, "r9", "notes") == job_failed


def test_without_a_trace_nothing_is_known_to_have_failed(tmp_path: Path) -> None:
    assert not failed_before(tmp_path, 0.0, "r9", RUN)
    (tmp_path / "traces.db").write_bytes(b"no database" * 100)
    assert not failed_before(tmp_path, 0.0, "r9", RUN)
