"""Documents parsed and cut on workers: `python tests/benchmarks/bench_cutting.py [FILES] [ROUNDS]` prints a Markdown table.

The documents are those of `bench_documents`. What is timed is what an ingest job with the local model does before it embeds: it parses,
hashes, keeps and cuts them all. That runs on one core alone; on all cores as in a run without an executor, with parsers in processes and
the cutting in a thread; and with the cutting on two worker processes, whose start is timed with it. All take turns, each time in a process
of its own, in an order that is turned round after each round.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import aclosing, closing
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmarks")]

from bench_documents import FILES, measured_beside_a_loop, write_documents  # noqa: E402

from asyncrun.aio.drawn_ahead import drawn_ahead  # noqa: E402
from asyncrun.chunkers.interface import ChunkOptions  # noqa: E402
from asyncrun.chunkers.sentence_chunker import SentenceChunker  # noqa: E402
from asyncrun.chunkers.worker_chunker import chunker_part  # noqa: E402
from asyncrun.embedders.tokenizer import MiniLMTokenizer  # noqa: E402
from asyncrun.executors.processes import ProcessExecutor  # noqa: E402
from asyncrun.jobs.ingest.documents import MadeWith, cut_here, rounds, scan_documents  # noqa: E402
from asyncrun.jobs.ingest.worker_cutting import cut_by_workers  # noqa: E402
from asyncrun.jobs.unfinished_texts import Spool  # noqa: E402
from asyncrun.ports import Executor  # noqa: E402
from asyncrun.readers.distinct_items import DistinctSource  # noqa: E402
from asyncrun.readers.item_source import ItemSource  # noqa: E402
from asyncrun.records import Item, text_key  # noqa: E402

ROUNDS = 5
WORKERS = 2
SIDES = {"one core": "", "all cores, cut in a thread": "", f"all cores, cut by {WORKERS} workers": "workers"}


async def chunks_of(folder: Path, executor: Executor | None) -> int:
    """Return how many chunks the documents have, scanned and cut as an ingest job does."""
    tokenizer, options = MiniLMTokenizer(), ChunkOptions()
    items, made_with = DistinctSource(ItemSource(folder, ("*",))).items(), MadeWith("sentence 256 32", "", "")
    with closing(Spool[tuple[Item, str]](folder.parent)) as spool:
        keep = partial(_keep, spool)
        scan = partial(scan_documents, stored={}, made_with=made_with, known={}, skip=frozenset(), skip_empty=True, keep=keep)
        await asyncio.to_thread(scan, items)
        if executor is None:
            cut = cut_here(spool, SentenceChunker(tokenizer, options))
        else:
            part = chunker_part("sentence", options, tokenizer)
            assert part is not None
            cut = cut_by_workers(spool, executor, part, lambda: None)
        async with aclosing(drawn_ahead(rounds(cut, text_key, workers=WORKERS, max_items=16))) as todo:
            return sum([len(document.keys) async for documents in todo for document in documents])


def _keep(spool: Spool[tuple[Item, str]], item: Item, mark: str) -> None:
    spool.add([(item, mark)])


async def timed(folder: Path, with_workers: bool) -> tuple[float, int]:
    """Return how long it takes, and how many chunks there are."""
    began = time.perf_counter()
    if not with_workers:
        chunks = await chunks_of(folder, None)
    else:
        async with aclosing(ProcessExecutor(WORKERS)) as executor:
            chunks = await chunks_of(folder, executor)
            return time.perf_counter() - began, chunks
    return time.perf_counter() - began, chunks


async def measure(folder: Path, with_workers: bool) -> dict[str, float]:
    """Return what a plan takes, the start of workers with it but not their end, and the longest time that the loop did not turn."""
    (seconds, chunks), figures = await measured_beside_a_loop(lambda: timed(folder, with_workers))
    return {**figures, "seconds": seconds, "chunks": chunks}


def measured(side: str, folder: Path) -> dict[str, float]:
    """Measure a side in a process of its own."""
    pinned = ["taskset", "-c", str(min(os.sched_getaffinity(0)))] if side == "one core" else []
    command = [*pinned, sys.executable, __file__, "--measure", SIDES[side], str(folder)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["--measure"]:
        print(json.dumps(asyncio.run(measure(Path(sys.argv[3]), bool(sys.argv[2])))))
        return
    files, times = (int(sys.argv[at]) if len(sys.argv) > at else default for at, default in ((1, FILES), (2, ROUNDS)))
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as name:
        write_documents(Path(name), files)
        for number in range(times):
            for side in list(SIDES)[:: -1 if number % 2 else 1]:
                found[side].append(measured(side, Path(name)))
    first = next(iter(found.values()))
    print(f"{files} files, {os.cpu_count()} cores, Python {sys.version.split()[0]}; median of {times}\n")
    print("| | documents/s | times one core | CPU s | chunks | peak MB of this process | longest block of the loop, ms |")
    print("|---|---|---|---|---|---|---|")
    for side, rows in found.items():
        rate, cpu = statistics.median(files / row["seconds"] for row in rows), statistics.median(row["cpu"] for row in rows)
        ratios = [one["seconds"] / row["seconds"] for one, row in zip(first, rows, strict=True)]
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        peak, lag = max(row["MB"] for row in rows), max(row["lag"] for row in rows)
        print(f"| {side} | {rate:.0f} | {ratio} | {cpu:.1f} | {rows[0]['chunks']:,} | {peak:.0f} | {lag:.0f} |")


if __name__ == "__main__":
    main()
