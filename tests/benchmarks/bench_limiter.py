"""How much of an allowed rate the limiter uses against a server that enforces it in every window of 60 s.

    python tests/benchmarks/bench_limiter.py [--seconds 60] [--rates 60 600 6000]

Prints a Markdown table: for each rate the requests answered in the first 60 s, their share of the allowed ones (target: at least 99 %),
the refused ones (target: none), and for longer runs the emptiest and the fullest window of 60 s.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
from collections import deque
from dataclasses import dataclass, field

from asyncrun.aio.limiter import Limiter
from asyncrun.aio.limits import Limits
from asyncrun.clock import SystemClock

WINDOW = 60.0
WORKERS = 24
LATENCY = (0.01, 0.06)
"""Seconds that the server takes for an answer, lowest and highest."""


@dataclass
class SlidingWindow:
    """The server's side: no 60 s may hold more than `limit` requests; refused ones do not count."""

    limit: int
    log: deque[float] = field(default_factory=deque)

    def admit(self, now: float) -> bool:
        while self.log and self.log[0] <= now - WINDOW:
            self.log.popleft()
        if len(self.log) >= self.limit:
            return False
        self.log.append(now)
        return True


def serve(limit: int, ports: multiprocessing.Queue[int]) -> None:
    """Run a server on a free port of the loopback, one answer (200 or 429) a line."""
    window, rng = SlidingWindow(limit), random.Random(1)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while await reader.readline():
            status = b"200\n" if window.admit(loop.time()) else b"429\n"
            await asyncio.sleep(rng.uniform(*LATENCY))
            writer.write(status)
            await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


@dataclass
class Figures:
    rate: int
    sent: list[float] = field(default_factory=list)
    refused: int = 0

    def within(self, start: float) -> int:
        return sum(1 for at in self.sent if start <= at < start + WINDOW)

    def row(self, seconds: float) -> str:
        first = self.within(self.sent[0])
        starts = [at for at in self.sent if at + WINDOW <= self.sent[0] + seconds] or [self.sent[0]]
        counts = [self.within(at) for at in starts[:: max(1, len(starts) // 200)]]
        share = 100 * first / self.rate
        return f"| {self.rate:,} | {first:,} | {share:.2f} % | {self.refused} | {min(counts):,} | {max(counts):,} |"


async def drive(rate: int, port: int, seconds: float) -> Figures:
    """Send as fast as the limiter allows."""
    clock, figures = SystemClock(), Figures(rate)
    limiter = Limiter(Limits(requests_per_minute=rate, concurrency=16), clock, random.Random(1))
    end = clock.monotonic() + seconds

    async def worker() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while clock.monotonic() < end:
            async with limiter.permit() as permit:
                writer.write(b"?\n")
                if await reader.readline() == b"200\n":
                    figures.sent.append(permit.sent)
                    permit.succeeded()
                else:
                    figures.refused += 1
                    permit.throttled(None)
        writer.close()
        await writer.wait_closed()

    workers = [asyncio.create_task(worker()) for _ in range(WORKERS)]
    await asyncio.wait(workers, timeout=seconds + 1)
    for task in workers:
        task.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    figures.sent.sort()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=WINDOW)
    parser.add_argument("--rates", type=int, nargs="+", default=[60, 600, 6000])
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    servers, ports = [], []
    for rate in arguments.rates:
        queue = context.Queue()
        server = context.Process(target=serve, args=(rate, queue), daemon=True)
        server.start()
        servers.append(server)
        ports.append(queue.get(timeout=30))

    async def all_rates() -> list[Figures]:
        return await asyncio.gather(*(drive(rate, port, arguments.seconds) for rate, port in zip(arguments.rates, ports, strict=True)))

    figures = asyncio.run(all_rates())
    for server in servers:
        server.terminate()
        server.join()
    print("| requests a minute allowed | answered in the first 60 s | used | 429s | emptiest 60 s | fullest 60 s |")
    print("|---|---|---|---|---|---|")
    for result in figures:
        print(result.row(arguments.seconds))


if __name__ == "__main__":
    main()
