"""The script that draws the module map does what CI relies on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project of two floors, with the pages that show its map."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "module_map.py", tmp_path / "scripts")
    (tmp_path / "pyproject.toml").write_text('[[tool.importlinter.contracts]]\ntype = "layers"\nlayers = ["room | (hall)", "errors"]\n')
    for name, line in {
        "room/__init__": "A room.",
        "room/chair": "A chair.\n\nMore.",
        "hall/__init__": "A hall.",
        "errors": "What goes wrong.",
    }.items():
        file = tmp_path / "asyncrun" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'"""{line}"""\n')
    (tmp_path / "docs").mkdir()
    for page in ("README.md", "docs/modules.md"):
        (tmp_path / page).write_text("before\n<!-- module map -->\n<!-- /module map -->\nafter\n")
    return tmp_path


def draw(project: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(project / "scripts" / "module_map.py"), *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def shown(project: Path, page: str) -> list[str]:
    lines = (project / page).read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    return [" ".join(line.split()) for line in lines[3:-3]]


def test_the_maps_stand_between_their_markers_floor_by_floor(project: Path) -> None:
    assert draw(project).returncode == 0
    assert shown(project, "README.md") == ["1 room/ hall/", "and modules beside the folders, which those above them share"]
    assert shown(project, "docs/modules.md") == [
        "1 room/ A room.",
        "chair.py A chair.",
        "1 hall/ A hall.",
        "0 errors.py What goes wrong.",
    ]


def test_a_map_that_is_out_of_date_is_told_and_left_alone(project: Path) -> None:
    former = (project / "README.md").read_text()
    checked = draw(project, "--check")
    assert (checked.returncode, (project / "README.md").read_text()) == (1, former)
    assert "python scripts/module_map.py" in checked.stderr
    draw(project)
    assert draw(project, "--check").returncode == 0


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("README.md", "no markers\n", "README.md has no <!-- module map -->"),
        ("docs/modules.md", "no markers\n", "modules.md has no <!-- module map -->"),
        ("asyncrun/room/chair.py", "x = 1\n", "no docstring"),
    ],
)
def test_what_prevents_the_map_is_said_in_a_sentence(project: Path, file: str, content: str, said: str) -> None:
    (project / file).write_text(content)
    drawn = draw(project)
    assert drawn.returncode == 1
    assert said in drawn.stderr
    assert "Traceback" not in drawn.stderr
