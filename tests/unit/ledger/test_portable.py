"""A portable ledger: what was made last comes first."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import numpy as np
import pytest

from asyncrun.errors import StorageError
from asyncrun.ledger.answers import answer_key, put_answers
from asyncrun.ledger.ledger import Finished, Ledger
from asyncrun.ledger.portable import portable_lines, read_portable
from asyncrun.records import Answer, Space, text_key

SPACE = Space("local", "m")


def test_of_a_vector_that_was_made_again_the_newer_is_read_before_the_older(ledger: Ledger, tmp_path: Path) -> None:
    for number in (1.0, 2.0):
        asyncio.run(ledger.put(SPACE, Finished([text_key("text")], np.full((1, 2), number, np.float32), [0])))
    lines = b"".join(line for line, _, _ in portable_lines(tmp_path / "ledger.db"))
    batches = [batch for _, batch in read_portable(io.BytesIO(lines), "finished.jsonl")]
    assert [batch.vectors[0, 0] for batch in batches if isinstance(batch, Finished)] == [2.0, 1.0]


def test_a_changed_letter_of_an_answer_is_named_and_not_believed(ledger: Ledger, tmp_path: Path) -> None:
    asyncio.run(put_answers(ledger, SPACE, {answer_key(SPACE, [("user", "Is it so?")]): Answer("Yes.", "stop")}))
    lines = b"".join(line for line, _, _ in portable_lines(tmp_path / "ledger.db"))
    assert len(list(read_portable(io.BytesIO(lines), "finished.jsonl"))) == 1
    with pytest.raises(StorageError, match="it does not fit its checksum") as caught:
        list(read_portable(io.BytesIO(lines.replace(b"Yes", b"yes")), "finished.jsonl"))
    assert str(caught.value.place) == "finished.jsonl:2"
