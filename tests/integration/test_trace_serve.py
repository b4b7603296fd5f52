"""`asyncrun trace serve` over loopback: real requests, odd and slow ones, ports that are taken, and its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx
import pytest

from asyncrun import asyncio_run
from asyncrun.trace.run_record import RunRecord
from asyncrun.trace.store import TraceStore
from asyncrun.web import http_server
from asyncrun.web.http_server import HttpServer
from asyncrun.web.messages import WebRequest, WebResponse, said

COMMAND = (sys.executable, "-m", "asyncrun", "trace", "serve")


async def echo(request: WebRequest) -> WebResponse:
    if request.path == "/broken":
        raise ValueError("a secret")
    return said(200, f"{request.method} {request.target}")


@asynccontextmanager
async def serving(answer: Callable[[WebRequest], Awaitable[WebResponse]] = echo) -> AsyncIterator[int]:
    server = HttpServer()
    [(_, port)] = await server.listen("127.0.0.1", 0)
    server.answer_with(answer)
    try:
        yield port
    finally:
        await server.close()


async def send(port: int, words: bytes) -> bytes:
    """Send these bytes, and return what comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(words)
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()


def head(*lines: str) -> bytes:
    return "\r\n".join((*lines, "", "")).encode()


def test_many_requests_go_over_one_connection() -> None:
    async def look() -> None:
        async with serving() as port:
            words = head("GET /a?b=1 HTTP/1.1", "Host: localhost") + head("HEAD /c HTTP/1.1", "Host: localhost", "Connection: close")
            first, second = (await send(port, words)).split(b"HTTP/1.1 ")[1:]
        assert first.startswith(b"200")
        assert first.endswith(b"\r\n\r\nGET /a?b=1\n")
        assert b"content-length: 8\r\n" in second
        assert second.endswith(b"\r\n\r\n")

    asyncio_run(look())


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (head("GET / HTTP/1.1"), b"400"),
        (head("GET / HTTP/1.1", "Host: localhost", f"X: {'x' * 40_000}"), b"431"),
        (head("GET /" + "x" * 40_000 + " HTTP/1.1", "Host: localhost"), b"431"),
        (head("GET / HTTP/1.1", "Host: localhost", "Content-Length: 3") + b"abc", b"413"),
        (head("GET / HTTP/1.1", "Host: localhost", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n", b"413"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", b"400"),
    ],
    ids=["no host", "large header", "long address", "body", "chunked body", "TLS"],
)
def test_a_request_that_is_none_is_refused_and_the_connection_closed(words: bytes, status: bytes) -> None:
    async def look() -> bytes:
        async with serving() as port:
            return await send(port, words)

    assert asyncio_run(look()).startswith(b"HTTP/1.1 " + status)


def test_what_goes_wrong_with_one_request_says_nothing_and_the_next_is_answered() -> None:
    async def look() -> bytes:
        async with serving() as port:
            return await send(
                port, head("GET /broken HTTP/1.1", "Host: localhost") + head("GET / HTTP/1.1", "Host: localhost", "Connection: close")
            )

    answers = asyncio_run(look())
    assert b" 500 " in answers
    assert b"GET /\n" in answers
    assert b"secret" not in answers


def test_who_is_slow_is_cut_off_while_others_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "PATIENCE", 0.2)

    async def look() -> tuple[bytes, bytes]:
        async with serving() as port:
            slow = asyncio.create_task(send(port, b"GET / HTTP/1.1\r\nHost: loc"))
            answered = await send(port, head("GET / HTTP/1.1", "Host: localhost", "Connection: close"))
            return await slow, answered

    slow, answered = asyncio_run(look())
    assert (slow, answered.startswith(b"HTTP/1.1 200")) == (b"", True)


def test_past_the_most_connections_one_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "MOST_CONNECTIONS", 2)

    async def look() -> bytes:
        async with serving() as port:
            held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
            answer = await send(port, head("GET / HTTP/1.1", "Host: localhost"))
            for _, writer in held:
                writer.close()
            return answer

    assert b"503" in asyncio_run(look()).splitlines()[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a run in it."""
    (tmp_path / ".asyncrun").mkdir()
    with TraceStore(tmp_path / ".asyncrun" / "traces.db") as store:
        store.add_run(RunRecord("20261124-021500-4f2a", 1.0, 3.0, "succeeded", 0, 2.0, "jobs.yaml", "1", "here", {"items": 3}, 3.0))
    return tmp_path


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    """The address at which its runs are served, until Ctrl-C, which has to end it as such."""
    words = [*COMMAND, "--port", "0", "--host", "0.0.0.0", "--json"]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield json.loads(process.stdout.readline())["address"]
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, "asyncrun: stopped early: SIGINT\n")


def test_a_folder_is_shown_to_who_has_the_token_and_nothing_is_written(address: str, folder: Path) -> None:
    before = (folder / ".asyncrun" / "traces.db").read_bytes()
    here = httpx.URL(address).copy_with(host="127.0.0.1")
    with httpx.Client(base_url=here) as client:
        listed = client.get("runs.json")
        assert [run["run_id"] for run in listed.json()["runs"]] == ["20261124-021500-4f2a"]
        assert client.get("runs.json", headers={"If-None-Match": listed.headers["ETag"]}).status_code == 304
        assert "All runs" in client.get("run/20261124-021500-4f2a").text
        assert client.get(here.copy_with(path="/")).status_code == 404
        assert client.get(here, headers={"Host": "evil.example"}).status_code == 403
        assert client.post(here).status_code == 405
    assert (folder / ".asyncrun" / "traces.db").read_bytes() == before


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def test_a_port_in_use_is_one_sentence(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = call(folder, "--port", str(taken.getsockname()[1]))
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "another program does" in answer.stderr


def test_a_store_of_a_newer_version_ends_it_before_it_listens(folder: Path) -> None:
    with closing(sqlite3.connect(folder / ".asyncrun" / "traces.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    answer = call(folder, "--port", "0")
    assert (answer.returncode, answer.stdout) == (74, "")
    assert "newer asyncrun" in answer.stderr


def test_a_host_that_is_not_this_machine_is_one_sentence(folder: Path) -> None:
    began = time.monotonic()
    answer = call(folder, "--host", "192.0.2.1", "--port", "0")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert "192.0.2.1" in answer.stderr
    assert time.monotonic() - began < 30
