"""Who is pinged when, and that no ping changes anything else."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest

from asyncrun.aio.stop import MAX_RUNTIME
from asyncrun.app.run_pings import OVERLAP, RUN, RunPings
from asyncrun.errors import OutageError
from asyncrun.results import Counts, JobResult, RunResult, Status

RID = uuid.UUID(int=1)
ADDRESSES = {RUN: "https://hc.example/run", "notes": "https://hc.example/notes"}
OK = JobResult("notes", "embed", Status.SUCCEEDED, 0, counts=Counts(items=2, ok=2))
FAILED = JobResult("notes", "embed", Status.FAILED, 1, "the model is unknown", "Check the model.")
PARTIAL = JobResult("notes", "embed", Status.PARTIAL, 3, counts=Counts(items=2, ok=1, failed=1))
PLANNED = JobResult("notes", "embed", Status.STOPPED, 75, MAX_RUNTIME)
NOT_BEGUN = JobResult("notes", "embed", Status.CANCELLED, 0, f"not begun: {MAX_RUNTIME}")
CANCELLED = JobResult("notes", "embed", Status.CANCELLED, 0, "ingest failed")
OUTAGE = JobResult("notes", "embed", Status.STOPPED, 75, "the endpoint is down")


class Receiver:
    """Keeps what is sent, and answers as it is told."""

    def __init__(self, why: str | None = None, wait: Callable[[], asyncio.Future[None]] | None = None) -> None:
        self.why, self.wait = why, wait
        self.got: list[tuple[str, str, int]] = []
        self.warnings: list[str] = []
        self.rids: list[str] = []

    async def send(self, address: str, body: bytes, tries: int) -> str | None:
        parts = urlsplit(address)
        if self.wait is not None and parts.path.endswith("/start"):
            await self.wait()
        self.got.append((parts.path, body.decode(), tries))
        self.rids += parse_qs(parts.query)["rid"]
        return self.why

    def notices(self, addresses: dict[str, str] = ADDRESSES) -> RunPings:
        return RunPings(addresses, send=self.send, redact=lambda text: text.replace("hunter2", "***"), warn=self.warnings.append, rid=RID)

    @property
    def paths(self) -> list[str]:
        return [path for path, _, _ in self.got]


async def one_run(receiver: Receiver, result: JobResult, *, signal: int | None = None, begun: bool = True) -> None:
    notices = receiver.notices()
    notices.run_started("r1", ["notes"])
    if begun:
        notices.task_started("notes", 2)
    notices.task_finished("notes", result)
    notices.run_finished(RunResult("r1", (result,), 1.0, signal))
    await notices.aclose()


@pytest.mark.asyncio
async def test_a_run_and_its_job_tell_of_start_and_end_each_with_an_id_of_its_own() -> None:
    receiver = Receiver()
    await one_run(receiver, OK)
    assert receiver.paths == ["/run/start", "/notes/start", "/notes", "/run"]
    run, notes = receiver.rids[0], receiver.rids[1]
    assert run == str(RID) != notes
    assert receiver.rids == [run, notes, notes, run]
    assert receiver.got[-1][1].startswith("Run r1 succeeded: all 2 items done")
    assert receiver.warnings == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("result", "step"),
    [(FAILED, "/1"), (PARTIAL, "/3"), (OUTAGE, "/75"), (PLANNED, "")],
    ids=["failed", "partial", "outage", "planned end"],
)
async def test_an_end_is_told_by_its_exit_code_but_a_planned_end_is_a_success(result: JobResult, step: str) -> None:
    receiver = Receiver()
    await one_run(receiver, result)
    assert receiver.paths == ["/run/start", "/notes/start", f"/notes{step}", f"/run{step}"]


@pytest.mark.asyncio
async def test_a_job_whose_needs_failed_is_a_failure_without_a_code() -> None:
    receiver = Receiver()
    await one_run(receiver, CANCELLED, begun=False)
    assert "/notes/fail" in receiver.paths


@pytest.mark.asyncio
async def test_a_job_that_had_no_time_to_begin_tells_nothing() -> None:
    receiver = Receiver()
    await one_run(receiver, NOT_BEGUN, begun=False)
    assert [path for path in receiver.paths if path.startswith("/notes")] == []


@pytest.mark.asyncio
async def test_after_a_signal_an_end_is_tried_once() -> None:
    receiver = Receiver()
    await one_run(receiver, OUTAGE, signal=15)
    assert receiver.got[-1][::2] == ("/run/143", 1)


@pytest.mark.asyncio
async def test_an_error_before_the_first_job_is_told_without_secrets() -> None:
    receiver = Receiver()
    notices = receiver.notices()
    notices.failed(OutageError("down: hunter2\x1b", hint="Wait."))
    notices.failed(ValueError("a document's text"))
    await notices.aclose()
    assert [(path, body) for path, body, _ in receiver.got] == [("/run/75", "down: ***\\x1b\nWait."), ("/run/70", "ValueError")]


@pytest.mark.asyncio
async def test_pings_that_do_not_get_through_are_warned_of_once_and_raise_nothing() -> None:
    receiver = Receiver(why="the connection is refused")
    await one_run(receiver, OK)
    assert len(receiver.got) == 4
    assert receiver.warnings == ["a ping of notify did not get through: the connection is refused; nothing else is changed by it"]


@pytest.mark.asyncio
async def test_the_work_does_not_wait_for_a_ping_and_a_late_start_is_given_up_when_the_end_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncrun.app.run_pings.OVERLAP", OVERLAP / 1000)
    receiver = Receiver(wait=lambda: asyncio.get_running_loop().create_future())
    await one_run(receiver, OK)
    assert receiver.paths == ["/notes", "/run"]
    assert receiver.warnings == []


@pytest.mark.asyncio
async def test_an_interrupt_gives_up_the_last_pings_and_the_run_keeps_its_result() -> None:
    receiver = Receiver(wait=lambda: asyncio.get_running_loop().create_future())
    notices = receiver.notices()
    notices.run_started("r1", ["notes"])

    async def close() -> str:
        await notices.aclose()
        return "the result"

    closing = asyncio.create_task(close())
    for _ in range(5):
        await asyncio.sleep(0)
    closing.cancel()
    assert await closing == "the result"
    assert receiver.got == []
