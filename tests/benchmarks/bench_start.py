"""How long a command takes to start: `python tests/benchmarks/bench_start.py` prints a Markdown table.

Each call is a process of its own, from its start to its end, with byte code, in a folder where the example has run and all is
finished. All take turns. Their multiples are of the first, which imports what a command line in colour is made of.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 40
# As the installed script does it.
ASYNCRUN = [sys.executable, "-c", "from asyncrun.cli import main; main()"]
CALLS = {
    "import typer, rich.console": [sys.executable, "-c", "import typer, rich.console"],
    "pass": [sys.executable, "-c", "pass"],
    "import asyncrun": [sys.executable, "-c", "import asyncrun"],
    "--version": [*ASYNCRUN, "--version"],
    "--help": [*ASYNCRUN, "--help"],
    "trace": [*ASYNCRUN, "trace"],
    "trace list": [*ASYNCRUN, "trace", "list"],
    "validate": [*ASYNCRUN, "validate", "jobs.example.yaml"],
    "plan": [*ASYNCRUN, "plan", "jobs.example.yaml"],
    "run": [*ASYNCRUN, "run", "-q", "jobs.example.yaml"],
}


def seconds(words: list[str], folder: Path, environ: dict[str, str]) -> tuple[float, float]:
    """Return CPU and wall seconds of one call."""
    began = time.perf_counter()
    process = subprocess.Popen(words, cwd=folder, env=environ, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return used.ru_utime + used.ru_stime, time.perf_counter() - began


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(ROOT / "jobs.example.yaml", folder)
        shutil.copy(ROOT / "README.md", folder)
        shutil.copytree(ROOT / "docs", folder / "docs")
        # Byte code of its own: whether the package's has been written, or may be, makes no difference.
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "COLUMNS": "100"}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        seconds(CALLS["run"], folder, environ)
        for words in CALLS.values():
            seconds(words, folder, environ)
        taken = {call: list[tuple[float, float]]() for call in CALLS}
        for _ in range(ROUNDS):
            for call, words in CALLS.items():
                taken[call].append(seconds(words, folder, environ))
    print_table(taken)


def print_table(taken: dict[str, list[tuple[float, float]]]) -> None:
    """Print how long each call took, CPU and wall, and its multiple of the first."""
    print("| | CPU ms: least, median | multiple | wall ms: least, median | multiple |\n|---|---:|---:|---:|---:|")
    spans = {call: [summary(one) for one in zip(*each, strict=True)] for call, each in taken.items()}
    first = next(iter(spans.values()))
    for call, both in spans.items():
        cells = [
            f"{1000 * least:.0f}, {1000 * median:.0f} | {least / by_least:.2f}, {median / by_median:.2f}"
            for (least, median), (by_least, by_median) in zip(both, first, strict=True)
        ]
        print(f"| `{call}` | {' | '.join(cells)} |")


def summary(values: tuple[float, ...]) -> tuple[float, float]:
    """Return the least and the median."""
    return min(values), statistics.median(values)


if __name__ == "__main__":
    main()
