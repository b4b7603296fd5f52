"""Whoever changes what others may be changing waits for them, and for nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncrun.errors import TryLaterError
from asyncrun.process_locks import hold_folder


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    with hold_folder(tmp_path), pytest.raises(TryLaterError, match="another process holds the folder"), hold_folder(tmp_path, 0):
        pytest.fail("two hold it")
    with hold_folder(tmp_path, 0):
        pass


def test_a_folder_that_is_held_does_not_hold_up_another_one(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with hold_folder(tmp_path), hold_folder(tmp_path / "other", 0):
        for held in (tmp_path, tmp_path / "other"):
            with pytest.raises(TryLaterError), hold_folder(held, 0):
                pytest.fail("two hold it")


def test_a_folder_that_is_not_there_is_not_waited_for(tmp_path: Path) -> None:
    with hold_folder(tmp_path / "none"), hold_folder(tmp_path / "none", 0):
        pass
    assert not (tmp_path / "none").exists()
