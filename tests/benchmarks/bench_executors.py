"""What it costs the driver to have calls run elsewhere: CPU of a batch with a reply of 1 MB, and memory over many small calls.

    python tests/benchmarks/bench_executors.py [--executors local processes ray] [--address HOST:PORT] [--rounds 5]

Prints two Markdown tables. CPU is that of the driver's process with all its threads, the least of alternating rounds, each in a process of
its own; the floor is a loop that asks one process after the other through a socket, and reads what it answers into an array. Targets:
`processes` at most 0.5 ms a batch; 1,000,000 calls take at most 20 MB more than 10,000.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from asyncrun.ports import Executor
from asyncrun.registry import load
from asyncrun.testing.worker_parts import RehearsalPart

NUMBERS = 1 << 18
"""Of a reply: float32, 1 MB."""
IN_FLIGHT = 64
WORKERS = 2
FLOOR = "bare socket"


@dataclass(frozen=True)
class Figures:
    """Of one process: driver CPU in ms a call, calls a second, peak memory of the driver in MB."""

    cpu: float
    rate: float
    memory: float


def executor_named(name: str, address: str | None) -> Executor:
    kind = load("executors", name)
    made: Executor = {
        "local": lambda: kind(slots=IN_FLIGHT),
        "processes": lambda: kind(WORKERS),
        "ray": lambda: kind(address or "auto", processes=WORKERS),
    }[name]()
    return made


async def calls_of(executor: Executor, batches: int, numbers: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        part = RehearsalPart(folder)
        await asyncio.gather(*(executor.run(part, "ones", numbers) for _ in range(IN_FLIGHT)))
        left = iter(range(batches))
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(sender(executor, part, numbers, left) for _ in range(IN_FLIGHT)))
        cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
        await executor.aclose()
    return Figures(1000 * cpu / batches, batches / seconds, peak())


async def sender(executor: Executor, part: RehearsalPart, numbers: int, left: Iterator[int]) -> None:
    for _ in left:
        answer = await executor.run(part, "ones", numbers)
        assert answer.value.nbytes == 4 * numbers


def floor(batches: int, numbers: int) -> Figures:
    pairs = [socket.socketpair() for _ in range(WORKERS)]
    code = "import socket, sys\nwith socket.socket(fileno=int(sys.argv[1])) as s:\n    while s.recv(1): s.sendall(bytes(int(sys.argv[2])))"
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(theirs.fileno()), str(4 * numbers)], pass_fds=[theirs.fileno()])
        for _, theirs in pairs
    ]
    sockets = [ours for ours, _ in pairs]
    for _, theirs in pairs:
        theirs.close()
    for each in sockets:
        each.sendall(b"x")
    began, cpu = time.perf_counter(), time.process_time()
    for number in range(batches):
        asked = sockets[number % WORKERS]
        view = memoryview(np.empty(4 * numbers, np.uint8))
        filled = 0
        while filled < len(view):
            filled += asked.recv_into(view[filled:])
        assert np.frombuffer(view, np.float32).shape == (numbers,)
        asked.sendall(b"x")
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    for process in started:
        process.kill()
        process.wait()
    for each in sockets:
        each.close()
    return Figures(1000 * cpu / batches, batches / seconds, peak())


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(name: str, batches: int, numbers: int, address: str | None) -> Figures:
    """Measure in a process of its own."""
    asked = [name, str(batches), str(numbers), *([address] if address else [])]
    ran = subprocess.run([sys.executable, __file__, "--one", *asked], stdout=subprocess.PIPE, check=True)
    return Figures(**json.loads(ran.stdout.splitlines()[-1]))


def one(name: str, batches: str, numbers: str, address: str | None = None) -> None:
    count, size = int(batches), int(numbers)
    figures = floor(count, size) if name == FLOOR else asyncio.run(calls_of(executor_named(name, address), count, size))
    print(json.dumps(asdict(figures)))


def print_replies(names: list[str], arguments: argparse.Namespace) -> None:
    rounds = [{name: measured(name, arguments.batches, NUMBERS, arguments.address) for name in names} for _ in range(arguments.rounds)]
    print(f"\n{arguments.batches:,} replies of 1 MB, {IN_FLIGHT} in flight, {WORKERS} workers; the least of {arguments.rounds} rounds.\n")
    print("| | driver CPU ms a batch | of the floor | batches a second |\n|---|---|---|---|")
    least = {name: min(each[name].cpu for each in rounds) for name in names}
    for name in names:
        rate = max(each[name].rate for each in rounds)
        print(f"| {name} | {least[name]:.2f} | {least[name] / least[FLOOR]:.1f} | {rate:,.0f} |")


def print_small(names: list[str], arguments: argparse.Namespace) -> None:
    print("\nSmall calls: a reply of four bytes.\n")
    print("| | calls | driver CPU us a call | calls a second | driver's peak MB | more than with the fewest |\n|---|---|---|---|---|---|")
    for name in names:
        before = None
        for calls in arguments.calls:
            figures = measured(name, calls, 1, arguments.address)
            before = before or figures.memory
            more = figures.memory - before
            print(
                f"| {name} | {calls:,} | {1000 * figures.cpu:.0f} | {figures.rate:,.0f} | {figures.memory:.0f} | {more:.1f} |", flush=True
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--executors", nargs="+", default=["local", "processes"])
    parser.add_argument("--address", help="of the head of a Ray cluster")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=2_000)
    parser.add_argument("--calls", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(*arguments.one)
        return
    print_replies([FLOOR, *arguments.executors], arguments)
    print_small(arguments.executors, arguments)


if __name__ == "__main__":
    main()
