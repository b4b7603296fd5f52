"""What is to be sent is kept in order, in memory or in a file, and only what is not finished."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from asyncrun.errors import Place, StorageError
from asyncrun.jobs.unfinished_texts import IN_MEMORY, Spool, UnfinishedText, UnfinishedTexts
from asyncrun.ledger.key_index import KeyIndex, keys_array
from asyncrun.records import Item, text_key


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool[UnfinishedText]]:
    spool = Spool[UnfinishedText](tmp_path)
    yield spool
    spool.close()


def index_of(*texts: str) -> KeyIndex:
    count = len(texts)
    return KeyIndex(keys_array(b"".join(map(text_key, texts))), np.zeros(count, dtype=np.int64), np.arange(count, dtype=np.int32))


@pytest.mark.parametrize("size", [1, IN_MEMORY // 2000], ids=["in memory", "in a file"])
def test_unfinished_texts_come_back_in_order_as_often_as_they_are_read(spool: Spool[UnfinishedText], tmp_path: Path, size: int) -> None:
    words = [f"{number} é" * size for number in range(3000)]
    texts = UnfinishedTexts(spool, index_of(*words[::3]))
    for ordinal, text in enumerate(words):
        texts.add(ordinal, text_key(text), len(text.encode()), Item(f"id {ordinal}", text, Place("in.jsonl", ordinal)))
    open_texts = [ordinal for ordinal in range(3000) if ordinal % 3]
    for _ in range(2):
        assert [(text.ordinal, text.id, text.place.line) for text in texts] == [(number, f"id {number}", number) for number in open_texts]
    send = np.zeros(3000, dtype=bool)
    send[[3, 4, 2999]] = True
    sent = [(each.ordinal, each.text, each.key, each.size) for each in texts.pending(send)]
    assert sent == [(number, words[number], text_key(words[number]), len(words[number].encode())) for number in (4, 2999)]
    assert list(tmp_path.iterdir()) == []


def test_a_pass_that_goes_on_after_its_job_was_ended_takes_nothing_from_the_next_one(spool: Spool[UnfinishedText]) -> None:
    rows = [UnfinishedText(number, text_key(str(number)), 1, str(number), f"id {number}", Place("in.jsonl", number)) for number in range(8)]
    for start in range(0, 8, 2):
        spool.add(rows[start : start + 2])
    ended = iter(spool)
    first = next(ended)
    now = iter(spool)
    assert [next(now), *ended, *now] == [rows[0], *rows[1:], *rows[1:]]
    assert first == rows[0]


def test_a_disk_that_takes_no_more_ends_the_job_with_what_to_do(tmp_path: Path) -> None:
    spool = Spool[bytes](tmp_path / "gone")
    with pytest.raises(StorageError, match="what is to be sent cannot be kept in") as refused:
        spool.add([bytes(IN_MEMORY + 1)])
    spool.close()
    assert "--state-dir" in refused.value.hint
