"""One run per job file."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from asyncrun.errors import LockedError, StorageError
from asyncrun.process_locks import hold_run_lock


def test_a_second_holder_is_told_who_the_first_one_is(tmp_path: Path) -> None:
    lock = tmp_path / "jobs.yaml.lock"
    with (
        hold_run_lock(lock, 0.0),
        pytest.raises(LockedError, match=rf"process {os.getpid()} on .*, since 1970-01-01T00:00:00"),
        hold_run_lock(lock, 0.0),
    ):
        pass


def test_a_released_lock_can_be_held_again(tmp_path: Path) -> None:
    lock = tmp_path / "jobs.yaml.lock"
    for _ in range(2):
        with hold_run_lock(lock, 0.0):
            assert lock.stat().st_mode & 0o777 == 0o600


def test_a_symbolic_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("text")
    lock = tmp_path / "jobs.yaml.lock"
    lock.symlink_to(target)
    with pytest.raises(StorageError, match="cannot open the lock"), hold_run_lock(lock, 0.0):
        pass
    assert target.read_text() == "text"


def test_on_a_full_disk_it_is_told_and_the_lock_is_free_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    lock = tmp_path / "jobs.yaml.lock"
    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(StorageError, match=r"cannot take the lock .*: No space left on device"), hold_run_lock(lock, 0.0):
            pass
    with hold_run_lock(lock, 0.0):
        pass
