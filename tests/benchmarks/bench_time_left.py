"""How right the time left is: `python tests/benchmarks/bench_time_left.py [SECONDS]` prints a Markdown table.

Jobs over files of very different lengths, in orders that are bad for an estimate, against a fake server that takes as long as a request
has bytes. The time left is read twenty times a second, as bars show it, and compared with what was left in truth. From a fifth of the
time on, it should be within a factor of two; what differs by less than a second counts as right, for in the last moments a factor says
nothing. `half before` is a job of which an earlier run has done half.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from asyncrun.app.request import Request
from asyncrun.app.run import run_jobs_of
from asyncrun.clock import SystemClock
from asyncrun.results import Status
from asyncrun.testing.server import FakeServer
from asyncrun.ui.run_state import TrackingProgress

SECONDS = 20.0
SHORT, LONG = 1200, 60
EVERY = 0.05
FROM, WITHIN, FACTOR = 0.2, 1.0, 2.0
WORKERS = (1, 4, 16)
ORDERS: dict[str, Callable[[list[int]], object]] = {
    "long first": lambda sizes: sizes.sort(reverse=True),
    "long last": list[int].sort,
    "mixed": lambda sizes: random.Random(2).shuffle(sizes),
}
ENDS = {"embed": "output: out.jsonl", "ingest": "store: {type: sqlite, path: store.db}, collection: docs"}


class Watched(TrackingProgress):
    """Reads the time left while the block runs: `read` has the moment and the seconds that were shown, None for nothing."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.read: list[tuple[float, float | None]] = []
        self.began = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Read until the block ends."""
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(EVERY):
                now = time.monotonic()
                self.read += [(now, task.left(now)) for task in self.tasks if task.status is Status.RUNNING]

        reader = threading.Thread(target=look)
        self.began = time.monotonic()
        reader.start()
        try:
            yield
        finally:
            ended.set()
            reader.join()


def write_files(folder: Path, order: str) -> int:
    """Write the texts in an order, and return how many bytes they have."""
    rng = random.Random(1)
    sizes = [rng.randint(50, 400) for _ in range(SHORT)] + [rng.randint(8_000, 20_000) for _ in range(LONG)]
    ORDERS[order](sizes)
    (folder / "docs").mkdir()
    for number, size in enumerate(sizes):
        words = f"Text {number}. " + "".join(rng.choice(("A river. ", "One stone. ", "Clouds. ", "The window. ")) for _ in range(size // 8))
        (folder / "docs" / f"{number:05}.txt").write_text(words[:size], encoding="utf-8")
    return sum(sizes)


def judged(read: list[tuple[float, float | None]], began: float, ended: float) -> tuple[float, float, float]:
    """Return the worst factor, the share of wrong readings, and that of readings with nothing."""
    whole, worst, wrong, nothing = ended - began, 1.0, 0, 0
    late = [(now, said) for now, said in read if now - began >= FROM * whole]
    for now, said in late:
        true = ended - now
        if said is None:
            nothing += 1
        elif abs(said - true) > WITHIN:
            factor = max(said / true, true / max(said, 1e-3))
            worst, wrong = max(worst, factor), wrong + (factor > FACTOR)
    return worst, wrong / len(late), nothing / len(late)


def measured(kind: str, order: str, workers: int, seconds: float, *, before: bool) -> tuple[float, ...]:
    """Return how long a job took, and how right its time left was."""
    with tempfile.TemporaryDirectory() as name, FakeServer().in_thread() as server:
        folder = Path(name)
        size = write_files(folder, order)
        embedder = (
            f"{{provider: openai, model: fake, base_url: '{server.base_url}', api_key: '', batch: {{max_items: 16, max_bytes: 40000}}}}"
        )
        job = f"{{name: job, kind: {kind}, input: 'docs/*.txt', embedder: {embedder}, workers: {workers}, {ENDS[kind]}}}"
        (folder / "jobs.yaml").write_text(f"jobs: [{job}]", encoding="utf-8")
        request = Request(folder / "jobs.yaml", environ=dict(os.environ))
        if before:
            run_jobs_of(replace(request, limit=(SHORT + LONG) // 2), lambda _: Watched())
        server.latency = lambda request: sum(map(len, request.texts)) * seconds * workers / size
        watched = Watched()
        with watched.watching():
            run_jobs_of(request, lambda _: watched)
        ended = time.monotonic()
        return ended - watched.began, *judged(watched.read, watched.began, ended)


def main() -> None:
    """Measure and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    print("| job | order | workers | seconds | wrong at most by a factor of | of readings beyond two | nothing shown |")
    print("|---|---|---:|---:|---:|---:|---:|")
    cases = [(kind, order, workers, False) for kind in ENDS for order in ORDERS for workers in WORKERS]
    for kind, order, workers, before in [*cases, *((kind, "mixed", 4, True) for kind in ENDS)]:
        took, worst, wrong, nothing = measured(kind, order, workers, seconds, before=before)
        shown = order + (", half before" if before else "")
        print(f"| {kind} | {shown} | {workers} | {took:.1f} | {worst:.1f} | {wrong:.0%} | {nothing:.0%} |", flush=True)


if __name__ == "__main__":
    main()
