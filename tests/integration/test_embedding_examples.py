"""The examples for Heroku and Isaacus run as they stand, without a key and without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.depth import first

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NO_KEYS = {"EMBEDDING_URL", "EMBEDDING_KEY", "EMBEDDING_MODEL_ID", "ISAACUS_API_KEY", "ISAACUS_BASE_URL"}


@pytest.mark.parametrize(("name", "more"), first([("isaacus", ["without await: 8 dimensions"]), ("heroku", [])]))
def test_an_example_shows_one_text_a_batch_and_how_alike_they_are(name: str, more: list[str]) -> None:
    environ = {variable: value for variable, value in os.environ.items() if variable not in NO_KEYS}
    command = [sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[:2] == ["one text: 8 dimensions", "a batch: 3 vectors"]
    assert [-1 <= float(line.split()[0]) <= 1 for line in lines[2:5]] == [True] * 3
    assert lines[5:] == more
    assert "no-secret" not in ended.stdout + ended.stderr
