"""Runs the example in a copy of the repository and puts its real output into the README, and its timeline into docs/traces.md."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDTH = "100"
CRITICAL_PATH = "Critical path"


def run_example(folder: Path) -> str:
    """Run the example in a folder and return what it prints on standard output."""
    for part in ("README.md", "jobs.example.yaml"):
        shutil.copy(ROOT / part, folder)
    shutil.copytree(ROOT / "docs", folder / "docs")
    return asyncrun(folder, "run", "jobs.example.yaml")


def asyncrun(folder: Path, *words: str) -> str:
    """Run a command in a folder and return what it prints on standard output."""
    environ = {**os.environ, "COLUMNS": WIDTH, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "asyncrun", *words]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True).stdout


def trace(folder: Path) -> str:
    """Return what `asyncrun trace` shows beyond what the run itself has shown: from the critical path on."""
    return CRITICAL_PATH + asyncrun(folder, "trace").partition(CRITICAL_PATH)[2]


def put(text: str, marker: str, block: str) -> str:
    """Put a block between the markers of a text."""
    pattern = re.compile(rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)", re.DOTALL)
    return pattern.sub(lambda match: f"{match[1]}```text\n{block.rstrip()}\n```\n{match[2]}", text)


def main() -> None:
    """Write the pages."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        blocks = {"transcript": run_example(folder)}
        blocks |= {"trace": trace(folder), "timeline": asyncrun(folder, "trace", "timeline")}
    for page in (ROOT / "README.md", ROOT / "docs" / "traces.md"):
        text = page.read_text(encoding="utf-8")
        for marker, block in blocks.items():
            text = put(text, marker, block)
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
