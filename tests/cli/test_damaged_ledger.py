"""A run that finds its ledger damaged says so, keeps what is whole, and ends with the same output."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import SeenRequest
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]
ITEMS, BATCH = 320, 8


@pytest.fixture
def ledger(asyncrun: Command, tmp_path: Path, server: FakeServer) -> Path:
    """The ledger of a finished run, whose output is gone."""
    (tmp_path / "items.jsonl").write_text("".join(json.dumps({"id": str(n), "text": f"text {n}"}) + "\n" for n in range(ITEMS)))
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "dimensions": 512, "batch": {"max_items": BATCH}}
    job = {"name": "all", "kind": "embed", "input": "items.jsonl", "output": "out.jsonl", "embedder": embedder, "workers": 1}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    assert asyncrun("run").code == 0
    shutil.move(tmp_path / "out.jsonl", tmp_path / "undisturbed.jsonl")
    return tmp_path / ".asyncrun" / "ledger.db"


def change(ledger: Path, statement: str) -> None:
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute(statement)


def same(folder: Path) -> bool:
    return (folder / "out.jsonl").read_bytes() == (folder / "undisturbed.jsonl").read_bytes()


def test_a_truncated_ledger_is_set_aside_and_only_what_is_lost_is_sent_again(
    asyncrun: Command, tmp_path: Path, server: FakeServer, ledger: Path
) -> None:
    data = ledger.read_bytes()
    ledger.write_bytes(data[: len(data) * 2 // 3])
    answer = asyncrun("run")
    assert answer.code == 0
    assert "the ledger was damaged and is set aside as ledger.db.damaged" in answer.err
    assert ledger.with_name("ledger.db.damaged").exists()
    assert {file.stat().st_mode & 0o077 for file in ledger.parent.glob("ledger*")} == {0}
    times = Counter(server.sent_texts)
    assert 0 < sum(times.values()) - ITEMS < ITEMS * 2 // 3
    assert same(tmp_path)
    again = asyncrun("run")
    assert (again.code, len(server.sent_texts)) == (0, sum(times.values()))
    assert "damaged" not in again.err


@pytest.mark.parametrize("request_number", [1, 3])
def test_a_ledger_that_is_removed_during_a_run_ends_it(
    asyncrun: Command, tmp_path: Path, server: FakeServer, ledger: Path, request_number: int
) -> None:
    shutil.rmtree(ledger.parent)
    began = len(server.requests)

    def removed(request: SeenRequest) -> float:
        if len(server.requests) - began == request_number:
            ledger.unlink()
        return 0.0

    server.latency = removed
    answer = asyncrun("run")
    assert answer.code == 74
    assert f"the ledger {ledger} was removed or replaced while it was in use" in answer.err
    assert not (tmp_path / "out.jsonl").exists()
    assert len(server.requests) - began < ITEMS // BATCH
    assert asyncrun("run").code == 0
    assert same(tmp_path)


@pytest.mark.parametrize("words", ["plan", "failed", "export jobs.yaml all -o rows.jsonl", "ledger stats", "clean --dry-run"])
def test_who_looks_at_a_damaged_ledger_is_told_that_a_run_mends_it(asyncrun: Command, ledger: Path, words: str) -> None:
    data = b"no database" * 5000
    ledger.write_bytes(data)
    answer = asyncrun(*words.split())
    assert answer.code == 74
    assert "ledger.db cannot be read" in answer.err
    assert "`asyncrun run` sets it aside and keeps what is whole" in answer.err
    assert ledger.read_bytes() == data
    assert asyncrun("run").code == 0
    assert asyncrun(*words.split()).code == 0


@pytest.mark.parametrize("damage", ["vectors = zeroblob(length(vectors))", "count = count + 1"])
def test_damaged_rows_are_dropped_named_and_sent_again(
    asyncrun: Command, tmp_path: Path, server: FakeServer, ledger: Path, damage: str
) -> None:
    change(ledger, f"UPDATE batches SET {damage} WHERE id IN (4, 9)")
    first = asyncrun("run")
    assert first.code == 74
    assert "batch 4 of the ledger does not fit its checksum" in first.err
    assert "batch 9 of the ledger does not fit its checksum" in first.err
    assert asyncrun("run").code == 0
    assert len(server.sent_texts) == ITEMS + 2 * BATCH
    assert same(tmp_path)


@pytest.mark.parametrize("damage", ["keys = zeroblob(length(keys))", "dimensions = dimensions + 1"])
def test_rows_whose_keys_or_size_are_damaged_cost_nothing_but_themselves_and_once(
    asyncrun: Command, tmp_path: Path, server: FakeServer, ledger: Path, damage: str
) -> None:
    change(ledger, f"UPDATE batches SET {damage} WHERE id IN (1, 9)")
    first, second = asyncrun("run"), asyncrun("run")
    assert (first.code, second.code) == (0, 0)
    assert "batch 1 of the ledger does not fit its checksum" in first.err
    assert "batch 9 of the ledger does not fit its checksum" in first.err
    assert "checksum" not in second.err
    assert len(server.sent_texts) == ITEMS + 2 * BATCH
    assert same(tmp_path)


def test_a_ledger_of_a_newer_version_is_refused_before_anything_is_sent(
    asyncrun: Command, tmp_path: Path, server: FakeServer, ledger: Path
) -> None:
    change(ledger, "PRAGMA user_version = 99")
    sent = len(server.sent_texts)
    answer = asyncrun("run")
    assert answer.code == 74
    assert "newer" in answer.err
    assert len(server.sent_texts) == sent
