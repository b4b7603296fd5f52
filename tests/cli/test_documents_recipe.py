"""The recipe of documents and the README's section are followed in folders of them, and print what they show."""

from __future__ import annotations

import re
from pathlib import Path
from runpy import run_path

import pytest

from tests.depth import cases

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "recipes" / "documents.md"


def steady(text: str) -> str:
    """Return a text without what another version of SQLite, or another processor, may round otherwise."""
    return re.sub(r"[0-9.]+(?= KB)|0\.[0-9]+", "N", text)


@pytest.mark.parametrize("page", cases({"documents": PAGE}).values())
def test_the_page_shows_what_is_printed(page: Path, tmp_path: Path) -> None:
    shown = page.read_text(encoding="utf-8")
    follow = run_path(str(ROOT / "scripts" / "documents_recipe.py"))["follow"]
    assert steady(follow(shown, tmp_path)) == steady(shown)
    assert "manual.pdf, 3" in shown


@pytest.mark.parametrize("page", cases({"documents": ROOT / "README.md"}).values())
def test_the_readme_shows_what_is_printed(page: Path, tmp_path: Path) -> None:
    script = run_path(str(ROOT / "scripts" / "documents_recipe.py"))
    shown = script["SECTION"].search(page.read_text(encoding="utf-8"))[0]
    assert steady(script["follow"](shown, tmp_path)) == steady(shown)
    assert "manual.pdf  page 3" in shown
