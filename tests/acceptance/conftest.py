"""What the tests of whole processes share: a run that is started, watched and ended, and the scripts that write the pages."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from asyncrun.testing.server import FakeServer

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0
"""Seconds until what is waited for does not come any more."""
WITHOUT_GRACE = str(ROOT / "tests" / "programs" / "without_grace.py")
"""The command line, where no signal cancels in time what is in flight: what ends all the same has ended by itself."""


@pytest.fixture(scope="module")
def undisturbed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What the jobs of a module's `write_jobs` write when nothing befalls their run; it returns where."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with FakeServer().in_thread() as server:
        output: Path = request.module.write_jobs(folder, server)
        code, told = finish(start(folder))
    assert code == 0, told
    return output.read_bytes()


def start(folder: Path, *program: str) -> subprocess.Popen[str]:
    command = [sys.executable, *(program or ("-m", "asyncrun")), "run", "--json"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"the run does not end: {out}{err}")
    return process.returncode, out + err


def summary_of(told: str) -> dict[str, Any]:
    """Return the last line of a run's JSON: how it ended."""
    [summary] = (json.loads(line) for line in told.splitlines() if line.startswith('{"type":"summary"'))
    return dict(summary)


def send_signal_twice(process: subprocess.Popen[str], number: signal.Signals) -> None:
    """Send a signal, and once more when the first has arrived: two of them that wait for a process are one."""
    process.send_signal(number)
    wait_until(lambda: not is_pending(process, number), process)
    process.send_signal(number)


def is_pending(process: subprocess.Popen[str], number: signal.Signals) -> bool:
    status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return any(int(line.split()[1], 16) >> (number - 1) & 1 for line in status if line.startswith(("SigPnd:", "ShdPnd:")))


def wait_until(reached: Callable[[], bool], process: subprocess.Popen[Any]) -> None:
    """Wait until something is so, or the run has ended."""
    deadline = time.monotonic() + PATIENCE
    while not reached() and process.poll() is None:
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
