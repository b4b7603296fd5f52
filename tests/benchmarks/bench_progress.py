"""What watching a run costs: CPU time of a million items under each kind of progress, and drawings a second, by the number of jobs.

Run: python tests/benchmarks/bench_progress.py [ITEMS]

Prints Markdown. Bars are drawn on a terminal that is made for it. Items end one by one (an answer each) or by the hundred (a batch of
vectors each). Seconds are CPU time of the whole process with its drawing thread, less what the same loop takes with a progress that
shows nothing; drawings are counted while as many jobs run for three seconds.
"""

from __future__ import annotations

import os
import pty
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from asyncrun.clock import SystemClock
from asyncrun.ports import Progress
from asyncrun.results import Counts
from asyncrun.ui.bars import BarProgress
from asyncrun.ui.json_lines import JsonProgress
from asyncrun.ui.plain_lines import PlainProgress
from asyncrun.usage import Usage

MILLION = 1_000_000
DRAWING_SECONDS = 3.0
JOBS = (1, 50, 500)
Build = Callable[[TextIO], Progress]
ONLOOKERS: dict[str, Build] = {
    "bars": lambda stream: BarProgress(stream, SystemClock()),
    "plain lines": lambda stream: PlainProgress(stream, SystemClock()),
    "JSON lines": lambda stream: JsonProgress(stream, SystemClock()),
}


@contextmanager
def terminal(received: list[int]) -> Iterator[TextIO]:
    """A pseudo terminal that is read as fast as it is written; `received` gets how often a picture was begun."""
    ours, theirs = pty.openpty()

    def read() -> None:
        while True:
            try:
                data = os.read(ours, 65536)
            except OSError:
                return
            received.append(data.count(b"job-0 "))

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(theirs, "w") as stream:
        yield stream
    reader.join()
    os.close(ours)


def seconds(progress: Progress, items: int, step: int) -> float:
    """Return the CPU seconds in which so many items end, `step` at a time."""
    counts, usage = Counts(items=step, ok=step), Usage(1, 0, 100 * step, None)
    progress.run_started("r1", ["job-0"])
    progress.task_started("job-0", items)
    began = time.process_time()
    for _ in range(items // step):
        progress.use("job-0", usage)
        progress.advance("job-0", counts)
    taken = time.process_time() - began
    progress.close()
    return taken


def drawings(jobs: int) -> float:
    """Return how many pictures a second are drawn while items end in so many jobs, on a terminal that has room for few of them."""
    received: list[int] = []
    with terminal(received) as stream:
        progress = BarProgress(stream, SystemClock())
        names = [f"job-{number}" for number in range(jobs)]
        progress.run_started("r1", names)
        for name in names:
            progress.task_started(name, MILLION)
        until = time.monotonic() + DRAWING_SECONDS
        while time.monotonic() < until:
            for name in names:
                progress.advance(name, Counts(items=1, ok=1))
            time.sleep(0.01)
        progress.close()
    return sum(received) / DRAWING_SECONDS


def main() -> int:
    """Measure and print."""
    items = int(sys.argv[1]) if len(sys.argv) > 1 else MILLION
    print(f"| progress | {items:,} items one by one, CPU s | by the hundred, CPU s |\n|---|---|---|")
    for name, build in ONLOOKERS.items():
        cells = []
        for step in (1, 100):
            with terminal([]) if name == "bars" else Path(os.devnull).open("w") as stream:
                watched = seconds(build(stream), items, step)
            cells.append(f"{max(watched - seconds(Progress(), items, step), 0):.2f}")
        print(f"| {name} | {cells[0]} | {cells[1]} |")
    print("\n| jobs | drawings a second |\n|---|---|")
    for jobs in JOBS:
        print(f"| {jobs} | {drawings(jobs):.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
