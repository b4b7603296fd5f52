"""A closed or full stream never breaks a run, and never reaches a file of its own."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from asyncrun.testing.server import FakeServer


@pytest.mark.parametrize(("redirection", "code"), [("2>&-", 0), (">&- 2>&-", 0), ("<&-", 0), ("| head -c 1", 0), ("> /dev/full", 74)])
def test_a_run_survives_its_streams(tmp_path: Path, redirection: str, code: int) -> None:
    (tmp_path / "notes.jsonl").write_text('{"id": "a", "text": "one"}\n')
    with FakeServer().in_thread() as server:
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
        job = {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
        command = f"set -o pipefail; {shlex.quote(sys.executable)} -m asyncrun run {redirection}"
        ran = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == code, ran.stderr
    assert "Traceback" not in ran.stderr
    [row] = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert row["id"] == "a"
