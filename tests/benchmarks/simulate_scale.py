"""A thousand workers and a billion items under one limit: what is used of it, what the driver takes, and what is the first bottleneck.

    python tests/benchmarks/simulate_scale.py [--workers 10 100 1000 3000] [--requests-per-minute 10000 60000] ...

Costs of the driver are measured first, in processes of their own on this machine. Then the real pool, attempts and limiter send batches to
simulated workers in virtual time, for some minutes from the beginning and for some in the middle of a run, where each minute is like the
other; the end is what is in flight. What a billion items take is computed from both. Every assumption is an argument, and is printed.
"""

from __future__ import annotations

import argparse
import functools
import gc
import math
import sys
import time
from dataclasses import dataclass, replace

from scale.costs import BatchCosts, ItemCosts, Shape, batch_costs, item_costs, model_seconds
from scale.figures import Figures, figures_of, seconds_to_grow
from scale.flow import Case, Driver, Flow
from scale.virtual_loop import VirtualClock, run_virtually

HOUR = 3600.0
COLUMNS = (
    "workers | in flight | batches a second | of the requests | of the tokens | fullest 60 s"
    " | driver's cores | ledger MB/s | hours | bound by"
)
LARGER = 4
"""Times as many texts in a batch, where that is tried."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--items", type=float, default=1e9, help="texts to embed")
    add("--workers", type=int, nargs="+", default=[10, 100, 1000, 3000], help="processes, on any number of machines")
    add("--requests-per-minute", type=float, nargs="+", default=[10_000.0, 60_000.0], help="the server's limit")
    add(
        "--token-limit",
        type=float,
        nargs="+",
        default=[1.04, 0.8],
        help="of tokens, as a share of what so many requests hold; the second is for the first limit alone",
    )
    add("--latency", type=float, default=0.8, help="of the server: seconds, median of a log-normal distribution")
    add("--latency-sigma", type=float, default=0.5, help="of the latency's logarithm")
    add("--slots", type=int, default=4, help="calls in flight of a worker")
    add("--texts", type=int, default=96, help="of a request")
    add("--dimensions", type=int, default=1024, help="of the server's vectors")
    add("--text-bytes", type=int, default=800, help="of a text, the mean")
    add("--text-bytes-sd", type=float, default=600.0, help="their standard deviation")
    add("--tokens-per-byte", type=float, default=0.25, help="the mean")
    add("--tokens-sd", type=float, default=0.05, help="their standard deviation between batches, as a part of the mean")
    add("--local-texts", type=int, default=16, help="of a batch for a model on a worker")
    add("--lost", type=float, default=1e-5, help="share of calls whose worker is lost")
    add("--memory", type=float, default=16e9, help="bytes of memory of one driver")
    add("--full", type=float, default=0.7, help="how busy a driver's core may be, where drivers are counted")
    add("--fleet", type=int, default=1000, help="workers of the start and of what lifts the bound")
    add("--seconds", type=float, default=60.0, help="virtual seconds of each stretch")
    add("--seed", type=int, default=1)
    return parser.parse_args()


@dataclass(frozen=True, slots=True)
class Way:
    """One way to work: what a batch is, what it costs the driver here, and what is simulated with it."""

    shape: Shape
    costs: BatchCosts
    case: Case

    @property
    def core(self) -> float:
        return self.costs.driver + self.costs.ship


def simulate(case: Case, seconds: float, seed: int) -> Flow:
    async def drive() -> Flow:
        return await Driver(case, VirtualClock(), seed).run(seconds=seconds)

    return run_virtually(drive())


def steady(way: Way, options: argparse.Namespace) -> Figures:
    """Return the figures of the middle of a run, after those who wait for the driver or its disk are as many as they will be."""
    warm = 30.0 + way.case.workers * way.case.slots * max(way.core, way.costs.commit)
    return _steady(replace(way.case, grown=True), warm, options.seconds, options.seed)


@functools.cache
def _steady(case: Case, warm: float, seconds: float, seed: int) -> Figures:
    return figures_of(simulate(case, warm + seconds, seed), case, warm)


def row(way: Way, found: Figures, options: argparse.Namespace, drivers: int = 1, first: str = "") -> str:
    """Return a row of the table; with several drivers each has its part of the workers and of the limits."""
    shares = [f"{100 * found.uses[unit].share:.1f} %" if unit in found.uses else "" for unit in ("requests", "tokens")]
    fullest = max((use.fullest for use in found.uses.values()), default=None)
    batches = found.batches * drivers
    written = batches * way.shape.items * way.costs.ledger_bytes / 1e6
    cells = [
        first or f"{way.case.workers * drivers:,}",
        f"{found.in_flight * drivers:,.0f}",
        f"{batches:,.1f}",
        *shares,
        "" if fullest is None else f"{100 * fullest:.1f} %",
        f"{batches * way.core:.2f}",
        f"{written:,.1f}",
        f"{options.items / (batches * way.shape.items) / HOUR:,.1f}",
        found.bound,
    ]
    return f"| {' | '.join(cells)} |"


def heading(title: str, first: str = "workers") -> None:
    columns = COLUMNS.replace("workers", first, 1)
    print(f"\n### {title}\n\n| {columns} |\n|{'---|' * (columns.count('|') + 1)}", flush=True)


def measured_way(shape: Shape, case: Case) -> Way:
    costs = batch_costs(shape)
    return Way(shape, costs, replace(case, items=shape.items, driver=costs.driver + costs.ship, ship=costs.ship, commit=costs.commit))


def limited(way: Way, requests: float, share: float) -> Way:
    """Return a way under a limit of requests and one of tokens."""
    case = way.case
    tokens = share * requests * case.items * case.item_bytes * case.tokens_per_byte
    return replace(way, case=replace(case, requests_per_minute=requests, tokens_per_minute=tokens))


def with_workers(way: Way, workers: int) -> Way:
    return replace(way, case=replace(way.case, workers=workers))


def part_of(way: Way, drivers: int) -> Way:
    """Return what one of several drivers has."""
    case = way.case
    limits = [None if limit is None else limit / drivers for limit in (case.requests_per_minute, case.tokens_per_minute)]
    return replace(
        way, case=replace(case, workers=max(case.workers // drivers, 1), requests_per_minute=limits[0], tokens_per_minute=limits[1])
    )


def print_costs(ways: dict[str, Way], items: ItemCosts) -> None:
    print("\n### Measured here\n\n| a batch | driver ms | the event loop's | ship ms | bare | commit ms | ledger bytes a text | output |")
    print(f"|{'---|' * 8}")
    for name, way in ways.items():
        costs = way.costs
        seconds = " | ".join(f"{1e3 * each:.2f}" for each in (costs.driver, costs.loop, costs.ship, costs.floor, costs.commit))
        print(f"| {name} | {seconds} | {costs.ledger_bytes:,.0f} | {costs.output_bytes:,.0f} |")
    print("\n| an item | |\n|---|---|")
    print(f"| the pass before the first request, us of CPU | {1e6 * items.scan:.2f} |")
    print(f"| the pass that writes the output | {1e6 * items.output:.2f} |")
    print(f"| memory at the peak of a job, bytes | {items.memory:,.0f} |")
    print(f"| both passes, of an item that is another shard's, us of CPU | {1e6 * items.other:.2f} |")
    print(f"| memory of such an item, bytes | {items.other_memory:,.0f} |")
    print(f"| to read that it is finished, us of CPU | {1e6 * items.index:.2f} |")
    print(f"| memory of that, bytes | {items.index_memory:,.0f} |")


def print_whole(way: Way, items: ItemCosts, options: argparse.Namespace) -> int:
    """Print what all items take of one driver, and return how many drivers the memory asks for."""
    memory = items.base + items.memory * options.items
    shards = max(1, math.ceil(items.memory * options.items / (options.memory - items.base)))
    print(f"\n### {options.items:,.0f} items on one driver, vectors of {way.shape.dimensions} numbers\n\n| | |\n|---|---|")
    print(f"| ledger, TB | {way.costs.ledger_bytes * options.items / 1e12:,.2f} |")
    print(f"| output (npy), TB | {way.costs.output_bytes * options.items / 1e12:,.2f} |")
    print(f"| the pass before the first request, hours | {items.scan * options.items / HOUR:,.1f} |")
    print(f"| the pass that writes the output, hours | {items.output * options.items / HOUR:,.1f} |")
    print(f"| to read what is finished, at the next start, minutes | {items.index * options.items / 60:,.1f} |")
    print(f"| the driver's CPU for all batches, hours | {options.items / way.shape.items * way.core / HOUR:,.1f} |")
    print(f"| memory, GB | {memory / 1e9:,.0f} |")
    print(f"| drivers with {options.memory / 1e9:,.0f} GB each, an equal part of the input to each | {shards:,} |")
    others = items.base + options.items * (items.memory + items.other_memory * (shards - 1)) / shards
    print(f"| memory of each, GB, where all read the whole input (`--shard`) | {others / 1e9:,.0f} |")
    both = options.items * (items.scan + items.output + items.other * (shards - 1)) / shards
    print(f"| the passes of each then, hours | {both / HOUR:,.1f} |", flush=True)
    return shards


def print_start(way: Way, found: Figures, options: argparse.Namespace) -> None:
    """Print how long a run takes until it uses its limit."""
    case = way.case
    mean = case.latency * math.exp(case.latency_sigma**2 / 2)
    flow = simulate(case, options.seconds, options.seed)
    needed = found.in_flight
    grown = seconds_to_grow(flow, needed)
    lost = grown / 2 / (options.items / (found.batches * case.items))
    print(
        f"| {case.requests_per_minute:,.0f} | {mean:.2f} | {needed:,.0f} | {flow.allowed} | {grown:,.0f} | {100 * lost:.2f} % |", flush=True
    )


def print_lifts(way: Way, larger: Way, shards: int, options: argparse.Namespace) -> None:
    heading(f"What lifts it: {way.case.workers:,} workers, {way.case.requests_per_minute:,.0f} requests a minute", "way")
    needed = (way.case.requests_per_minute or 0) / 60 * way.core
    drivers = max(2, math.ceil(needed / options.full))
    part = part_of(way, drivers)
    print(row(way, steady(way, options), options, first="one driver"), flush=True)
    print(row(part, steady(part, options), options, drivers, f"{drivers} drivers, each with its part"), flush=True)
    print(row(larger, steady(larger, options), options, first=f"{LARGER} times as many texts in a batch"), flush=True)
    if shards > drivers:
        part = part_of(way, shards)
        print(row(part, steady(part, options), options, shards, f"{shards} drivers, as the memory asks for"), flush=True)


def main() -> None:
    options = arguments()
    gc.disable()  # it would go through thousands of waiting batches again and again
    began = time.process_time()
    print(f"Python {sys.version.split()[0]}. Assumed:", ", ".join(f"{name} {value}" for name, value in vars(options).items()))
    texts = {"item_bytes": float(options.text_bytes), "item_bytes_sd": options.text_bytes_sd, "tokens_per_byte": options.tokens_per_byte}
    case = Case(1, options.slots, latency=options.latency, latency_sigma=options.latency_sigma, tokens_sd=options.tokens_sd, **texts)
    case = replace(case, lost=options.lost)
    shape = Shape(options.texts, options.text_bytes, options.dimensions)
    http = measured_way(shape, case)
    larger = measured_way(replace(shape, items=LARGER * options.texts), case)
    text_seconds, dimensions = model_seconds(options.text_bytes)
    computing = replace(case, slots=2, computes=True, latency=text_seconds * options.local_texts, latency_sigma=options.tokens_sd)
    local = measured_way(Shape(options.local_texts, options.text_bytes, dimensions), computing)
    items = item_costs(options.text_bytes)
    ways = {f"{options.texts} texts x {options.dimensions}": http, f"{LARGER * options.texts} x {options.dimensions}": larger}
    print_costs({**ways, f"{options.local_texts} x {dimensions}, the local model": local}, items)
    shards = print_whole(http, items, options)
    for requests in options.requests_per_minute:
        for share in options.token_limit if requests == options.requests_per_minute[0] else options.token_limit[:1]:
            heading(f"A server that allows {requests:,.0f} requests a minute, and tokens for {share:g} of them")
            for workers in options.workers:
                way = limited(with_workers(http, workers), requests, share)
                print(row(way, steady(way, options), options), flush=True)
    heading(f"The local model on the workers: {1 / text_seconds:,.0f} texts a second and core")
    for workers in options.workers:
        way = with_workers(local, workers)
        print(row(way, steady(way, options), options), flush=True)
    columns = "requests a minute | latency, mean | in flight for the limit | after the stretch | seconds to there | of the run lost"
    print(f"\n### The start, where the concurrency grows\n\n| {columns} |\n|{'---|' * 6}")
    workers, share = options.fleet, options.token_limit[0]
    for requests in options.requests_per_minute:
        way = limited(with_workers(http, workers), requests, share)
        print_start(way, steady(way, options), options)
    way, wide = (limited(with_workers(each, workers), options.requests_per_minute[-1], share) for each in (http, larger))
    print_lifts(way, wide, shards, options)
    print(f"\nCPU of the simulation: {time.process_time() - began:.0f} s")


if __name__ == "__main__":
    main()
