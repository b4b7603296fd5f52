"""The pictures of the README show what the program shows, and load nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "pictures"
PICTURES = sorted(FOLDER.glob("*.svg"))


def test_the_pictures_are_up_to_date_whatever_terminal_they_are_made_on() -> None:
    command = [sys.executable, ROOT / "scripts" / "pictures.py", "--check"]
    environ = {"COLUMNS": "30", "NO_COLOR": "1", "TERM": "dumb"}
    checked = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert checked.returncode == 0, checked.stderr


def test_the_readme_shows_every_picture() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in PICTURES} == set(re.findall(r'="docs/pictures/([^"]+)"', readme))


def test_a_picture_loads_nothing() -> None:
    for path in FOLDER.rglob("*.svg"):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.findall(r"https?:|url\((?!#)|href|<script", text), path.name
