"""The page about commands says what `--help` says, and the first page of the docs names all others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_up_to_date() -> None:
    command = [sys.executable, ROOT / "scripts" / "commands_page.py", "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_the_index_names_every_page_and_no_other() -> None:
    docs = ROOT / "docs"
    index = (docs / "index.md").read_text(encoding="utf-8")
    pages = {page.relative_to(docs).as_posix() for page in docs.rglob("*") if page.suffix in {".md", ".json"}} - {"index.md"}
    named = {part.partition(")")[0] for part in index.split("](")[1:]}
    assert named == pages - {"index.md"} | {"library-reference.md"}  # which is made with the site
