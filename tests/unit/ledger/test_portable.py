"""A portable ledger: what was made last comes first."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import numpy as np

from asyncrun.ledger.ledger import Finished, Ledger
from asyncrun.ledger.portable import portable_lines, read_portable
from asyncrun.records import Space, content_key

SPACE = Space("local", "m")


def test_of_a_vector_that_was_made_again_the_newer_is_read_before_the_older(ledger: Ledger, tmp_path: Path) -> None:
    for number in (1.0, 2.0):
        asyncio.run(ledger.put(SPACE, Finished([content_key("text")], np.full((1, 2), number, np.float32), [0])))
    lines = b"".join(line for line, _, _ in portable_lines(tmp_path / "ledger.db"))
    batches = [batch for _, batch in read_portable(io.BytesIO(lines), "finished.jsonl")]
    assert [batch.vectors[0, 0] for batch in batches if isinstance(batch, Finished)] == [2.0, 1.0]
