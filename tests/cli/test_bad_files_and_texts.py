"""Faults at the command line: job files that are none, texts that draw on a terminal, proxies."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncrun.escape import printable
from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]
COMMANDS = [["run"], ["plan"], ["validate"], ["failed"], ["retry"], ["clean"], ["export", "asyncrun.yaml", "n", "-o", "-"]]
JOBS = "jobs:\n  - {name: n, kind: embed, input: {items: [], allow_empty: true}, output: out.jsonl}\n"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """100 MB of YAML that is right, but for its size."""
    path = tmp_path_factory.mktemp("large") / "jobs.yaml"
    with path.open("wb") as file:
        file.write(JOBS.encode())
        for _ in range(100):
            file.write(b"# a comment, and more than one\n" * 32_768)
    assert path.stat().st_size > 100_000_000
    yield path
    path.unlink()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_a_job_file_of_100_mb_is_refused_unread(asyncrun: Command, tmp_path: Path, large: Path, command: list[str]) -> None:
    (tmp_path / "asyncrun.yaml").symlink_to(large)
    answer = asyncrun(*command)
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("asyncrun.yaml: larger than 1 MB; is this a job file?\n")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_a_pipe_that_nobody_writes_to_is_no_job_file(asyncrun: Command, tmp_path: Path, command: list[str]) -> None:
    os.mkfifo(tmp_path / "asyncrun.yaml")
    answer = asyncrun(*command)
    assert answer.code == 2
    assert answer.err.startswith("asyncrun.yaml: not a regular file\n")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", 2),
        (b"# only\n# comments\n", 2),
        (b"\xef\xbb\xbf" + JOBS.encode(), 0),
        (JOBS.replace("\n", "\r\n").encode(), 0),
        (JOBS.encode("utf-16"), 0),
        (JOBS.encode("utf-16-be"), 2),
        (bytes(range(256)), 2),
        (b"%YAML 1.2\n---\n" + JOBS.encode(), 0),
    ],
    ids=["empty", "comments", "mark", "crlf", "utf-16", "utf-16 without its mark", "binary", "directive"],
)
def test_a_file_of_another_kind_is_read_or_refused_at_its_place(asyncrun: Command, tmp_path: Path, content: bytes, code: int) -> None:
    (tmp_path / "jobs.yaml").write_bytes(content)
    answer = asyncrun("run")
    assert answer.code == code
    assert code == 0 or re.match(r"jobs\.yaml:\d+:\d+: ", answer.err)


DRAWN = [
    *("\x1b]0;title\x07", "\x1b[2J", "\x1b]8;;http://evil\x1b\\", "\x1b]52;c;ZXZpbA==\x07", "first\rsecond", "\x9b2J"),
    *("\u202egnirts\u2066", "[red]x[/red]", "<script>alert(1)</script>"),
]
"""A title, a cleared screen, a link, the clipboard, a return, a C1 sequence, reversed text, markup and HTML."""
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def test_text_from_a_document_and_from_a_server_is_shown_as_text(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    every = "".join(DRAWN)
    server.faults.append(error(400, f"no {every}", when=lambda request: "refused" in str(request.document), times=None))
    records: list[dict[str, Any]] = [{"id": f"id {text}", "txt": text} for text in DRAWN]
    records += [{"id": f"no {every}", "text": f"refused {every}"}, {"text": "fine"}]
    name = f"notes {every.replace('/', '')}.jsonl"
    (tmp_path / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    embedder = {"provider": "openai", "model": f"m {every}", "base_url": server.base_url, "batch": {"max_items": 1}}
    job = {"name": "n", "kind": "embed", "input": name.replace("[", "?"), "output": "out.jsonl", "embedder": embedder, "max_failures": 50}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    told = asyncrun("run", "-v", "--color", "never")
    assert told.code == 3
    for text in DRAWN:
        assert f"n: item {printable(f'id {text}')} failed" in told.err
    for command in (
        *(["plan"], ["failed"], ["trace"], ["trace", "errors"], ["trace", "slow"], ["trace", "timeline"], ["doctor"], ["ledger", "stats"]),
        *(["run"], ["run", "--json"], ["run", "--quiet"], ["validate", "--strict"]),
    ):
        answer = asyncrun("--color", "never", *command)
        assert not UNSAFE.search(answer.out + answer.err), command
    assert not UNSAFE.search(told.out + told.err)
    assert asyncrun("trace", "html", "-o", "page.html").code == 0
    page = (tmp_path / "page.html").read_text()
    assert "<script>alert" not in page
    assert not UNSAFE.search(page)


def test_proxies_and_certificates_of_the_environment_are_told_once(
    asyncrun: Command, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_url: str
) -> None:
    """The proxy answers nobody: the server on loopback is reached past it."""
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    job = {"name": "n", "kind": "embed", "input": {"items": ["one"]}, "output": "out.jsonl", "embedder": embedder}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("http_proxy", unused_url.removesuffix("/v1").replace("://", "://me:password-of-proxy@"))
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    answer = asyncrun("doctor")
    assert answer.code == 0
    for name in ("HTTP_PROXY", "NO_PROXY"):
        assert len(re.findall(rf"(?m)^{name} .*\(environment\)$", answer.out)) == 1
    assert "password-of-proxy" not in answer.out + answer.err
    assert asyncrun("run", "-q").code == 0


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_bundle_of_certificates_that_is_none_is_named_with_its_variable(
    asyncrun: Command, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    job = {"name": "n", "kind": "embed", "input": {"items": ["one"]}, "output": "out.jsonl"}
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [{**job, "embedder": embedder}]}))
    if content is not None:
        (tmp_path / "bundle.pem").write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "bundle.pem"))
    answer = asyncrun("run")
    assert answer.code == 2
    assert answer.err.splitlines()[-2:] == [
        f"asyncrun: no certificates can be read from SSL_CERT_FILE: {'there is none in it' if content else 'No such file or directory'}",
        "  Correct or unset SSL_CERT_FILE.",
    ]
    examined = asyncrun("doctor")
    assert examined.code == 1
    assert len(re.findall(r"(?m)^SSL_CERT_FILE .*\(environment\)$", examined.out)) == 1
    assert "FAIL  no certificates can be read from SSL_CERT_FILE" in examined.out
