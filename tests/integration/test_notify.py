"""Pings against a receiver on loopback: what arrives, what is tried again, and that a receiver that is ill changes nothing."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from asyncrun.http import build_client
from asyncrun.notify.pings import send_ping
from tests.depth import first
from tests.receiver import KEY, receiving


class NoWaiting:
    """A clock that notes for how long it was asked to sleep."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


async def pinged(url: str, clock: NoWaiting, tries: int = 5) -> str | None:
    client = await asyncio.to_thread(build_client, 1)
    try:
        return await send_ping(client, url, b"told", clock=clock, rng=random.Random(1), tries=tries)
    finally:
        await client.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("statuses", "tries", "why"),
    [
        ((200,), 1, None),
        ((500, 503, 204), 3, None),
        ((429, 200), 2, None),
        ((500,), 5, "it answered 500"),
        ((404,), 1, "it answered 404"),
        ((302,), 1, "it answered 302"),
    ],
)
async def test_what_may_pass_is_tried_again_five_times_in_all(statuses: tuple[int, ...], tries: int, why: str | None) -> None:
    clock = NoWaiting()
    with receiving(*statuses) as receiver:
        assert await pinged(receiver.url, clock) == why
    assert [ping.body for ping in receiver.got] == ["told"] * tries
    assert len(clock.waits) == tries - 1
    assert all(2 * before >= wait >= before / 2 for before, wait in zip((1, 2, 4, 8), clock.waits, strict=False))


@pytest.mark.asyncio
async def test_a_receiver_that_is_not_there_is_tried_again_and_its_address_is_not_told(unused_port: int) -> None:
    clock = NoWaiting()
    assert await pinged(f"http://127.0.0.1:{unused_port}/{KEY}", clock) == "the connection is refused"
    assert len(clock.waits) == 4


@pytest.mark.asyncio
async def test_a_receiver_that_hangs_is_left_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncrun.notify.pings.PING_TIMEOUT", 0.2)
    clock = NoWaiting()
    with receiving(0) as receiver:
        assert await pinged(receiver.url, clock, tries=2) == "no whole reply within 0.2 s"
    assert len(clock.waits) == 1


# Whole runs -----------------------------------------------------------------------------------------------------------------------------


def write(folder: Path, *rows: str, job_ping: bool = False, **more: object) -> None:
    """Write a job file that pings, and its input."""
    (folder / "notes.jsonl").write_text("".join(f"{row}\n" for row in rows))
    job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "vectors.jsonl", **more}
    if job_ping:
        job["notify"] = {"ping": "${JOB_URL}"}
    (folder / "jobs.yaml").write_text(json.dumps({"notify": {"ping": "${HEALTHCHECK_URL}"}, "jobs": [job]}))


def run(folder: Path, *flags: str, **urls: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "asyncrun", "run", "jobs.yaml", *flags]
    return subprocess.run(command, cwd=folder, env={**os.environ, **urls}, capture_output=True, text=True, check=False, timeout=60)


GOOD = '{"id": "a", "text": "one"}'


def test_a_name_and_a_password_in_the_address_are_sent_as_a_header_and_never_shown(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    with receiving(200) as receiver:
        done = run(tmp_path, HEALTHCHECK_URL=receiver.url.replace("//", "//me:hunter%2F2@"))
    assert (done.returncode, "warning" in done.stderr) == (0, False)
    assert [ping.authorization for ping in receiver.got] == ["Basic bWU6aHVudGVyLzI="] * 2
    assert receiver.paths == ["/start", ""]


def test_a_run_and_a_job_tell_of_start_and_end(tmp_path: Path) -> None:
    write(tmp_path, GOOD, job_ping=True)
    with receiving(200) as whole, receiving(200) as job:
        done = run(tmp_path, "--quiet", HEALTHCHECK_URL=whole.url, JOB_URL=job.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert whole.paths == job.paths == ["/start", ""]
    for receiver in (whole, job):
        assert len({ping.rid for ping in receiver.got}) == 1
    assert whole.got[0].rid != job.got[0].rid
    assert "succeeded: 1 item done in" in whole.got[-1].body


def test_a_failure_is_told_with_its_code_and_no_secret_stays_anywhere(tmp_path: Path) -> None:
    write(tmp_path, GOOD, "{broken", max_failures=0, job_ping=True)
    with receiving(200) as receiver:
        done = run(
            tmp_path,
            "-v",
            "--debug",
            "--log-file",
            "run.log",
            "--summary-file",
            "s.json",
            HEALTHCHECK_URL=receiver.url,
            JOB_URL=receiver.url,
        )
    assert done.returncode == 1
    assert sorted(receiver.paths) == ["/1", "/1", "/start", "/start"]
    body = receiver.got[-1].body
    assert "notes: 1 of 2 items failed" in body
    assert KEY not in body
    assert KEY not in done.stdout + done.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) > 4
    assert [path for path in written if KEY.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(("status", "patience"), first([(404, 60), (307, 60), (0, 2)]))
def test_a_receiver_that_is_ill_costs_one_warning_and_changes_nothing(tmp_path: Path, status: int, patience: float) -> None:
    write(tmp_path, GOOD)
    program = Path(__file__).resolve().parents[1] / "programs" / "impatient_pings.py"
    with receiving(status) as receiver:
        command = [sys.executable, str(program), str(patience), "run", "jobs.yaml", "--json"]
        environ = {**os.environ, "HEALTHCHECK_URL": receiver.url}
        done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["type"], summary["status"], summary["ok"]) == ("summary", "succeeded", 1)
    assert (tmp_path / "vectors.jsonl").exists()
    assert done.stderr.count("a ping of notify did not get through") == 1
    assert len(receiver.got) == 2


def test_a_broken_ca_bundle_costs_a_warning_where_nothing_else_needs_it(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    (tmp_path / "bundle.pem").write_text("no certificate")
    with receiving(200) as receiver:
        done = run(tmp_path, HEALTHCHECK_URL=receiver.url, SSL_CERT_FILE=str(tmp_path / "bundle.pem"))
    assert done.returncode == 0
    assert done.stderr.count("a ping of notify did not get through: no connection can be made") == 1


def test_a_rehearsal_and_a_run_that_finds_another_one_going_on_tell_nothing(tmp_path: Path) -> None:
    from asyncrun.process_locks import hold_run_lock

    write(tmp_path, GOOD)
    with receiving(200) as receiver:
        assert run(tmp_path, "--limit", "1", HEALTHCHECK_URL=receiver.url).returncode == 0
        with hold_run_lock(tmp_path / ".asyncrun" / "locks" / "jobs.yaml.lock", 0.0):
            assert run(tmp_path, HEALTHCHECK_URL=receiver.url).returncode == 75
            assert run(tmp_path, "--if-running", "skip", HEALTHCHECK_URL=receiver.url).returncode == 0
    assert receiver.got == []


def test_the_planned_end_of_max_runtime_is_quiet_and_a_success(tmp_path: Path) -> None:
    write(tmp_path, *(json.dumps({"id": f"n{number}", "text": f"note {number} " * 60}) for number in range(3000)))
    with receiving(200) as receiver:
        done = run(tmp_path, "--quiet", "--max-runtime", "500ms", HEALTHCHECK_URL=receiver.url)
    assert (done.returncode, done.stdout, done.stderr) == (75, "", "")
    assert receiver.paths == ["/start", ""]


def test_how_a_run_ended_is_printed_before_a_slow_receiver_has_heard_of_it(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    command = [sys.executable, "-m", "asyncrun", "run", "jobs.yaml"]
    with receiving(200, 0) as receiver:
        environ = {**os.environ, "HEALTHCHECK_URL": receiver.url}
        process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        last = next(line for line in process.stdout if line.startswith("Succeeded"))
        assert last.startswith("Succeeded: 1 item done in")
        assert process.poll() is None
        receiver.statuses[:] = [200]
        receiver.closed.set()
        assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == 0
