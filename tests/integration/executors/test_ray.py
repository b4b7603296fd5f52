"""The suite of the executor of Ray, in a process of its own: Ray ends one that has been a driver when it likes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ray_cluster import ROOT

SUITE = Path(__file__).with_name("ray_suite.py")


@pytest.mark.needs("ray")
def test_the_executor_of_ray_keeps_what_every_executor_promises() -> None:
    words = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", str(SUITE)]
    environment = os.environ | {"ASYNCRUN_TEST_NEEDS": "ray"}
    run = subprocess.run(words, check=False, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=600)
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout and "skipped" not in run.stdout, run.stdout
