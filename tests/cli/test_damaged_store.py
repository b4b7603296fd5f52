"""A damaged store is never believed: answers are those of the undamaged one, or 74 with the command that mends it without a request.

ASYNCRUN_TEST_FLIPS says how many single bits are flipped, ASYNCRUN_TEST_SEED which.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import re
import shlex
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from asyncrun.cli import main
from asyncrun.errors import DamagedStoreError
from asyncrun.records import Hit
from asyncrun.stores.interface import SearchMode, SearchRequest
from asyncrun.stores.sqlite import SqliteStore
from asyncrun.testing.server import FakeServer
from tests.depth import asked_for

Command = Callable[..., "Answer"]

FLIPS = asked_for("ASYNCRUN_TEST_FLIPS", quick=10, deep=200)
SEED = int(os.environ.get("ASYNCRUN_TEST_SEED", random.randrange(1 << 32)))
AT_ONCE, PAGE, DIMENSIONS = 50, 8192, 48
LEFT_BESIDE = ("-wal", "-shm", ".damaged", ".damaged-wal", ".damaged-shm", ".mending")
WORDS = "river stone lamp winter garden letter bridge morning silver paper window music forest harbour engine story".split()  # noqa: SIM905
FILTER = "lang = 'en' and year >= 2005"
ASKED = {
    "by-vector": {"search": "vector"},
    "by-words": {"search": "keyword"},
    "by-words-filtered": {"search": "keyword", "filter": FILTER},
    "by-both-filtered": {"search": "hybrid", "filter": FILTER},
}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(dimensions=DIMENSIONS).in_thread() as running:
        yield running


class Answer(NamedTuple):
    """What a command left: its exit code and its streams."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Asked:
    """A folder with a filled store, the jobs that ask it, and what they answer."""

    folder: Path
    run: Command
    server: FakeServer
    answers: dict[str, bytes]
    hits: list[list[Hit]]

    @property
    def store(self) -> Path:
        return self.folder / "index.db"

    def put(self, content: bytes) -> None:
        """Have the store's file hold this, and nothing beside it."""
        for ending in LEFT_BESIDE:
            self.store.with_name(self.store.name + ending).unlink(missing_ok=True)
        self.store.write_bytes(content)

    def ask(self, *names: str) -> Answer:
        """Ask anew, without the job that would mend first; what is answered must be right, whatever the exit code is."""
        for name in ASKED:
            (self.folder / f"{name}.jsonl").unlink(missing_ok=True)
        answer = self.run("run", "jobs.yaml", "--no-needs", *(names or ASKED))
        for name in names or ASKED:
            output = self.folder / f"{name}.jsonl"
            assert output.exists() or answer.code == 74, (answer, name)
            if output.exists():
                assert output.read_bytes() == self.answers[name], f"{name} is silently wrong"
        assert answer.code in {0, 74}, answer
        return answer

    def mend(self, answer: Answer) -> Answer:
        """Run the command that an answer names; nothing is sent, and all is right again."""
        [command] = set(re.findall(r"asyncrun run jobs\.yaml fill", " ".join((answer.out + answer.err).split())))
        before = len(self.server.requests)
        mended = self.run(*shlex.split(command)[1:])
        assert mended.code == 0, (answer, mended)
        assert search(self.store) == self.hits, (answer, mended)
        assert len(self.server.requests) == before
        return mended


def search(path: Path) -> list[list[Hit]]:
    """Return the hits of questions in every mode, with and without a filter."""
    store, vectors = SqliteStore(path), np.random.default_rng(4).normal(size=(12, DIMENSIONS)).astype(np.float32)
    modes: list[SearchMode] = ["vector", "keyword", "hybrid"]
    requests = [
        SearchRequest(f"{WORDS[number]} {WORDS[-number]}", vector, modes[number % 3], 4, FILTER if number % 2 else None)
        for number, vector in enumerate(vectors)
    ]
    with contextlib.closing(store):
        return store.search("docs", requests)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line in this process; without the watch for blocking calls that other tests have, which doubles the time."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["asyncrun", *words])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ending:
            code = int(ending.code or 0)
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture
def asked(command: Command, server: FakeServer, tmp_path: Path) -> Asked:
    choose = random.Random(3)

    def text(words: int) -> str:
        return " ".join(choose.choice(WORDS) for _ in range(words))

    rows = [
        {
            "id": f"d{number}",
            "text": ". ".join(text(9) for _ in range(choose.randint(1, 12))),
            "lang": choose.choice(["en", "de"]),
            "year": 2000 + number % 25,
        }
        for number in range(80)
    ]
    rows += [{**rows[5], "id": "copy-a"}, {**rows[5], "id": "copy-b"}]
    (tmp_path / "documents.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    questions = {"items": [{"id": f"q{number}", "text": text(4)} for number in range(3)] + [{"id": "q9", "text": rows[5]["text"]}]}
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    store = {"store": {"type": "sqlite", "path": "index.db"}, "collection": "docs", "embedder": embedder}
    fill = {
        "name": "fill",
        "kind": "ingest",
        "input": {"path": "documents.jsonl", "metadata": ["lang", "year"]},
        "chunk": {"size": 64, "overlap": 0},
    }
    asking = [
        {"name": name, "kind": "query", "input": questions, "top_k": 3, "output": f"{name}.jsonl", **store, **how}
        for name, how in ASKED.items()
    ]
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [{**fill, **store}, *asking]}))
    for names in (["fill"], list(ASKED)):
        assert command("run", "jobs.yaml", *names).code == 0
    answers = {name: (tmp_path / f"{name}.jsonl").read_bytes() for name in ASKED}
    return Asked(tmp_path, command, server, answers, search(tmp_path / "index.db"))


def flipped(content: bytes, offset: int, bit: int) -> bytes:
    """Return the content with one bit turned over."""
    return content[:offset] + bytes([content[offset] ^ 1 << bit]) + content[offset + 1 :]


@pytest.mark.parametrize("first", range(0, FLIPS, AT_ONCE))
def test_no_single_flipped_bit_is_believed(asked: Asked, capsys: pytest.CaptureFixture[str], first: int) -> None:
    whole = asked.store.read_bytes()
    choose, found = random.Random(f"{SEED} {first}"), 0
    count = min(AT_ONCE, FLIPS - first)
    for number in range(count):
        # Half of them anywhere, half of them where a page says how it is built.
        offset = choose.randrange(len(whole)) if number % 2 else choose.randrange(len(whole) // PAGE) * PAGE + choose.randrange(100)
        bit = choose.randrange(8)
        asked.put(flipped(whole, offset, bit))
        try:
            answer = asked.ask()
            if answer.code == 74:
                found += 1
                asked.mend(answer)
                assert found % 10 or asked.ask().code == 0
        except BaseException as error:
            error.add_note(f"flip {first + number} of seed {SEED}: bit {bit} of byte {offset} of {len(whole)}")
            raise
    with capsys.disabled():
        print(
            f"\n{count} flips from {first} of seed {SEED}: {found} told with 74 and mended, {count - found} without effect on the answers"
        )
    assert found > 0


def test_a_collection_whose_record_is_read_as_nothing_is_made_anew(asked: Asked) -> None:
    with contextlib.closing(sqlite3.connect(asked.store)) as store:
        [(page,)] = store.execute("SELECT rootpage FROM sqlite_master WHERE name = 'collections'").fetchall()
    pointer_to_the_first_row = (page - 1) * PAGE + 9
    asked.put(flipped(asked.store.read_bytes(), pointer_to_the_first_row, 6))
    answer = asked.ask()
    assert answer.code == 74
    asked.mend(answer)


def test_no_page_that_counts_its_rows_wrongly_is_believed(asked: Asked) -> None:
    """Rows that one way through the file finds, another one may miss then; its count ends at 4 (sqlite.org/fileformat2.html)."""
    whole = asked.store.read_bytes()
    told = 0
    for page, bit in itertools.product(range(1, len(whole) // PAGE), range(8)):
        asked.put(flipped(whole, page * PAGE + 4, bit))
        try:
            assert search(asked.store) == asked.hits, f"silently wrong: bit {bit} of page {page + 1}"
        except DamagedStoreError:
            told += 1
    assert told > 0
