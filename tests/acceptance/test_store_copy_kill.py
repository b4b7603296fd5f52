"""A copy that is killed at any instant goes on where it was: then both collections are equal, and nothing was lost or put in twice."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asyncrun.app.store_commands import StoreCall, open_store
from asyncrun.records import Chunk
from asyncrun.stores import SqliteStore
from asyncrun.stores.interface import Collection, StoredDocument
from tests.depth import times

KILLS = times(quick=1, deep=10)
SEED = random.SystemRandom().randrange(2**32)
DOCUMENTS = 800


def fill(path: Path) -> None:
    store = SqliteStore(path)
    store.open_collection(Collection("handbook", "a" * 32, 16))
    vectors = np.random.default_rng(1).normal(size=(DOCUMENTS, 2, 16)).astype(np.float32)
    chunks = [Chunk("First half.", 0, 11, 0, {"page": 1}), Chunk("Second half.", 12, 24, 1, {"page": 2})]
    for source, numbers in (("docs", range(500)), ("faq", range(500, DOCUMENTS))):
        store.commit("handbook", source, (StoredDocument(f"{n:04}", f"m{n}", chunks, vectors[n], {"n": n}) for n in numbers))
    store.close()


def write_jobs(folder: Path, other: dict[str, Any]) -> None:
    job = {"name": "n", "kind": "embed", "input": {"items": ["one"]}, "output": "out.jsonl"}
    (folder / "jobs.yaml").write_text(json.dumps({"stores": {"one": {"path": "one.db"}, "other": other}, "jobs": [job]}))


def kill_and_go_on(folder: Path) -> None:
    """Kill a copy again and again, each time after some more documents, then let it end, and compare."""
    rng = random.Random(SEED)
    fill(folder / "one.db")
    command = [sys.executable, "-m", "asyncrun", "store", "copy", "one", "--to", "other", "--json"]
    killed = 0
    with open_store(StoreCall("other", folder / "jobs.yaml")) as other:

        def copied() -> int:
            return sum(len(other.adapter.marks("handbook", source)) for source in ("docs", "faq"))

        for _ in range(KILLS):
            before = copied()
            with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                more = rng.randrange(0, DOCUMENTS // 2)
                while process.poll() is None and copied() < before + more:
                    time.sleep(0.005)
                process.kill()
            assert copied() >= before, f"seed {SEED}"
            killed += process.returncode == -9
            if process.returncode == 0:
                other.adapter.drop("handbook")
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, (ended.stderr, SEED)
    [done] = json.loads(ended.stdout)["collections"]
    assert done["copied"] + done["unchanged"] == DOCUMENTS
    assert done["removed"] == 0
    assert killed > 0
    assert rows(folder, "one") == rows(folder, "other"), f"seed {SEED}"


def rows(folder: Path, store: str) -> str:
    command = [sys.executable, "-m", "asyncrun", "store", "export", store, "handbook", "-o", "-", "-q"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_a_copy_goes_on_after_each_kill_and_ends_equal(tmp_path: Path) -> None:
    write_jobs(tmp_path, {"path": "other.db"})
    kill_and_go_on(tmp_path)


@pytest.mark.needs("postgresql")
def test_so_does_one_into_postgresql(tmp_path: Path, postgres: Any) -> None:
    postgres.run("CREATE SCHEMA killed_copy")
    write_jobs(tmp_path, {"type": "pgvector", "url": postgres.url, "schema": "killed_copy"})
    kill_and_go_on(tmp_path)


@pytest.mark.needs("lancedb")
@pytest.mark.usefixtures("lancedb_threads")
def test_so_does_one_into_lancedb(tmp_path: Path) -> None:
    write_jobs(tmp_path, {"type": "lancedb", "path": "lance"})
    kill_and_go_on(tmp_path)


@pytest.fixture(scope="module")
def lancedb_threads() -> None:
    """Start what LanceDB keeps as long as a process."""
    import lancedb

    lancedb.connect("memory://").list_tables()
