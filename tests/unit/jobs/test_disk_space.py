"""A run that cannot fit on the disk refuses before it sends anything."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from asyncrun.errors import StorageError
from asyncrun.jobs.disk_space import DiskCheck, check_disk_space, output_bytes


def test_what_lies_on_one_disk_is_added_up(tmp_path: Path) -> None:
    needs = {tmp_path / "state": 600, tmp_path / "out" / "deep": 600}
    check_disk_space(needs, lambda folder: 1200, "nothing was sent")
    with pytest.raises(StorageError, match="nothing was sent") as refused:
        check_disk_space(needs, lambda folder: 1199, "nothing was sent")
    assert refused.value.exit_code == 74


def test_what_digits_take_is_more_than_what_floats_take() -> None:
    assert output_bytes(10, 384, 0, "jsonl") > output_bytes(10, 384, 0, "parquet") > 10 * 384 * 4


def test_what_is_known_before_the_first_call_is_not_asked_again(tmp_path: Path) -> None:
    asked = []

    def needs() -> dict[Path, int]:
        asked.append(1)
        return {tmp_path: 10}

    disk_check = DiskCheck(needs, lambda folder: 10)
    disk_check.check()
    asyncio.run(disk_check.look())
    assert (len(asked), disk_check.error) == (1, None)
    with pytest.raises(StorageError, match="nothing was sent"):
        DiskCheck(needs, lambda folder: 9).check()


def test_the_first_answer_shows_whether_the_others_fit_and_is_the_only_one_that_is_asked(tmp_path: Path) -> None:
    known: list[dict[Path, int] | None] = [None, {tmp_path: 10}]
    disk_check = DiskCheck(lambda: known.pop(0), lambda folder: 9)
    disk_check.check()
    assert disk_check.error is None
    for _ in range(2):
        asyncio.run(disk_check.look())
    assert "nothing more is sent" in str(disk_check.error)
    assert known == []


def test_an_answer_without_a_vector_leaves_the_look_to_the_next_one(tmp_path: Path) -> None:
    known: list[dict[Path, int] | None] = [None, None, {tmp_path: 10}]
    disk_check = DiskCheck(lambda: known.pop(0), lambda folder: 9)
    disk_check.check()
    asyncio.run(disk_check.look())
    assert disk_check.error is None
    asyncio.run(disk_check.look())
    assert "nothing more is sent" in str(disk_check.error)
