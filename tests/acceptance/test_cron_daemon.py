"""A real cron daemon runs a job each minute, in its bare environment, and has nothing to mail when all is well."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_string
from pathlib import Path

import pytest

ASYNCRUN = Path(sys.executable).with_name("asyncrun")
SENDMAIL = Path("/usr/sbin/sendmail")
"""What Debian's cron calls; the path is compiled into it."""
SPOOL = Path("/var/spool/cron/crontabs/root")
PID_FILE = Path("/run/crond.pid")
PATIENCE = 300.0
BEFORE = (
    b"# m h dom mon dow command\r\n# \\r \\b\nMAILTO=night@example.org\n\n\t \n# * * * * * false # asyncrun:ok\n"
    b"0 5 1 1 * tar -zcf /var/backups/home-\\%Y.tgz /home%stdin%more\n0 5 1 1 * true \xff\xfe\x0b\r\n"
)


def crontab(*arguments: str, given: bytes | None = None) -> None:
    subprocess.run(["crontab", *arguments], input=given, capture_output=True, check=True, timeout=60)


def kept() -> bytes | None:
    """Return what cron keeps, without the three lines that Debian's crontab puts before it; `crontab -l` does not show all as it is."""
    return SPOOL.read_bytes().split(b"\n", 3)[3] if SPOOL.exists() else None


@contextmanager
def borrowed_crontab() -> Iterator[None]:
    """Give the user a crontab of the test's, and afterwards the former one back."""
    former = kept()
    crontab("-", given=BEFORE)
    try:
        yield
    finally:
        if former is None:
            crontab("-r")
        else:
            crontab("-", given=former)


@contextmanager
def mailer(folder: Path) -> Iterator[None]:
    """Put a mailer where there is none, which writes what it is given to the folder."""
    if SENDMAIL.exists():
        pytest.fail(f"this machine has a {SENDMAIL}: the test would send mail, or have to replace it")
    folder.mkdir()
    SENDMAIL.write_text(f'#!/bin/sh\ncat >"{folder}/.$$" && mv "{folder}/.$$" "{folder}/$$.mail"\n')
    SENDMAIL.chmod(0o755)
    try:
        yield
    finally:
        SENDMAIL.unlink()


@contextmanager
def daemon() -> Iterator[int]:
    """Run cron in the foreground, unless it runs here already; yields its process id."""
    with subprocess.Popen(["cron", "-f"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(running, "the daemon")
            # It reads a crontab again when the second of its change is another one (load_database in cron's database.c).
            has_read = time.time() + 1
            wait_until(lambda: time.time() >= has_read + 1, "another second")
            yield running()
        finally:
            process.terminate()


def running() -> int:
    """Return the process id of the daemon, 0 without one."""
    try:
        number = int(PID_FILE.read_text())
        return number if Path(f"/proc/{number}/comm").read_text() == "cron\n" else 0
    except (OSError, ValueError):
        return 0


def wait_until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)


def asyncrun(folder: Path, *arguments: str) -> None:
    subprocess.run([ASYNCRUN, *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.mark.needs("cron")
def test_cron_runs_a_job_each_minute_and_mails_one_paragraph_about_the_one_that_fails(tmp_path: Path) -> None:
    assert os.geteuid() == 0, "a cron daemon is run by root"
    ok, failing, mails = tmp_path / "it's ok.yaml", tmp_path / "50% fails.yaml", tmp_path / "mails"
    ok.write_text("jobs: [{name: ok, kind: embed, input: {items: ['${TEXT}']}, output: ok.jsonl}]")
    failing.write_text("jobs: [{name: bad, kind: embed, input: rows.jsonl, output: bad.jsonl, max_failures: 0}]")
    (tmp_path / "rows.jsonl").write_text('{"id": "a", "text": "one"}\n{broken\n')
    env_file = tmp_path / "night.env"
    env_file.write_text("TEXT=from the env file\n")
    env_file.chmod(0o600)
    began = time.time()
    with borrowed_crontab(), mailer(mails), daemon() as cron:
        asyncrun(tmp_path, "cron", "add", ok.name, "--at", "* * * * *", "--name", "ok", "--env-file", env_file.name, "--jitter", "1s")
        asyncrun(tmp_path, "cron", "add", failing.name, "--at", "* * * * *", "--name", "bad")
        wait_until(lambda: (tmp_path / "ok.jsonl").exists() and list(mails.glob("*.mail")), "the first minute")
        for name in ("ok", "bad"):
            asyncrun(tmp_path, "cron", "remove", name)
        wait_until(lambda: not Path(f"/proc/{cron}/task/{cron}/children").read_text().split(), "the end of the jobs")
        assert kept() == BEFORE
    assert "from the env file" in (tmp_path / "ok.jsonl").read_text()
    sent = [path.read_text() for path in mails.glob("*.mail")]
    # Another minute may have begun meanwhile; of the job that is well there is no mail in any.
    assert 1 <= len(sent) <= time.time() // 60 - began // 60
    for mail in sent:
        headers = mail.partition("\n\n")[0]
        body = message_from_string(mail).get_payload(decode=True).decode()
        assert "\nTo: night@example.org\n" in headers
        assert "asyncrun:bad" in headers
        assert "bad: 1 of 2 items failed" in body
        assert "rows.jsonl:2" in body
        assert "\n\n" not in body.strip()
        assert "Traceback" not in body
