"""`notify.to`: who is told by mail and by webhook how a run has ended, what a server that is ill costs, and `doctor --notify`."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope

from asyncrun.testing.server import FakeServer
from tests.receiver import Receiver, receiving

from .conftest import Command

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what Apprise imports
TOKEN, PASSWORD = "T1JJ3T3L2-token", "pass-0word%2F1"
GOOD = '{"id": "a", "text": "one"}\n'


class Mailbox:
    """Takes mails of whom it knows."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.logins: list[bytes] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        self.mails.append(message_from_bytes(bytes(envelope.content or b""), policy=policy.default))  # type: ignore[arg-type]
        return "250 taken"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, login: Any) -> AuthResult:
        self.logins.append(login.password)
        return AuthResult(success=login.password == b"pass-0word/1")


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, str]]:
    """A mail server, and the address of a mail through it."""
    found = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(found, hostname="127.0.0.1", port=port, authenticator=found.authenticate, auth_require_tls=False)
    server.start()
    try:
        yield found, f"mailto://me:{PASSWORD}@127.0.0.1:{port}/?from=jobs@here.test&to=ops@here.test&mode=insecure"
    finally:
        server.stop()


@contextmanager
def hanging() -> Iterator[str]:
    """A mail server that takes a connection and never says a word: the address of a mail through it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"mailto://me:{PASSWORD}@127.0.0.1:{server.getsockname()[1]}/?from=jobs@here.test&to=ops@here.test&mode=insecure"


def telling(folder: Path, *, job: Any = None, **notify: Any) -> None:
    """Have the job file, and its job, tell somebody."""
    file = folder / "jobs.yaml"
    whole = json.loads(file.read_text())
    whole["notify"] = notify
    whole["jobs"][0]["notify"] = job or {}
    file.write_text(json.dumps(whole))


def hook(receiver: Receiver) -> str:
    return receiver.url.replace("http://", "json://").rpartition("/")[0] + f"/{TOKEN}/"


def told(receiver: Receiver) -> list[str]:
    return [json.loads(ping.body)["title"].removeprefix("asyncrun: ").rpartition(" on ")[0] for ping in receiver.got]


def nowhere(folder: Path, *said: str) -> None:
    """No secret stands in what was said, or in a file but the environment's."""
    for secret in (TOKEN, PASSWORD, "pass-0word/1"):
        assert secret not in "".join(said)
        assert [path for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()] == []


def test_a_mail_tells_what_failed_as_plain_text(
    asyncrun: Command, notes: Path, mailbox: tuple[Mailbox, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, address = mailbox
    monkeypatch.setenv("MAIL", address)
    telling(notes, to=["${MAIL}"])
    (notes / "notes.jsonl").write_text(GOOD + '{"id": "<b>bold</b>\\u001b[31m", "text": ""}\n{"id": "c"}\n')
    answer = asyncrun("run")
    assert answer.code == 3
    assert "was not sent" not in answer.err
    [mail] = box.mails
    assert (mail["to"], mail["subject"].startswith("asyncrun: jobs.yaml is partial on ")) == ("ops@here.test", True)
    body = mail.get_body(("plain",))
    assert body is not None
    lines = body.get_content().splitlines()
    assert lines[0].startswith("Run ")
    assert " partial: 1 of 3 items done, 2 failed in " in lines[0]
    assert "1 x the text is empty (on_empty: skip leaves it out), at notes.jsonl:2" in lines
    assert f"Next: `asyncrun failed {notes / 'jobs.yaml'}` lists what failed, and what helps." in lines
    assert "\x1b" not in mail.as_string()
    assert box.logins == [b"pass-0word/1"]
    nowhere(notes, answer.out, answer.err, mail.as_string())


def test_a_run_that_goes_well_tells_nobody_but_who_wants_to_hear_it_and_the_first_after_a_failure_is_a_recovery(
    asyncrun: Command, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving(200) as receiver:
        monkeypatch.setenv("HOOK", hook(receiver))
        telling(notes, to="${HOOK}", when=["failure", "recovered"], job={"to": ["${HOOK}"], "when": "recovered"})
        said = [asyncrun("run", "--quiet")]
        assert told(receiver) == []
        (notes / "notes.jsonl").write_text("{broken\n")
        said.append(asyncrun("run", "--quiet"))
        assert told(receiver) == ["jobs.yaml failed"]
        (notes / "notes.jsonl").write_text(GOOD)
        said += [asyncrun("run", "--quiet"), asyncrun("run", "--quiet")]
    assert [answer.code for answer in said] == [0, 1, 0, 0]
    assert sorted(told(receiver)) == ["jobs.yaml failed", "jobs.yaml has recovered", "notes of jobs.yaml has recovered"]
    assert {json.loads(ping.body)["type"] for ping in receiver.got} == {"failure", "success"}
    assert {ping.path for ping in receiver.got} == {f"/{TOKEN}/"}
    nowhere(notes, *(answer.err for answer in said), *(ping.body for ping in receiver.got))


def test_a_hanging_mail_server_costs_one_warning_after_the_summary_and_its_time(
    asyncrun: Command, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asyncrun.notify.notices.SOCKET_TIMEOUT", 0.3)
    telling(notes, to="${MAIL}", when="always")
    with hanging() as address:
        monkeypatch.setenv("MAIL", address)
        answer = asyncrun("run")
    assert answer.code == 0
    assert answer.err.splitlines()[-1].startswith("warning: the notice by mailto (notify.to[0]) was not sent: Connection error")
    assert answer.err.count("was not sent") == 1
    nowhere(notes, answer.out, answer.err)


def test_what_hangs_in_spite_of_all_is_given_up(asyncrun: Command, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncrun.notify.notices as notices

    monkeypatch.setattr("asyncrun.notify.notices.SOCKET_TIMEOUT", 3.0)
    monkeypatch.setattr("asyncrun.notify.notices.send_notice.__defaults__", (0.2,))
    assert notices.NOTICE_TIMEOUT == 10
    telling(notes, to="${MAIL}", when="always")
    with hanging() as address:
        monkeypatch.setenv("MAIL", address)
        began = time.monotonic()
        answer = asyncrun("run")
        took = time.monotonic() - began
    assert answer.code == 0
    assert answer.err.splitlines()[-1].endswith("was not sent: it has taken more than 0.2 s; nothing else is changed by it")
    assert took < 60


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("nobody://knows", "Apprise knows no such address"),
        (f"slack://{TOKEN}/short", "Apprise knows no such address"),
    ],
)
def test_an_address_that_apprise_does_not_know_is_a_warning(
    asyncrun: Command, notes: Path, monkeypatch: pytest.MonkeyPatch, address: str, why: str
) -> None:
    monkeypatch.setenv("TO", address)
    telling(notes, to="${TO}", when="always")
    answer = asyncrun("run")
    service = address.partition(":")[0]
    assert (answer.code, f"the notice by {service} (notify.to[0]) was not sent: {why}" in answer.err) == (0, True), answer
    nowhere(notes, answer.out, answer.err)


def test_a_server_that_refuses_is_told_with_what_it_said(asyncrun: Command, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    telling(notes, to="${HOOK}", when="always")
    with receiving(404) as receiver:
        monkeypatch.setenv("HOOK", hook(receiver))
        answer = asyncrun("run")
    assert answer.code == 0
    assert "error=404" in answer.err.splitlines()[-1]


def test_a_notice_does_not_follow_a_redirect(asyncrun: Command, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    telling(notes, to="${HOOK}", when="always")
    with receiving(307, 200) as receiver:
        monkeypatch.setenv("HOOK", hook(receiver))
        answer = asyncrun("run")
        assert [ping.path for ping in receiver.got] == [f"/{TOKEN}/"]
        assert "error=307" in answer.err.splitlines()[-1]
        receiver.statuses = [307, 200]
        monkeypatch.setenv("HOOK", f"{hook(receiver)}?redirect=yes")
        assert "was not sent" not in asyncrun("run").err
    assert [ping.path for ping in receiver.got[1:]] == [f"/{TOKEN}/", "/elsewhere"]


def test_an_error_before_the_first_job_is_told_and_a_run_beside_another_is_not(
    asyncrun: Command, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from asyncrun.process_locks import hold_run_lock

    telling(notes, to="${HOOK}", when="always")
    with receiving(200) as receiver:
        monkeypatch.setenv("HOOK", hook(receiver))
        assert asyncrun("run", "--limit", "1").code == 0
        with hold_run_lock(notes / ".asyncrun" / "locks" / "jobs.yaml.lock", 0.0):
            assert asyncrun("run").code == 75
        assert receiver.got == []
        (notes / ".asyncrun" / "ledger.db").unlink()
        (notes / ".asyncrun" / "ledger.db").mkdir()
        assert asyncrun("run").code == 74
    assert told(receiver) == ["jobs.yaml failed"]


def test_without_the_extra_nothing_is_sent(asyncrun: Command, notes: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncrun.notify.notices.importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("TO", "json://127.0.0.1/")
    telling(notes, to="${TO}")
    answer = asyncrun("run")
    assert (answer.code, server.requests) == (2, [])
    assert "notify.to needs the extra 'notify', which is not installed" in answer.err
    assert "pip install 'asyncrun[notify]'" in answer.err


def test_the_doctor_sends_a_test_to_everybody_and_is_ill_when_one_does_not_arrive(
    asyncrun: Command, notes: Path, mailbox: tuple[Mailbox, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    box, address = mailbox
    monkeypatch.setenv("MAIL", address)
    with receiving(200, 200, 500) as receiver:
        monkeypatch.setenv("HOOK", hook(receiver))
        telling(notes, to=["${HOOK}", "${MAIL}"], job={"to": ["${HOOK}"], "when": "recovered"})
        answer = asyncrun("doctor", "--notify", "jobs.yaml")
        assert answer.code == 0, answer
        assert answer.out.count("notify.to[") == 3
        assert "ok    the notice by mailto (notify.to[1]): sent" in answer.out
        assert box.mails[0]["subject"].startswith("asyncrun: a test from ")
        ill = asyncrun("doctor", "--notify", "jobs.yaml", "--json")
    assert ill.code == 1
    notices = [model for model in ill.documents[0]["models"] if "notice" in model["what"]]
    assert [model["found"] for model in notices if not model["ok"]] == [None, None]
    nowhere(notes, answer.out, answer.err, ill.out, ill.err)


def test_the_doctor_says_when_there_is_nobody(asyncrun: Command, notes: Path) -> None:
    answer = asyncrun("doctor", "--notify")
    assert (answer.code, "nobody is told by notices: `notify` has no `to` in this job file" in answer.out) == (1, True)
    assert asyncrun("doctor").code == 0


def test_neither_plan_nor_validate_needs_an_address_or_sends(asyncrun: Command, notes: Path) -> None:
    telling(notes, to="${NOWHERE}")
    assert (asyncrun("plan").code, asyncrun("validate").code) == (0, 0)
    answer = asyncrun("run")
    assert (answer.code, "notify.to: the variable NOWHERE is not set" in answer.err) == (2, True)
