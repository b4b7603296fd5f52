"""Follows the recipe of documents and the README's section in folders that the tests make, and puts what is really printed into them.

Usage: `python scripts/documents_recipe.py` writes both.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "recipes" / "documents.md"
BLOCK = re.compile(r"(?P<above>[^\n]*)\n\n?```(?P<language>\w+)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"`([\w./-]+)`:$")
MADE = "<!-- documents_recipe -->"
README = ROOT / "README.md"
SECTION = re.compile(r"^## Documents, stores and a change of model$.*?(?=^## )", re.DOTALL | re.MULTILINE)


def follow(page: str, folder: Path) -> str:
    """Return the page as it is printed where a reader types it in a folder."""
    sys.path.insert(0, str(ROOT))
    from tests.documents_folder import make_folder

    make_folder(folder / "papers")
    printed = ""

    def typed(block: re.Match[str]) -> str:
        nonlocal printed
        if block["above"] == MADE:
            return f"{MADE}\n```text\n{printed.rstrip()}\n```"
        if named := NAMED.search(block["above"]):
            (folder / named[1]).write_text(block["code"])
        else:
            printed = _run(block["language"], block["code"], folder)
        return block[0]

    return BLOCK.sub(typed, page)


def _run(language: str, code: str, folder: Path) -> str:
    """Return what a block of commands or a program prints."""
    shell = f'asyncrun() {{ "{sys.executable}" -m asyncrun "$@"; }}\nset -euo pipefail\n{code}'
    command = ["bash", "-c", shell] if language == "sh" else [sys.executable, "-c", code]
    environ = {**os.environ, "COLUMNS": "100", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{code}\nended with {ran.returncode}: {ran.stderr}")
    return ran.stdout


def main() -> None:
    """Write the page and the section."""
    with tempfile.TemporaryDirectory() as name:
        PAGE.write_text(follow(PAGE.read_text(encoding="utf-8"), Path(name)), encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        text = SECTION.sub(lambda section: follow(section[0], Path(name)), README.read_text(encoding="utf-8"))
        README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
