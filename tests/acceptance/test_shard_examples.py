"""The examples of shards do what they say: the script for Slurm without Slurm, the workflow for GitHub without GitHub."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.depth import DEEP

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "shards"
ITEMS = 30


@pytest.fixture
def job_file(tmp_path: Path) -> Path:
    """A job file whose input has an empty text; what it writes without shards is in `whole.jsonl`."""
    rows = [json.dumps({"id": str(number), "text": f"text {number}" if number else " "}) for number in range(ITEMS)]
    (tmp_path / "items.jsonl").write_text("\n".join(rows))
    path = tmp_path / "jobs.yaml"
    path.write_text("jobs: [{name: vectors, kind: embed, input: items.jsonl, output: vectors.jsonl}]")
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "asyncrun").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m asyncrun "$@"\n')
    (bin_folder / "asyncrun").chmod(0o755)
    assert run(tmp_path, "asyncrun run --output whole.jsonl vectors --state-dir other") == 3
    shutil.rmtree(tmp_path / "other")
    return path


def run(folder: Path, script: str, **variables: str) -> int:
    """Run a line of bash as a step of a workflow is run; returns its exit code."""
    home = next(each for each in (folder, *folder.parents) if (each / "bin").is_dir())
    environment = {**os.environ, "PATH": f"{home / 'bin'}:{os.environ['PATH']}", "TMPDIR": str(home), **variables}
    environment = {name: value for name, value in environment.items() if not name.startswith("SLURM_") or name in variables}
    return subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False).returncode


@pytest.mark.skipif(not DEEP, reason="a dozen processes: ASYNCRUN_TEST_DEEP=1")
def test_the_script_for_slurm_makes_shards_and_joins_them(job_file: Path) -> None:
    folder, script = job_file.parent, str(EXAMPLES / "slurm.sh")
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    for number in ("1", "2"):
        assert run(folder, script, SLURM_ARRAY_TASK_ID=number, SHARDS="2") == 0
    finished = sorted(path.name for path in (folder / "ledgers").iterdir())
    assert finished == ["shard-1-of-2.jsonl", "shard-2-of-2.jsonl"]
    assert run(folder, script, SHARDS="2") == 3, "an empty text has failed, and the run that joins says so"
    assert (folder / "vectors.jsonl").read_bytes() == (folder / "whole.jsonl").read_bytes()
    assert list(folder.glob("asyncrun-*")) == [], "no state is left behind"


@pytest.mark.skipif(not DEEP, reason="a dozen processes: ASYNCRUN_TEST_DEEP=1")
def test_the_steps_of_the_workflow_make_shards_and_join_them(job_file: Path) -> None:
    jobs: dict[str, Any] = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text())["jobs"]
    shards = jobs["shard"]["strategy"]["matrix"]["shard"]
    for number in map(str, shards):
        runner = checkout(job_file, f"runner-{number}")
        for step in steps(jobs["shard"]):
            assert run(runner, step, SHARD=number) == 0
        (job_file.parent / "shards").mkdir(exist_ok=True)
        shutil.move(runner / f"shard-{number}.jsonl", job_file.parent / "shards")
    assert [run(job_file.parent, step) for step in steps(jobs["join"])] == [0, 3]
    assert (job_file.parent / "vectors.jsonl").read_bytes() == (job_file.parent / "whole.jsonl").read_bytes()


@pytest.mark.needs("check-jsonschema")
def test_the_workflow_is_one() -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    command = [str(program), "--builtin-schema", "vendor.github-workflows", str(EXAMPLES / "github-actions.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def checkout(job_file: Path, name: str) -> Path:
    folder = job_file.parent / name
    folder.mkdir()
    for part in ("jobs.yaml", "items.jsonl"):
        shutil.copy(job_file.parent / part, folder)
    return folder


def steps(job: dict[str, Any]) -> list[str]:
    return [step["run"] for step in job["steps"] if not step.get("run", "pip").startswith("pip")]
