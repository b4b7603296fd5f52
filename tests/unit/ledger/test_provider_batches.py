from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path

from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.provider_batches import (
    BatchFailure,
    BatchRecord,
    RecordState,
    all_provider_batches,
    forget_provider_batches,
    provider_batch,
    provider_batches,
    put_provider_batch,
)

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
        asyncio.run(forget_provider_batches(ledger, [RECORD.tag]))
        assert provider_batch(ledger, RECORD.tag) is None
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
