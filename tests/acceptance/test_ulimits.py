"""A process that may have little memory ends in a sentence, and what is finished stays."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.depth import first

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its address space")


def run(folder: Path, megabytes: int | None) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        if megabytes is not None:
            resource.setrlimit(resource.RLIMIT_AS, (megabytes * 1_000_000, megabytes * 1_000_000))

    command = [sys.executable, "-m", "asyncrun", "run", "jobs.yaml"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False, preexec_fn=limit)


@pytest.mark.parametrize("megabytes", first([300, 600, 220, 450], quick=2))
def test_little_memory_ends_with_74_and_a_sentence_and_the_next_run_goes_on(tmp_path: Path, megabytes: int) -> None:
    (tmp_path / "jobs.yaml").write_text("jobs: [{name: n, kind: embed, input: {items: [a text, another]}, output: out.jsonl}]\n")
    done = run(tmp_path, megabytes)
    told = done.stdout + done.stderr
    assert done.returncode == 74, told
    assert "internal error" not in told
    assert any(words in told for words in ("memory", "threads", "address space")), told
    assert run(tmp_path, None).returncode == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "words",
    [
        "libblas.so: failed to map segment from shared object",
        "libblas.so: cannot create shared object descriptor: Cannot allocate memory",
    ],
)
def test_a_library_that_finds_no_memory_is_no_internal_error(tmp_path: Path, words: str) -> None:
    """How much memory it takes until a library can be loaded differs: here it never can."""
    (tmp_path / "numpy.py").write_text(f"raise ImportError({f'IMPORTANT: please read this! {words}'!r})\n")
    (tmp_path / "jobs.yaml").write_text("jobs: [{name: n, kind: embed, input: {items: [a text]}, output: out.jsonl}]\n")
    command = [sys.executable, "-m", "asyncrun", "run", "jobs.yaml"]
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False, env=environ)
    assert done.returncode == 74, done
    assert "asyncrun: there is no memory for a library of this process" in done.stderr
    assert "internal error" not in done.stderr
