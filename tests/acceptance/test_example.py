"""The example answers from this project's own pages, and costs nothing the second time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def run_example(folder: Path) -> Any:
    command = [sys.executable, "-m", "asyncrun", "run", "jobs.example.yaml", "--json"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def test_the_example_finds_the_right_pages_and_its_second_run_sends_nothing(tmp_path: Path) -> None:
    for name in ("README.md", "jobs.example.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    first = run_example(tmp_path)
    assert first["status"] == "succeeded"
    answers = [json.loads(line) for line in (tmp_path / "out/answers.jsonl").read_text().splitlines()]
    best = {row["query"]: row["hits"][0] for row in answers}
    assert best["how do I resume after a crash?"]["doc_id"] == "resume.md"
    assert "Run the same command again" in best["how do I resume after a crash?"]["text"]
    assert best["which exit code means that I should run it again later?"]["doc_id"] == "exit-codes.md"
    written = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (tmp_path / "out").iterdir()}
    second = run_example(tmp_path)
    assert (second["requests"], second["cached"]) == (0, second["ok"])
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (tmp_path / "out").iterdir()} == written
