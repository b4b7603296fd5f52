"""How fast the ledger writes, and how fast a finished job of many items is found to be finished.

Run: python tests/benchmarks/bench_ledger.py [ITEMS]
     python tests/benchmarks/bench_ledger.py --throughput    (with and without the ledger, alone)

Prints Markdown. Needs 4 kB of disk an item in the folder for temporary files. Times of a resume are CPU seconds of a process of its own
(user and system), the least of some rounds in which all ways take turns; memory is that process's peak.

Throughput is that of short rounds by turns against one server in a process of its own, whose CPU is not counted. Where the CPU is the
bound, its milliseconds (of all threads, and of the loop's alone) tell more than the clock: other work on the machine changes them less.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from asyncrun.ledger.ledger import Ledger

DIMENSIONS, BATCH, IN_FLIGHT, ROUNDS = 384, 128, 64, 3
LATENCY = 0.02
SHAPES = ((16, 384, 64), (4, 16, 64), (128, 384, 64), (16, 384, 8))
"""Texts a request, floats a vector, requests in flight."""
PAIRS, REQUESTS = 12, 400
CLOCKS = (time.perf_counter, time.process_time, time.thread_time)
SPACE = "bench"
TARGETS = "targets: a resume <= 1.5 of a bare loop and <= 300 MB, throughput >= 0.95, writing >= 50,000 a second, size <= 1.25"


def text_of(number: int) -> str:
    return f"note {number}: a short text"


# Writing ---------------------------------------------------------------------------------------------------------------------------------


def fill(path: Path, items: int) -> None:
    """Write the vectors of all items into a ledger, as the batches of a run would come, and print what it took."""
    from asyncrun.embedders.provider_classes import OpenAIEmbedding
    from asyncrun.ledger.ledger import Finished, Ledger
    from asyncrun.records import InputType, text_key

    space = OpenAIEmbedding(model="m", base_url="http://127.0.0.1:9/v1", space=SPACE).space(InputType.DOCUMENT)
    vectors = np.random.default_rng(1).normal(size=(BATCH, DIMENSIONS)).astype(np.float32)
    batches = iter(range(0, items, BATCH))
    ledger = Ledger(path)

    async def put_from(start: int, end: int) -> None:
        keys = [text_key(text_of(number)) for number in range(start, end)]
        await ledger.put(space, Finished(keys, vectors[: len(keys)], [0] * len(keys)))

    async def put() -> None:
        for start in batches:
            await put_from(start, min(start + BATCH, items))

    async def put_all() -> None:
        await asyncio.gather(*(put() for _ in range(IN_FLIGHT)))

    began = time.perf_counter()
    asyncio.run(put_all())
    seconds = time.perf_counter() - began
    looks = []
    for more in range(ROUNDS + 1):
        began = time.perf_counter()
        ledger.index(space)
        looks.append(time.perf_counter() - began)
        asyncio.run(put_from(items + more * BATCH, items + (more + 1) * BATCH))
    ledger.close()
    raw = (items + len(looks) * BATCH) * DIMENSIONS * 4
    size = sum(file.stat().st_size for file in path.parent.iterdir() if file.name.startswith(path.name))
    print(f"\n## Writing {items:,} vectors of {DIMENSIONS} floats, {BATCH} a request, {IN_FLIGHT} in flight, synchronous=FULL\n")
    print("| | |\n|---|---|")
    print(f"| vectors a second | {items / seconds:,.0f} |\n| size, of the raw floats | {size / raw:.3f} |")
    print(f"| one write and fsync of a request's vectors, ms | {one_fsync(path.parent) * 1e3:.2f} |")
    print(f"| reading what is finished, s | {looks[0]:.2f} |\n| again, after one more request | {median(looks[1:]):.3f} |", flush=True)


def one_fsync(folder: Path) -> float:
    """Return the seconds that this disk takes to make one request's vectors durable, without a ledger."""
    block = os.urandom(BATCH * DIMENSIONS * 4)
    times = []
    with (folder / "probe").open("wb") as file:
        for _ in range(50):
            began = time.perf_counter()
            file.write(block)
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    (folder / "probe").unlink()
    return sorted(times)[len(times) // 2]


# Resuming --------------------------------------------------------------------------------------------------------------------------------


def write_job(folder: Path, items: int) -> None:
    with (folder / "notes.jsonl").open("w") as file:
        file.writelines(json.dumps({"id": f"n{number}", "text": text_of(number)}) + "\n" for number in range(items))
    embedder = {"provider": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1", "space": SPACE}
    output = {"path": "out.jsonl", "columns": ["id"]}
    job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": output, "embedder": embedder}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))


def write_key_table(ledger: Path, path: Path) -> None:
    """Write what the second bare loop asks: a table of the same keys, one a row."""
    import sqlite3

    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE done (key BLOB PRIMARY KEY) WITHOUT ROWID")
    keys = (keys[at : at + 16] for (keys,) in sqlite3.connect(ledger).execute("SELECT keys FROM batches") for at in range(0, len(keys), 16))
    connection.executemany("INSERT INTO done VALUES (?)", ((key,) for key in keys))
    connection.commit()
    connection.close()


def bare_questions(folder: Path) -> None:
    """Read the lines, hash their texts, ask SQLite for each key."""
    import sqlite3

    import orjson

    ask = sqlite3.connect(folder / "keys.db").execute
    with (folder / "notes.jsonl").open("rb") as file:
        for line in file:
            key = blake2b(orjson.loads(line)["text"].encode(), digest_size=16).digest()
            assert ask("SELECT 1 FROM done WHERE key = ?", (key,)).fetchone()


def bare_sets(folder: Path) -> None:
    """Read the lines, hash their texts, ask SQLite for 500 keys at a time."""
    import sqlite3
    from itertools import islice

    import orjson

    connection = sqlite3.connect(folder / "keys.db")
    with (folder / "notes.jsonl").open("rb") as file:
        while lines := list(islice(file, 500)):
            keys = [blake2b(orjson.loads(line)["text"].encode(), digest_size=16).digest() for line in lines]
            found = connection.execute(f"SELECT key FROM done WHERE key IN ({','.join('?' * len(keys))})", keys)
            assert len({key for (key,) in found}) == len(set(keys))


def bare_set(folder: Path) -> None:
    """Read the lines, hash their texts, look them up among the keys, which are read at once."""
    import sqlite3

    import orjson

    rows = sqlite3.connect(folder / ".asyncrun" / "ledger.db").execute("SELECT keys FROM batches")
    done = {keys[at : at + 16] for (keys,) in rows for at in range(0, len(keys), 16)}
    with (folder / "notes.jsonl").open("rb") as file:
        for line in file:
            assert blake2b(orjson.loads(line)["text"].encode(), digest_size=16).digest() in done


def engine(folder: Path) -> None:
    """Do what a run of the finished job does between the start and the end of its process."""
    from asyncrun.app.request import Request
    from asyncrun.app.run import run_jobs_of
    from asyncrun.ports import Progress

    report = run_jobs_of(Request(file=folder / "jobs.yaml", environ=dict(os.environ)), lambda _: Progress())
    assert report.result.counts.cached == report.result.counts.items > 0, report
    assert report.result.usage.requests == 0


def whole_run(folder: Path) -> None:
    from asyncrun.cli import main

    sys.argv = ["asyncrun", "run", str(folder / "jobs.yaml"), "--quiet"]
    try:
        main()
    except SystemExit as ending:
        assert not ending.code, ending.code


WAYS: dict[str, Callable[[Path], None]] = {
    "bare loop: one key a question": bare_questions,
    "bare loop: 500 keys a question": bare_sets,
    "bare loop: all keys read at once": bare_set,
    "the engine, without the start of its process": engine,
    "`asyncrun run`, the whole process": whole_run,
}


def measure(name: str, folder: Path) -> tuple[float, float]:
    """Return CPU seconds and peak megabytes of one way in a process of its own."""
    command = [sys.executable, __file__, "--way", name, str(folder)]
    seconds, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-2:]
    return float(seconds), float(peak)


def one_way(name: str, folder: Path) -> None:
    if WAYS[name] is engine:  # what it imports is the start of its process
        import asyncrun.app.run
        import asyncrun.embedders.provider_classes
        import asyncrun.jobs.embed.run  # noqa: F401
    before = 0.0 if WAYS[name] is whole_run else time.process_time()
    WAYS[name](folder)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(time.process_time() - before, int(peak.split()[1]) / 1024)


def resume_table(folder: Path, items: int) -> None:
    write_job(folder, items)
    write_key_table(folder / ".asyncrun" / "ledger.db", folder / "keys.db")
    measure("`asyncrun run`, the whole process", folder)  # writes the output
    best: dict[str, tuple[float, float]] = {}
    for _ in range(ROUNDS):
        for name in WAYS:
            best[name] = min(measure(name, folder), best.get(name, (float("inf"), 0.0)))
    references = [best[name][0] for name in list(WAYS)[:3]]
    print(f"\n## Resuming a finished job of {items:,} items\n")
    print("| | CPU s | of one key a question | of 500 a question | of all keys at once | peak MB |\n|---|---|---|---|---|---|")
    for name, (seconds, peak) in best.items():
        ratios = " | ".join(f"{seconds / reference:.2f}" for reference in references)
        print(f"| {name} | {seconds:.2f} | {ratios} | {peak:.0f} |", flush=True)


# With and without the ledger -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds that a request took: by the clock, of CPU, and of CPU of the event loop's thread."""

    wall: float
    cpu: float
    loop: float


async def compare(folder: Path, size: int, dimensions: int, in_flight: int) -> tuple[list[Cost], list[Cost]]:
    """Return what requests cost without the ledger and with it, a pair a round; the two take turns at being the first."""
    from asyncrun.ledger.group_writer import WriteRows
    from asyncrun.ledger.ledger import Finished, Ledger
    from asyncrun.records import Space

    class Forgetful(Ledger):
        async def put(self, space: Space, finished: Finished, also: WriteRows | None = None) -> None:
            return

    ledgers = [Forgetful(folder / "without.db"), Ledger(folder / f"{size}-{dimensions}-{in_flight}.db")]
    costs: tuple[list[Cost], list[Cost]] = [], []
    command = [sys.executable, __file__, "--server", str(dimensions)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        for number in range(PAIRS + 1):
            for way in (0, 1) if number % 2 else (1, 0):
                cost = await send(url, ledgers[way], size, in_flight)
                if number:  # the first opens the file
                    costs[way].append(cost)
        server.terminate()
    for ledger in ledgers:
        await asyncio.to_thread(ledger.close)
    return costs


async def send(url: str, ledger: Ledger, size: int, in_flight: int) -> Cost:
    """Send a round of requests as a job does."""
    from asyncrun.aio.limits import Limits
    from asyncrun.aio.stop import StopRequest
    from asyncrun.callbacks.base import CallbackManager
    from asyncrun.clock import SystemClock
    from asyncrun.embedders.provider_classes import OpenAIEmbedding
    from asyncrun.jobs.context import JobContext
    from asyncrun.jobs.job_counters import JobCounters
    from asyncrun.jobs.send_batches import send_all
    from asyncrun.packing import BatchLimits
    from asyncrun.ports import Progress
    from asyncrun.records import InputType, Pending, text_key

    limits = Limits(concurrency=in_flight)
    embedder = OpenAIEmbedding(model="m", base_url=url, space="throughput", batch=BatchLimits(max_items=size), limits=limits)
    context = JobContext("bench", "bench", ledger, StopRequest(), SystemClock(), CallbackManager(), workers=in_flight)
    texts = (text_of(number % (size * 8)) for number in range(REQUESTS * size))
    pending = (Pending(text_key(f"{at}"), text, len(text), at) for at, text in enumerate(texts))
    answered: list[object] = []
    before = [clock() for clock in CLOCKS]
    error = await send_all(
        pending,
        lambda batch, answer: answered.append(None),
        embedder=embedder,
        input_type=InputType.DOCUMENT,
        counters=JobCounters(context, "embed", Progress()),
    )
    cost = Cost(*((clock() - began) / REQUESTS for clock, began in zip(CLOCKS, before, strict=True)))
    await embedder.aclose()
    assert error is None, error
    assert len(answered) == REQUESTS
    return cost


def serve(dimensions: str) -> None:
    """Serve for ever; the vectors are remembered, as a server that computes them would be what is measured."""
    from functools import cache

    from asyncrun.testing import server
    from asyncrun.testing.__main__ import main as serve_for_ever

    server.base64_of = cache(server.base64_of)  # type: ignore[attr-defined]
    serve_for_ever(["--latency", str(LATENCY), "--dimensions", dimensions])


def throughput_table(folder: Path) -> None:
    print(f"\n## Against a server that answers after {LATENCY * 1e3:.0f} ms\n")
    print("| texts a request, floats, in flight | ledger | requests a second | of without: median, best | CPU ms | the loop's |")
    print("|---|---|---|---|---|---|")
    for size, dimensions, in_flight in SHAPES:
        pairs = asyncio.run(compare(folder, size, dimensions, in_flight))
        medians, bests = [middle(costs).wall for costs in pairs], [min(cost.wall for cost in costs) for costs in pairs]
        for way, name in enumerate(("without", "with")):
            ratios = f"{medians[0] / medians[way]:.2f}, {bests[0] / bests[way]:.2f}"
            cost = middle(pairs[way])
            figures = f"{1 / cost.wall:,.0f} | {ratios} | {cost.cpu * 1e3:.2f} | {cost.loop * 1e3:.2f}"
            print(f"| {size}, {dimensions}, {in_flight} | {name} | {figures} |", flush=True)


def middle(costs: list[Cost]) -> Cost:
    return Cost(*(median(getattr(cost, name) for cost in costs) for name in ("wall", "cpu", "loop")))


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--way"]:
        one_way(arguments[1], Path(arguments[2]))
        return
    if arguments[:1] == ["--server"]:
        serve(arguments[1])
        return
    if arguments[:1] == ["--throughput"]:
        with tempfile.TemporaryDirectory() as name:
            throughput_table(Path(name))
        return
    items = int(arguments[0]) if arguments else 1_000_000
    print(f"Python {sys.version.split()[0]}; {TARGETS}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / ".asyncrun").mkdir(mode=0o700)
        fill(folder / ".asyncrun" / "ledger.db", items)
        throughput_table(folder)
        resume_table(folder, items)


if __name__ == "__main__":
    main(sys.argv[1:])
