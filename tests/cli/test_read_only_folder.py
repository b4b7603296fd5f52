"""A folder where nothing can be written can be looked at: plan, failed, export, trace and ledger; only running needs more."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import asyncrun as package
from asyncrun.errors import MissingExtraError
from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]
Lock = Callable[[], None]
LOOKS = [
    ("plan", "FILE"),
    ("failed", "FILE"),
    ("export", "FILE", "notes", "-o", "-"),
    ("export", "FILE", "ask", "-o", "-"),
    ("trace", "-f", "FILE"),
    ("trace", "list", "-f", "FILE"),
    ("ledger", "stats", "-f", "FILE"),
    ("ledger", "export", "-f", "FILE", "-o", "portable.jsonl"),
    ("clean", "FILE", "--dry-run", "--older-than", "30d"),
]


READS = {
    ".asyncrun/ledger.db": ("failures", ("failed", "FILE")),
    ".asyncrun/traces.db": ("runs", ("trace", "list", "-f", "FILE")),
    "index.db": ("collections", ("export", "FILE", "ask", "-o", "-")),
}
"""Files, each with a table and with the words of a command that shows what stands there."""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    refusal = error(400, "this text is not allowed", when=lambda request: "poison" in request.texts, times=None)
    with FakeServer(faults=[refusal]).in_thread() as running:
        yield running


@pytest.fixture(params=["permissions", pytest.param("mount", marks=pytest.mark.needs("mount"))])
def lock(request: pytest.FixtureRequest, folder: Path) -> Iterator[Lock]:
    """Make the folder read-only from now on."""
    with ExitStack() as stack:
        protect = protected if request.param == "permissions" else mounted
        yield lambda: stack.enter_context(protect(folder))


@contextmanager
def protected(folder: Path, folders: int = 0o555, files: int = 0o444) -> Iterator[None]:
    for path in (*folder.rglob("*"), folder):
        path.chmod(folders if path.is_dir() else files)
    root = os.geteuid() == 0
    if root:
        os.setresuid(65534, 65534, 0)  # Root may do everything: act as nobody meanwhile.
    try:
        yield
    finally:
        if root:
            os.setresuid(0, 0, 0)
        folder.chmod(0o755)
        for path in folder.rglob("*"):
            path.chmod(0o755)


@contextmanager
def mounted(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def folder(asyncrun: Command, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose jobs have run, with one failed item; others may look at it from a folder of their own."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder, elsewhere = Path(name) / "shared", Path(name) / "elsewhere"
        (folder / "docs").mkdir(parents=True)
        elsewhere.mkdir()
        elsewhere.chmod(0o777)
        monkeypatch.chdir(elsewhere)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(elsewhere))
        (folder / "docs" / "a.txt").write_text("Run the same command again.")
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
        there = {"embedder": embedder, "store": {"type": "sqlite", "path": "index.db"}, "collection": "docs"}
        texts = [{"id": "1", "text": "one"}, {"id": "2", "text": "poison"}, {"id": "3", "text": "three"}]
        jobs = [
            {"name": "notes", "kind": "embed", "input": {"items": texts}, "output": "out.jsonl", "embedder": embedder, "max_failures": 1},
            {"name": "fill", "kind": "ingest", "input": "docs/*.txt", **there},
            {"name": "ask", "kind": "query", "needs": ["fill"], "input": {"items": ["What now?"]}, "output": "answers.jsonl", **there},
        ]
        (folder / "jobs.yaml").write_text(json.dumps({"jobs": jobs}))
        assert asyncrun("run", str(folder / "jobs.yaml"), "-q").code == 3
        # Nobody may not be able to read where the package stands: what a command imports is imported before.
        for module in pkgutil.walk_packages(package.__path__, "asyncrun."):
            with suppress(ImportError, MissingExtraError):
                importlib.import_module(module.name)
        yield folder


def look(asyncrun: Command, folder: Path, words: tuple[str, ...]) -> Any:
    """Return the exit code and the answer of a command; times that grow are nothing to compare."""
    file = str(folder / "jobs.yaml")
    answer = asyncrun(*(file if word == "FILE" else word for word in words))
    return answer.code, answer.out.replace(" ago", ""), answer.err


def killed_while_writing(folder: Path, file: str) -> Path:
    """Empty a table and return a copy of the folder as it is when the process that has done it is killed."""
    copy = folder / Path(file).stem
    copy.mkdir()
    with closing(sqlite3.connect(folder / file, isolation_level=None)) as writing:
        writing.execute(f"DELETE FROM {READS[file][0]}")
        for path in [folder / "jobs.yaml", folder / "docs", folder / ".asyncrun", *folder.glob("index.db*")]:
            (shutil.copytree if path.is_dir() else shutil.copy)(path, copy / path.name)
    assert (copy / f"{file}-wal").stat().st_size > 0
    return copy


def test_looking_finds_what_it_finds_where_writing_is_allowed(asyncrun: Command, folder: Path, lock: Lock) -> None:
    before = {words: look(asyncrun, folder, words) for words in LOOKS}
    assert {code for code, _, _ in before.values()} == {0, 3}
    Path("portable.jsonl").unlink()
    lock()
    there = sorted(folder.rglob("*"))
    for words in LOOKS:
        assert look(asyncrun, folder, words) == before[words]
    assert sorted(folder.rglob("*")) == there


def test_what_a_killed_run_has_written_last_is_seen(asyncrun: Command, folder: Path, lock: Lock) -> None:
    before = {file: look(asyncrun, folder, words) for file, (_, words) in READS.items()}
    copies = {file: killed_while_writing(folder, file) for file in READS}
    after = {file: look(asyncrun, folder, words) for file, (_, words) in READS.items()}
    lock()
    for file, (_, words) in READS.items():
        code, out, err = look(asyncrun, copies[file], words)
        assert (code, out, err.replace(str(copies[file]), str(folder))) == after[file] != before[file]


def test_what_it_has_written_last_is_never_overlooked(asyncrun: Command, folder: Path, lock: Lock) -> None:
    copies = {file: killed_while_writing(folder, file) for file in READS}
    for file, copy in copies.items():
        (copy / f"{file}-shm").unlink()
    lock()
    for file, (_, words) in READS.items():
        code, out, err = look(asyncrun, copies[file], words)
        assert (code, out) == (74, "")
        assert f"{file}-wal" in err
        assert "copy the job file's folder" in err


def test_a_run_says_so_before_the_first_call(asyncrun: Command, folder: Path, lock: Lock, server: FakeServer) -> None:
    (folder / "docs" / "b.txt").write_text("A new document.")
    server.requests.clear()
    lock()
    answer = asyncrun("run", str(folder / "jobs.yaml"))
    assert answer.code == 74
    assert "--state-dir" in answer.err
    assert server.requests == []


def test_a_store_that_cannot_be_written_is_told_before_the_first_call_of_its_job(
    asyncrun: Command, folder: Path, lock: Lock, server: FakeServer
) -> None:
    (folder / "docs" / "b.txt").write_text("A new document.")
    server.requests.clear()
    lock()
    answer = asyncrun("run", str(folder / "jobs.yaml"), "fill", "--state-dir", "state")
    assert answer.code == 74
    assert "index.db cannot be written" in answer.err + answer.out
    assert server.requests == []


def test_a_ledger_of_an_older_version_is_refused_in_a_sentence(asyncrun: Command, folder: Path, lock: Lock) -> None:
    with closing(sqlite3.connect(folder / ".asyncrun" / "ledger.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version = 1")
    lock()
    code, out, err = look(asyncrun, folder, ("failed", "FILE"))
    assert (code, out) == (74, "")
    assert "older asyncrun (version 1, " in err
    assert "copy the job file's folder" in err


@pytest.mark.parametrize(("folders", "words"), [(0o555, "cannot open"), (0, "cannot look into the state folder")])
def test_what_may_not_even_be_read_is_told_in_a_sentence(asyncrun: Command, folder: Path, folders: int, words: str) -> None:
    with protected(folder / ".asyncrun", folders, files=0):
        for command in LOOKS:
            code, out, err = look(asyncrun, folder, command)
            assert (code, out) == (74, "")
            assert ".asyncrun" in err
            assert (words if command[0] != "trace" else "cannot open") in err
