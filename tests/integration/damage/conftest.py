"""A finished folder whose files are damaged bit by bit: after each flip the same command runs until it ends as it did before."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from asyncrun.cli import main
from asyncrun.testing.faults import Fault
from asyncrun.testing.server import FakeServer
from tests.depth import asked_for

FLIPS = asked_for("ASYNCRUN_TEST_FLIPS", quick=40, deep=200)
SEED = int(os.environ.get("ASYNCRUN_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
MOST_RUNS = 4
"""Runs after which a damage must be mended."""
DOCUMENTED = frozenset((0, 3, 74))
FORMER = b"former\n"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    said: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A folder after a run: every file of it, which of them are outputs, and how it ended."""

    folder: Path
    outputs: Sequence[str]
    code: int
    files: dict[Path, bytes] = field(repr=False)

    def read(self, name: str) -> bytes:
        """Return what a file of the folder held."""
        return self.files[self.folder / name]

    def damage(self, name: str, data: bytes) -> None:
        """Put all back as it was, but for one file; outputs hold what a former run has left."""
        for path in [each for each in self.folder.rglob("*") if each.is_file() and each not in self.files]:
            path.unlink()
        for path, content in self.files.items():
            path.write_bytes(content)
        for output in self.outputs:
            (self.folder / output).write_bytes(FORMER)
        (self.folder / name).write_bytes(data)

    def mended(self, *words: str) -> list[Ended]:
        """Run until it ends as it did before, with the same outputs. Fails for what ends otherwise than is promised."""
        ends: list[Ended] = []
        for _ in range(MOST_RUNS):
            ends.append(run(self.folder, *words))
            told = [(ended.code, ended.said) for ended in ends]
            assert ends[-1].code in DOCUMENTED, told
            assert "Traceback" not in ends[-1].said, told
            right = [(self.folder / output).read_bytes() == self.read(output) for output in self.outputs]
            if ends[-1].code == self.code:
                assert all(right), told
                return ends
            former = [(self.folder / output).read_bytes() == FORMER for output in self.outputs]
            assert all(one or other for one, other in zip(right, former, strict=True)), told
        pytest.fail(f"not mended after {MOST_RUNS} runs: {told}")


def run(folder: Path, *words: str) -> Ended:
    """Run the command line in this process, in a folder; returns how it ended."""
    before, stdout, argv = Path.cwd(), io.TextIOWrapper(io.BytesIO(), write_through=True), sys.argv
    stderr, code = io.StringIO(), 0
    os.chdir(folder)
    sys.argv = ["asyncrun", *(words or ("run",))]
    try:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            main()
    except SystemExit as ending:
        code = int(ending.code or 0)
    finally:
        sys.argv = argv
        os.chdir(before)
    return Ended(code, stdout.buffer.getvalue().decode() + stderr.getvalue())  # type: ignore[attr-defined]


def flipped(data: bytes, bit: int) -> bytes:
    """Return data with one bit the other way round."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def drawn_bits(data: bytes) -> list[int]:
    """Return FLIPS bits of a file; the seed is printed, and taken from ASYNCRUN_TEST_SEED where that is set."""
    print(f"ASYNCRUN_TEST_SEED={SEED} ASYNCRUN_TEST_FLIPS={FLIPS}")
    return random.Random(SEED).sample(range(len(data) * 8), FLIPS)


def finish(folder: Path, outputs: Sequence[str]) -> Finished:
    """Run a folder's job file to its end twice, so that nothing is left to do, and return what is there, its databases without logs."""
    first = run(folder)
    assert first.code in (0, 3), first
    assert run(folder).code == first.code
    for path in folder.rglob("*.db"):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix not in (".db-wal", ".db-shm")}
    return Finished(folder, outputs, first.code, files)


def how_they_ended(all_ends: Sequence[Sequence[Ended]]) -> Counter[tuple[int, ...]]:
    """Return how often runs ended with which codes, one after the other."""
    return Counter(tuple(ended.code for ended in ends) for ends in all_ends)


def other_way_round(document: Any) -> Any:
    """Return an answer of an embedding server with vectors that are another model's."""
    return {**document, "data": [{**row, "embedding": row["embedding"][::-1]} for row in document["data"]]}


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    """A server of two models, which make different vectors of the same size."""
    second = Fault(when=lambda request: b'"model":"second"' in request.body.replace(b" ", b""), times=None, change=other_way_round)
    with FakeServer(dimensions=16, takes_base64=False, faults=[second]).in_thread() as running:
        yield running


@pytest.fixture(scope="module")
def embedded(server: FakeServer, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A folder whose run has finished: two models, an item that fails, answers."""
    folder = tmp_path_factory.mktemp("embedded")
    write_jobs(folder, server)
    for name in ("fill", "first"):  # The spaces get the numbers 1, 2 and 3, whoever is faster.
        run(folder, "run", "jobs.yaml", name)
    return finish(folder, ["first.jsonl", "second.csv", "answers.jsonl"])


def write_jobs(folder: Path, server: FakeServer) -> None:
    """Write a job file with jobs of every kind that has an output, and their inputs."""
    items = [{"id": f"n{number}", "text": f"text {number}" if number != 17 else " "} for number in range(60)]
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (folder / "docs").mkdir()
    (folder / "docs/a.md").write_text("Run the same command again after a crash.\n")

    def embedder(model: str) -> dict[str, Any]:
        return {"provider": "openai", "model": model, "base_url": server.base_url, "batch": {"max_items": 4}}

    llm = {"provider": "openai", "model": "gpt", "base_url": server.base_url}
    shared = {"store": {"path": "index.db"}, "collection": "docs", "embedder": embedder("first") | {"space": "docs"}}
    asked = {"input": {"items": [f"How is it, {number} times?" for number in range(12)]}, "llm": "small", "prompt": "{question} {context}"}
    jobs = [
        {"name": "first", "kind": "embed", "input": "items.jsonl", "output": "first.jsonl", "embedder": embedder("first")},
        {"name": "second", "kind": "embed", "input": "items.jsonl", "output": "second.csv", "embedder": embedder("second")},
        {"name": "fill", "kind": "ingest", "input": {"path": "docs/*"}, **shared},
        {"name": "ask", "kind": "query", "needs": ["fill"], "output": "answers.jsonl", **asked, **shared},
    ]
    (folder / "jobs.yaml").write_text(json.dumps({"llms": {"small": llm}, "jobs": jobs}))
