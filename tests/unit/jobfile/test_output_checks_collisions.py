from __future__ import annotations

from pathlib import Path

import pytest

from asyncrun.jobfile.output_checks import find_collision, locate, protect_database, protect_files, protect_folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("there").mkdir()
    Path("there/a").write_text("a")
    Path("way").symlink_to("there")
    Path("soft").symlink_to("there/a")
    Path("hard").hardlink_to("there/a")
    Path("nowhere").symlink_to("there/not-yet")
    Path("round").symlink_to("round")
    return tmp_path


@pytest.mark.parametrize("name", ["there/a", "./there/../there/a", "way/a", "soft", "hard"])
def test_a_file_is_told_under_all_its_names(folder: Path, name: str) -> None:
    kept = [protect_files("b", [locate(Path("there/b"))]), protect_files("a", [locate(Path("there/a"))])]
    assert find_collision([locate(Path(name)), locate(Path(folder / name))], kept) == "a"


@pytest.mark.parametrize("name", ["there/not-yet", "way/not-yet", "nowhere"])
def test_what_is_not_there_yet_is_told_by_where_it_would_be(folder: Path, name: str) -> None:
    assert find_collision([locate(Path(name))], [protect_files("new", [locate(Path("there/not-yet"))])]) == "new"


@pytest.mark.parametrize(
    ("name", "inside"), [("there/a", True), ("way/new/file", True), ("hard", True), ("there", True), ("therein", False)]
)
def test_a_folder_holds_all_below_it_also_what_has_another_name_elsewhere(folder: Path, name: str, inside: bool) -> None:
    assert (find_collision([locate(Path(name))], [protect_folder("in it", Path("way"))]) == "in it") == inside


@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal"])
def test_a_database_has_files_beside_it_where_its_link_leads(folder: Path, ending: str) -> None:
    assert find_collision([locate(Path(f"there/a{ending}"))], [protect_database("it", Path("soft"))]) == "it"


@pytest.mark.parametrize("name", ["there/other", "round", "new"])
def test_all_else_is_free(folder: Path, name: str) -> None:
    kept = [protect_files("a", [locate(Path("there/a"))]), protect_database("b", Path("there/b"))]
    assert find_collision([locate(Path(name))], kept) is None
