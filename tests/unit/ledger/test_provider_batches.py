from __future__ import annotations

import asyncio
import io
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from asyncrun.errors import StorageError
from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.portable import portable_lines, read_portable
from asyncrun.ledger.provider_batches import (
    BatchFailure,
    BatchRecord,
    RecordState,
    add_waiting,
    all_provider_batches,
    provider_batch,
    provider_batches,
    put_provider_batch,
)
from asyncrun.ledger.repair import repair_ledger, request_repair

RECORD = BatchRecord(
    tag="a" * 20,
    job="jobs.yaml/notes",
    space="f" * 32,
    generation=0,
    provider="openai",
    host="api.openai.com",
    model="m",
    purpose="embeddings",
    state=RecordState.INTENDED,
    file=None,
    batch=None,
    created=1_700_000_000.0,
    requests=2,
    tokens=10,
    cost=1,
    failures=(),
    keys=bytes(16) + bytes([1]) * 16,
)


def test_a_batch_is_found_as_it_was_put_with_the_key_of_each_request(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    try:
        done = replace(RECORD, state=RecordState.COLLECTED, file="file-1", batch="batch-1", failures=(BatchFailure(1, "refused", "no"),))
        asyncio.run(put_provider_batch(ledger, RECORD))
        assert provider_batches(ledger, RECORD.space) == [RECORD]
        asyncio.run(put_provider_batch(ledger, done))
        assert provider_batch(ledger, RECORD.tag) == done
        assert done.key(1) == bytes([1]) * 16
        assert all_provider_batches(tmp_path / "ledger.db") == [done]
    finally:
        ledger.close()


def test_a_damaged_row_is_as_good_as_absent_and_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    ledger = Ledger(tmp_path / "ledger.db", warn=said.append)
    try:
        asyncio.run(put_provider_batch(ledger, RECORD))
        with sqlite3.connect(tmp_path / "ledger.db") as connection:
            connection.execute("UPDATE provider_batches SET batch = 'another'")
        connection.close()
        assert provider_batches(ledger, RECORD.space) == []
        assert [sentence for sentence in said if "provider_batches" in sentence and "sent again" in sentence]
        assert all_provider_batches(tmp_path / "ledger.db") == []
    finally:
        ledger.close()


def test_what_waits_goes_with_a_portable_ledger_and_what_is_known_already_stays(tmp_path: Path) -> None:
    submitted = replace(RECORD, state=RecordState.SUBMITTED, batch="batch-1")
    intended, done = replace(RECORD, tag="b" * 20), replace(RECORD, tag="c" * 20, state=RecordState.COLLECTED)
    ledger, other = Ledger(tmp_path / "ledger.db"), Ledger(tmp_path / "other.db")
    try:
        for record in (submitted, intended, done):
            asyncio.run(put_provider_batch(ledger, record))
        lines = b"".join(line for line, _, _ in portable_lines(tmp_path / "ledger.db"))
        taken = [record for record in read_portable(io.BytesIO(lines), "finished.jsonl") if isinstance(record, BatchRecord)]
        assert taken == [submitted]
        asyncio.run(add_waiting(other, taken))
        collected = replace(submitted, state=RecordState.COLLECTED)
        asyncio.run(put_provider_batch(other, collected))
        asyncio.run(add_waiting(other, taken))
        assert provider_batches(other, RECORD.space) == [collected]
        with pytest.raises(StorageError, match="it does not fit its checksum"):
            list(read_portable(io.BytesIO(lines.replace(b"batch-1", b"batch-2")), "finished.jsonl"))
    finally:
        ledger.close()
        other.close()


def test_what_waits_is_kept_when_a_damaged_ledger_is_repaired(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger(path)
    asyncio.run(put_provider_batch(ledger, replace(RECORD, state=RecordState.SUBMITTED, batch="batch-1")))
    ledger.close()
    request_repair(path)
    assert repair_ledger(path, lambda: None) is not None
    assert [record.batch for record in all_provider_batches(path)] == ["batch-1"]
