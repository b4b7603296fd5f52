"""A run that cannot fit on the disk refuses before it sends anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncrun.errors import StorageError
from asyncrun.kinds.room import check_room, ledger_bytes, output_bytes


def test_what_lies_on_one_disk_is_added_up(tmp_path: Path) -> None:
    needs = {tmp_path / "state": 600, tmp_path / "out" / "deep": 600}
    check_room(needs, lambda folder: 1200)
    with pytest.raises(StorageError, match="nothing was sent") as refused:
        check_room(needs, lambda folder: 1199)
    assert refused.value.exit_code == 74


def test_what_digits_take_is_more_than_what_floats_take() -> None:
    assert output_bytes(10, 384, 0, "jsonl") > output_bytes(10, 384, 0, "parquet") > ledger_bytes(10, 384) * 0.9
