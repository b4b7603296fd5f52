"""How fast the ledger writes, and how fast a finished job of many items is found to be finished.

Run: python tests/benchmarks/bench_ledger.py [ITEMS]
     python tests/benchmarks/bench_ledger.py --throughput    (with and without the ledger, alone)

Prints Markdown. Needs 4 kB of disk an item in the folder for temporary files. Times of a resume are CPU seconds of a process of its own
(user and system), the least of some rounds in which all ways take turns; memory is that process's peak.
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
from hashlib import blake2b
from pathlib import Path

import numpy as np

DIMENSIONS, BATCH, IN_FLIGHT, ROUNDS = 384, 128, 64, 3
LATENCY = 0.02
SHAPES = ((16, 384), (4, 16))
"""Texts a request and floats a vector: with long vectors the CPU is the bound, with short ones less so."""
SPACE = "bench"
TARGETS = "targets: a resume <= 1.5 of a bare loop and <= 300 MB, throughput >= 0.95, writing >= 50,000 a second, size <= 1.25"


def text_of(number: int) -> str:
    return f"note {number}: a short text"


# Writing ---------------------------------------------------------------------------------------------------------------------------------


def fill(path: Path, items: int) -> None:
    """Write the vectors of all items into a ledger, as the batches of a run would come, and print what it took."""
    from asyncrun.embedders.openai import OpenAIEmbedding
    from asyncrun.ledger.ledger import Finished, Ledger
    from asyncrun.records import InputType, content_key

    space = OpenAIEmbedding(model="m", base_url="http://127.0.0.1:9/v1", space=SPACE).space(InputType.DOCUMENT)
    vectors = np.random.default_rng(1).normal(size=(BATCH, DIMENSIONS)).astype(np.float32)
    batches = iter(range(0, items, BATCH))
    ledger = Ledger(path)

    async def put() -> None:
        for start in batches:
            keys = [content_key(text_of(number)) for number in range(start, min(start + BATCH, items))]
            await ledger.put(space, Finished(keys, vectors[: len(keys)], [0] * len(keys)))

    async def put_all() -> None:
        await asyncio.gather(*(put() for _ in range(IN_FLIGHT)))

    began = time.perf_counter()
    asyncio.run(put_all())
    seconds = time.perf_counter() - began
    ledger.close()
    raw = items * DIMENSIONS * 4
    size = sum(file.stat().st_size for file in path.parent.iterdir() if file.name.startswith(path.name))
    print(f"\n## Writing {items:,} vectors of {DIMENSIONS} floats, {BATCH} a request, {IN_FLIGHT} in flight, synchronous=FULL\n")
    print("| | |\n|---|---|")
    print(f"| vectors a second | {items / seconds:,.0f} |\n| size, of the raw floats | {size / raw:.3f} |")
    print(f"| one write and fsync of a request's vectors, ms | {one_fsync(path.parent) * 1e3:.2f} |", flush=True)


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
    from asyncrun.app.running import run_jobs_of
    from asyncrun.ports import NullProgress

    report = run_jobs_of(Request(file=folder / "jobs.yaml", environ=dict(os.environ)), lambda _: NullProgress())
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
        import asyncrun.app.running
        import asyncrun.embedders.openai
        import asyncrun.kinds.embed  # noqa: F401
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


def throughput(folder: Path, size: int, dimensions: int, *, durable: bool, batches: int = 4000) -> tuple[float, float]:
    """Return requests a second against a server that answers after 20 ms, with or without making the vectors durable, and CPUs used."""
    return asyncio.run(_throughput(folder, size, dimensions, durable=durable, batches=batches))


async def _throughput(folder: Path, size: int, dimensions: int, *, durable: bool, batches: int) -> tuple[float, float]:
    from asyncrun.aio.limits import Limits
    from asyncrun.aio.stop import Stop
    from asyncrun.batching.pack import BatchLimits
    from asyncrun.callbacks.manager import CallbackManager
    from asyncrun.clock import SystemClock
    from asyncrun.embedders.openai import OpenAIEmbedding
    from asyncrun.kinds.context import JobContext
    from asyncrun.kinds.ledgered import Pending
    from asyncrun.kinds.sending import send_all
    from asyncrun.ledger.ledger import Finished, Ledger
    from asyncrun.records import InputType, Space, content_key

    class Forgetful(Ledger):
        async def put(self, space: Space, finished: Finished) -> None:
            return

    command = [sys.executable, __file__, "--server", str(dimensions)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        ledger = (Ledger if durable else Forgetful)(folder / f"throughput-{time.monotonic_ns()}.db")
        limits = Limits(concurrency=IN_FLIGHT)
        embedder = OpenAIEmbedding(model="m", base_url=url, space="throughput", batch=BatchLimits(max_items=size), limits=limits)
        context = JobContext("bench", "bench", ledger, Stop(), SystemClock(), CallbackManager(), workers=IN_FLIGHT)
        texts = (text_of(number % (size * 8)) for number in range(batches * size))
        pending = (Pending(content_key(f"{at}"), text, len(text), at) for at, text in enumerate(texts))
        answered = 0

        def received(batch: object, answer: object) -> None:
            nonlocal answered
            answered += 1

        began, cpu = time.perf_counter(), time.process_time()
        error = await send_all(pending, received, embedder=embedder, input_type=InputType.DOCUMENT, context=context, used=lambda _: None)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        await embedder.aclose()
        await asyncio.to_thread(ledger.close)
        server.terminate()
    assert error is None, error
    assert answered == batches
    return batches / seconds, cpu / seconds


def serve(dimensions: str) -> None:
    """Serve for ever; the vectors are remembered, as a server that computes them would be what is measured."""
    from functools import cache

    from asyncrun.testing import server
    from asyncrun.testing.__main__ import main as serve_for_ever

    server.base64_of = cache(server.base64_of)  # type: ignore[attr-defined]
    serve_for_ever(["--latency", str(LATENCY), "--dimensions", dimensions])


def throughput_table(folder: Path) -> None:
    print(f"\n## Against a server that answers after {LATENCY * 1e3:.0f} ms, {IN_FLIGHT} in flight\n")
    print("| | requests a second | of without | CPUs used |\n|---|---|---|---|")
    for size, dimensions in SHAPES:
        without = with_ledger = (0.0, 0.0)
        for _ in range(ROUNDS):
            without = max(without, throughput(folder, size, dimensions, durable=False))
            with_ledger = max(with_ledger, throughput(folder, size, dimensions, durable=True))
        shape = f"{size} texts a request, {dimensions} floats"
        print(f"| {shape}, without the ledger | {without[0]:,.0f} | 1.00 | {without[1]:.2f} |")
        print(f"| {shape}, with it | {with_ledger[0]:,.0f} | {with_ledger[0] / without[0]:.3f} | {with_ledger[1]:.2f} |", flush=True)


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
