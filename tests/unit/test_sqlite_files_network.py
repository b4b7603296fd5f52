"""A ledger belongs to one machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncrun.errors import StorageError
from asyncrun.sqlite_files import check_filesystem, filesystem_of


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "ceph", "fuse.sshfs"])
def test_a_network_file_system_is_refused_with_the_way_out(kind: str) -> None:
    with pytest.raises(StorageError, match="network file system") as caught:
        check_filesystem(Path("/home/me/.asyncrun"), kind)
    assert "--state-dir" in caught.value.hint


def is_refused(kind: str | None) -> bool:
    try:
        check_filesystem(Path("/home/me/.asyncrun"), kind)
    except StorageError:
        return True
    return False


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "9p", None])
def test_others_are_not(kind: str | None) -> None:
    assert not is_refused(kind)


def test_the_file_system_of_a_folder_of_this_machine_is_none_of_a_network(tmp_path: Path) -> None:
    assert not is_refused(filesystem_of(tmp_path))
