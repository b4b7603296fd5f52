"""What is private stays so, whatever others have put in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncrun.state_folder import open_state_folder, write_private


def test_a_private_file_takes_the_place_of_nothing(tmp_path: Path) -> None:
    elsewhere, place = tmp_path / "elsewhere", tmp_path / "place"
    place.symlink_to(elsewhere)
    with pytest.raises(FileExistsError):
        write_private(place, b"a secret")
    assert not elsewhere.exists()
    place.unlink()
    place.touch(mode=0o666)
    with pytest.raises(FileExistsError):
        write_private(place, b"a secret")
    place.unlink()
    write_private(place, b"a secret")
    assert place.stat().st_mode & 0o777 == 0o600


def test_a_state_folder_may_be_opened_again_and_a_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    folder = open_state_folder(tmp_path / "deep" / "state")
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / ".gitignore").write_text("mine\n")
    assert (open_state_folder(folder) / ".gitignore").read_text() == "mine\n"
