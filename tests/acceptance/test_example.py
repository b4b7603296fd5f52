"""The example answers from this project's own pages, and costs nothing the second time."""

from __future__ import annotations

import json
import subprocess
import sys

from .conftest import Example


def test_the_example_finds_the_right_pages(example: Example) -> None:
    answers = [json.loads(line) for line in (example.folder / "out/answers.jsonl").read_text().splitlines()]
    best = {row["query"]: row["hits"][0] for row in answers}
    assert best["how do I resume after a crash?"]["doc_id"] == "resume.md"
    assert "Run the same command again" in best["how do I resume after a crash?"]["text"]
    assert best["which exit code means that I should run it again later?"]["doc_id"] == "exit-codes.md"


def test_the_second_run_of_the_example_sends_nothing_and_leaves_what_is_there(example: Example) -> None:
    written = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (example.folder / "out").iterdir()}
    command = [sys.executable, "-m", "asyncrun", "run", "jobs.example.yaml", "--json"]
    ran = subprocess.run(command, cwd=example.folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    second = json.loads(ran.stdout.splitlines()[-1])
    assert second["status"] == "succeeded"
    assert (second["requests"], second["cached"]) == (0, second["ok"])
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (example.folder / "out").iterdir()} == written
