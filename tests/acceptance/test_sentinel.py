"""Secrets that must not get out: whole processes run, and everything that they leave, say and send is searched."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from asyncrun.testing.faults import Fault, error
from asyncrun.testing.server import FakeServer
from tests.depth import cases, first

KEY = "sentinel/0+1=2'3<4>5&6\"7%8\\9 key"
HEADER = "sentinel0123456789abcdefHEADER"
PASSWORD, PLAIN_PASSWORD, SLUG = "sentinel%2Fword", "sentinel/word", "sentinel-ping-slug"
COLLECTOR, NOTICES = "sentinel-of-the-collector", "sentinel-of-notices0"
SECRETS = (KEY, HEADER, PASSWORD, PLAIN_PASSWORD, SLUG, COLLECTOR, NOTICES)
KEYS = "keys.env"
LOOK = [
    *(["plan", "--json"], ["validate", "--strict", "--debug"], ["failed", "--json"], ["trace", "show"], ["trace", "timeline"]),
    *(["trace", "slow"], ["trace", "errors"], ["trace", "list", "--json"], ["trace", "html", "-o", "trace.html"]),
    *(["trace", "export", "--format", form, "-o", f"trace.{form}"] for form in ("otlp", "perfetto", "json")),
    *(["ledger", "stats"], ["ledger", "export", "-o", "ledger.jsonl"], ["export", "notes", "-o", "exported.jsonl"], ["doctor", "--json"]),
    *(["cron", "print", "--at", "@daily"], ["cron", "add", "--at", "@daily", "--systemd"], ["clean", "--dry-run"], ["run", "--limit", "1"]),
]
ONE_AFTER_ANOTHER = Path(__file__).resolve().parents[1] / "programs" / "commands_in_turn.py"
CRASH = Path(__file__).resolve().parents[1] / "programs" / "crash_with_secrets.py"


class Receiver(ThreadingHTTPServer):
    """Keeps the bodies of what is posted to it: pings, and traces for a collector."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[bytes] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.send_header("connection", "close")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def run(folder: Path, *words: str, program: tuple[str, ...] = ("-m", "asyncrun"), **more: str) -> tuple[int, str]:
    """Run a command; return its exit code, and all that it said and all that a process list showed of it."""
    command = [sys.executable, *program, *words]
    environ = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config"), "ASYNCRUN_ENV_FILE": str(folder / KEYS), **more}
    child = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    shown = Path(f"/proc/{child.pid}/cmdline").read_text() if program[0] == "-m" else ""
    out, err = child.communicate(timeout=120)
    return child.returncode, f"{shown}\n{out}\n{err}"


def write_job(folder: Path, server: FakeServer, ping: str | None = None, *, texts: int = 12, batch: int = 4) -> None:
    (folder / "notes.jsonl").write_text("".join(json.dumps({"id": f"t{n}", "text": f"text {n}"}) + "\n" for n in range(texts)))
    embedder = {
        "provider": "openai",
        "model": "m",
        "base_url": server.base_url,
        "api_key": "${MY_KEY}",
        "headers": {"x-team": "${MY_HEADER}"},
    }
    embedder |= {"batch": {"max_items": batch}, "retry": {"attempts": 2, "max_wait": "2s"}}
    job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder, "max_failures": "100%"}
    notify = {"ping": "${PING}", "to": ["${TO}"], "when": "always"} if ping else {}
    whole = {"trace": {"text": True}, "notify": notify, "metrics": "run.prom", "jobs": [job]}
    (folder / "jobs.yaml").write_text(json.dumps(whole))
    keys = folder / KEYS
    keys.write_text(
        f"MY_KEY={KEY}\nMY_HEADER={HEADER}\nPING=http://me:{PASSWORD}@{ping}/{SLUG}\nTO=json://me:{PASSWORD}@{ping}/{NOTICES}\n"
    )
    keys.chmod(0o600)


def leaks(folder: Path, said: str, sent: list[bytes]) -> list[str]:
    """Name where a secret is found, in whichever way it is written there."""
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != KEYS}
    places = {**files, "what was said": said.encode(), "what was sent on": b"\n".join(sent)}
    forms = {
        form for word in SECRETS for form in (word, json.dumps(word)[1:-1], html.escape(word), quote(word), quote_plus(word), word[:15])
    }
    return [f"{form} in {name}" for form in forms for name, data in places.items() if form.encode() in data]


IN_PLAIN_TEXT = f"{'x' * 150} {json.dumps(KEY)} {quote(KEY, safe='')} {html.escape(HEADER)}"
REPLIES: dict[str, tuple[Fault | None, set[int]]] = {
    "fine": (None, {0}),
    "refused": (error(400, f"what is {KEY} and {HEADER}, Bearer {KEY}?", times=None), {1}),
    "refused in plain text": (Fault(status=400, body=IN_PLAIN_TEXT.encode(), times=None), {1}),
    "unauthorized": (error(401, f"the key {KEY} is of nobody", times=None), {77}),
    "redirected": (Fault(status=307, headers={"location": f"http://me:{HEADER}@host/{HEADER}"}, times=None), {1}),
}
TRIED = cases(REPLIES, "refused in plain text")


@pytest.mark.parametrize(("fault", "codes"), TRIED.values(), ids=TRIED)
def test_no_secret_is_in_anything_that_is_left_or_said(tmp_path: Path, receiver: Receiver, fault: Fault | None, codes: set[int]) -> None:
    with FakeServer(faults=[fault] if fault else []).in_thread() as server:
        write_job(tmp_path, server, receiver.address)
        code, said = run(tmp_path, "run", "--debug", "-v", "--log-file", "run.log", "--summary-file", "summary.json", "--json")
        assert code in codes, said
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        assert server.requests[0].headers["x-team"] == HEADER
        said += run(tmp_path, json.dumps(LOOK), program=(str(ONE_AFTER_ANOTHER),))[1]
    assert len(receiver.bodies) == 3, said
    assert {path.name for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size} >= {
        *("run.log", "summary.json", "trace.html", "trace.otlp", "trace.perfetto", "trace.json", "exported.jsonl", "ledger.jsonl"),
        *("run.prom", "traces.db", "ledger.db", "asyncrun-jobs.service", "asyncrun-jobs.timer"),
    } - ({"exported.jsonl", "ledger.jsonl"} if fault else set())
    assert "Traceback" not in said
    assert leaks(tmp_path, said, receiver.bodies) == []


def hidden_keys() -> list[str]:
    """Pages in which a key is written so that it is easily missed, the last ones longer than anybody reads."""
    in_base64 = base64.b64encode(f"user:{KEY}".encode()).decode()
    return [
        f"Basic {in_base64}",
        "\n".join(re.findall(".{1,16}", in_base64)),
        base64.urlsafe_b64encode(f"the key {HEADER}".encode()).decode(),
        "".join(f"%{ord(each):02x}" for each in KEY),
        json.dumps({"error": {"message": "".join(f"&#{ord(each)};" for each in KEY)}}),
        "".join(f"\\u{ord(each):04x}" for each in KEY),
        "\n".join(HEADER),
        "<html><body>" + "".join(f"<b>{each}</b>" for each in HEADER) + "</body></html>",
        "\u200b".join(HEADER) + "\x00".join(HEADER),
        *(
            f"<html>{'<p></p>' * (cut // 7)}<h1>502{' ' * (cut % 7 + off)}{HEADER}</h1></html>"
            for cut in (20_000, 2**18)
            for off in (-40, -33)
        ),
    ]


def test_a_key_that_a_page_hides_shows_no_eight_characters_of_itself(tmp_path: Path, receiver: Receiver) -> None:
    pages = hidden_keys()
    faults = [
        Fault(status=400, body=page.encode(), when=lambda request, number=number: request.texts == [f"text {number}"], times=None)
        for number, page in enumerate(pages, 1)
    ]
    with FakeServer(faults=faults).in_thread() as server:
        write_job(tmp_path, server, receiver.address, texts=len(pages) + 2, batch=1)
        code, said = run(tmp_path, "run", "--debug", "-v", "--log-file", "run.log", "--summary-file", "summary.json", "--json")
        assert code == 3, said
        said += run(tmp_path, json.dumps(LOOK), program=(str(ONE_AFTER_ANOTHER),))[1]
    assert said.count('"type":"item_failed"') >= len(pages), said
    assert leaks(tmp_path, said, receiver.bodies) == []
    files = b"\n".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != KEYS)
    everything = b"\n".join((files, said.encode(), *receiver.bodies))
    # What stands in all of them begins with the same word.
    told = {word[at : at + 8] for word in (KEY, HEADER) for at in range(len(word) - 7)} - {"sentinel"}
    told |= {page[at : at + 8] for page in pages[:6] for at in range(30, min(len(page), 60) - 7)}
    assert [piece for piece in told if piece.encode() in everything] == []


def test_a_crash_is_told_without_the_secrets_of_its_run(tmp_path: Path, receiver: Receiver) -> None:
    with FakeServer().in_thread() as server:
        write_job(tmp_path, server, receiver.address)
    code, said = run(tmp_path, "run", "--debug", "--log-file", "run.log", program=(str(CRASH), KEYS, KEY))
    assert (code, "Traceback" in said, "RuntimeError: Bearer ***" in said) == (70, True, True), said
    assert leaks(tmp_path, said, receiver.bodies) == []


@pytest.mark.needs("otel")
def test_no_secret_is_sent_to_a_collector(tmp_path: Path, receiver: Receiver) -> None:
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{receiver.address}", "OTEL_EXPORTER_OTLP_HEADERS": f"x-token={COLLECTOR}"}
    with FakeServer(faults=[error(400, f"what is {KEY} and {HEADER}?", times=None)]).in_thread() as server:
        write_job(tmp_path, server)
        code, said = run(tmp_path, "run", "--debug", **environ)
    assert code == 1, said
    assert receiver.bodies
    assert leaks(tmp_path, said, receiver.bodies) == []


def test_a_key_typed_into_the_job_file_is_not_repeated(tmp_path: Path) -> None:
    with FakeServer().in_thread() as server:
        write_job(tmp_path, server)
    text = (tmp_path / "jobs.yaml").read_text().replace("${MY_KEY}", json.dumps(KEY)[1:-1])
    (tmp_path / "jobs.yaml").write_text(text)
    code, said = run(tmp_path, "run", "--debug")
    assert code == 2
    assert "a key must not stand in the job file" in said
    assert KEY not in said
    assert server.requests == []


@pytest.mark.parametrize("name", first(["ledger.db", "traces.db", "locks/jobs.yaml.lock"]))
def test_a_link_in_the_place_of_a_state_file_is_not_followed(tmp_path: Path, name: str) -> None:
    other, place = tmp_path / "other", tmp_path / ".asyncrun" / name
    place.parent.mkdir(mode=0o700, parents=True)
    place.symlink_to(other)
    with FakeServer().in_thread() as server:
        write_job(tmp_path, server)
        _, said = run(tmp_path, "run")
    assert not other.exists(), said
    assert "Traceback" not in said


@pytest.mark.parametrize("output", first(["../above.jsonl", "x" * 300 + ".jsonl", "deep/er/out.jsonl", "con"], quick=2))
def test_the_output_path_is_the_users_word(tmp_path: Path, output: str) -> None:
    folder = tmp_path / "jobs"
    folder.mkdir()
    with FakeServer().in_thread() as server:
        write_job(folder, server)
        config = json.loads((folder / "jobs.yaml").read_text())
        config["jobs"][0]["output"] = {"path": output, "format": "jsonl"}
        (folder / "jobs.yaml").write_text(json.dumps(config))
        code, said = run(folder, "run")
    if len(output) > 255:
        assert code == 73, said
        assert server.requests == []
    else:
        assert code == 0, said
        assert len((folder / output).read_text().splitlines()) == 12
