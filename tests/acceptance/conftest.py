"""What the tests of whole processes share: a run that is started, watched and ended, and the scripts that write the pages."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "asyncrun", "run", "--json"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def wait_until(reached: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until the server has received enough, or the run has ended."""
    deadline = time.monotonic() + 30
    while not reached() and process.poll() is None:
        assert time.monotonic() < deadline, "the run sends nothing"
        time.sleep(0.002)


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
