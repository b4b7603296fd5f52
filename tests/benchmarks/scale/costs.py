"""The costs of a driver on this machine, measured by processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FEW, MANY = 200, 800
"""Batches of the two jobs whose difference is what more batches cost."""
FEW_KEYS, MANY_KEYS = 200_000, 800_000
"""Items of the two jobs whose difference is what more items cost: four times as many, as sets grow by doubling."""

ROUNDS = 3
"""Of what other work on the machine makes slower: the least counts."""
SHARDS = 20
"""Of a job, the first of which is measured to know what the items of the others cost."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A batch: so many texts of so many bytes, vectors of so many numbers."""

    items: int
    item_bytes: int
    dimensions: int

    @property
    def body(self) -> int:
        return self.items * self.item_bytes

    @property
    def reply(self) -> int:
        return self.items * self.dimensions * 4


@dataclass(frozen=True, slots=True)
class BatchCosts:
    """Of one batch, in seconds of CPU of all threads, of the event loop's thread, and of the ledger's disk; and bytes of one item.

    Attributes:
        driver: packing, body, permit, events, trace and ledger.
        loop: the event loop's part of it.
        ship: the way to a worker and back, over `ProcessExecutor`; `floor` over a bare pair of sockets.
        commit: of the ledger's writer, of the wall, where 64 batches wait for it.
        ledger_bytes: of an item in the ledger.
        output_bytes: of an item in the output (npy).
    """

    driver: float
    loop: float
    ship: float
    floor: float
    commit: float
    ledger_bytes: float
    output_bytes: float


@dataclass(frozen=True, slots=True)
class ItemCosts:
    """Of one item, whatever it is: seconds of CPU before the first request and after the last, and bytes of memory at the peak.

    Attributes:
        scan: reading, hashing, looking up and keeping it.
        output: reading it again, and writing its row.
        memory: of a whole job.
        other: both passes over an item that belongs to another shard.
        other_memory: of such an item.
        index: seconds to read that it is finished.
        index_memory: of the index of what is finished, while it is read.
        base: bytes that a job takes without items.
    """

    scan: float
    output: float
    memory: float
    other: float
    other_memory: float
    index: float
    index_memory: float
    base: float


def batch_costs(shape: Shape) -> BatchCosts:
    job = {"dimensions": shape.dimensions, "batch": shape.items, "size": shape.item_bytes}
    few, many = (_measure("measured_job.py", "job", items=batches * shape.items, **job) for batches in (FEW, MANY))
    filled = {"items": FEW * shape.items, "dimensions": shape.dimensions, "batch": shape.items}
    commit = min(_measure("measured_job.py", "ledger", **filled)["write"][0] for _ in range(ROUNDS))
    ship, floor = (_measure("measured_ship.py", way, body=shape.body, reply=shape.reply, calls=FEW) for way in ("processes", "bare"))
    more = MANY - FEW
    _, driver, loop = (b - a for a, b in zip(few["send"], many["send"], strict=True))
    items = more * shape.items
    return BatchCosts(
        driver / more,
        loop / more,
        ship,
        floor,
        commit / FEW,
        (many["ledger_bytes"] - few["ledger_bytes"]) / items,
        (many["out_bytes"] - few["out_bytes"]) / items,
    )


def item_costs(item_bytes: int) -> ItemCosts:
    """Measure with vectors of one number and batches of a thousand, so that what is left is about the items."""
    whole, shard = ([_job_of_items(items, item_bytes, shards) for items in (FEW_KEYS, MANY_KEYS)] for shards in (1, SHARDS))
    read = [_measure("measured_job.py", "ledger", items=items, dimensions=1, batch=1000) for items in (FEW_KEYS, MANY_KEYS)]
    scan, output, memory = _slopes(whole)
    others = (SHARDS - 1) / SHARDS
    of_shard = [(slope - own / SHARDS) / others for slope, own in zip(_slopes(shard), (scan, output, memory), strict=True)]
    more = MANY_KEYS - FEW_KEYS
    return ItemCosts(
        scan,
        output,
        memory,
        of_shard[0] + of_shard[1],
        of_shard[2],
        (read[1]["index"][1] - read[0]["index"][1]) / more,
        (read[1]["peak"] - read[0]["peak"]) / more,
        whole[0]["peak"] - memory * FEW_KEYS,
    )


def _job_of_items(items: int, item_bytes: int, shards: int) -> dict[str, Any]:
    found: dict[str, Any] = _measure("measured_job.py", "job", items=items, dimensions=1, batch=1000, size=item_bytes, shards=shards)
    return found


def _slopes(jobs: list[dict[str, Any]]) -> tuple[float, float, float]:
    """Return seconds of CPU before and after the requests, and bytes of memory, that one item more of the input takes."""
    few, many = jobs
    more = MANY_KEYS - FEW_KEYS
    return (many["scan"][1] - few["scan"][1]) / more, (many["output"][1] - few["output"][1]) / more, (many["peak"] - few["peak"]) / more


def model_seconds(item_bytes: int, items: int = 32) -> tuple[float, int]:
    """Return what the package's own model takes of one core for a text, and the dimensions of its vectors."""
    found = _measure("measured_job.py", "model", size=item_bytes, count=items)
    return found["seconds"] / items, found["dimensions"]


def _measure(program: str, what: str, **arguments: Any) -> Any:
    ran = subprocess.run([sys.executable, HERE / program, what, json.dumps(arguments)], capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)
