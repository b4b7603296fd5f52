"""Every Python snippet of the README and the docs runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def snippets() -> list[tuple[str, str]]:
    """Return the indented blocks that begin with an import, with the page and the number of each."""
    found = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        blocks = re.findall(r"(?:^(?:    .*)?\n)+", page.read_text(encoding="utf-8"), re.MULTILINE)
        codes = [code for block in blocks if (code := textwrap.dedent(block).strip()).startswith(("import ", "from "))]
        found += [(f"{page.name}-{number}", code) for number, code in enumerate(codes, 1)]
    return found


SNIPPETS = snippets()


def test_there_are_snippets() -> None:
    assert {name.split("-")[0] for name, _ in SNIPPETS} >= {"README.md", "library.md"}


@pytest.mark.parametrize("code", [code for _, code in SNIPPETS], ids=[name for name, _ in SNIPPETS])
def test_a_snippet_runs_and_prints_something(code: str, tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()
