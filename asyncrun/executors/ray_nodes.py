"""A look at a Ray cluster before a run depends on it: its nodes, what they have, and whether asyncrun is there in the same version."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from asyncrun import __version__
from asyncrun.aio.thread_calls import in_background
from asyncrun.executors.ray_actor import Greeting, actor_class
from asyncrun.executors.ray_cluster import RayNode, first_line, join

LOOK_WITHIN = 60.0
"""Seconds in which a node has started a worker."""


@dataclass(frozen=True, slots=True)
class ClusterLook:
    """The address of a cluster's head, the version of Ray, and each node with why no worker can run there, None where one can."""

    address: str
    version: str
    nodes: tuple[tuple[RayNode, str | None], ...]


async def look(address: str) -> ClusterLook:
    """Join a cluster, start a worker on each node, and leave. Raises what `ray_cluster.join` raises."""
    cluster = await join(address)
    import ray

    try:
        nodes = await cluster.nodes()
        problems = await asyncio.gather(*(_problem(node) for node in nodes))
        return ClusterLook(cluster.address, ray.__version__, tuple(zip(nodes, problems, strict=True)))
    finally:
        await cluster.leave()


async def _problem(node: RayNode) -> str | None:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    actors: Any = ray.remote(actor_class())
    there = NodeAffinitySchedulingStrategy(node.id, soft=False)
    handle = actors.options(num_cpus=0, scheduling_strategy=there, max_restarts=0).remote()
    try:
        async with asyncio.timeout(LOOK_WITHIN):
            refused = Greeting(*await handle.hello.remote()).refusal(__version__)
    except TimeoutError:
        return f"it has started no worker within {LOOK_WITHIN:.0f} s"
    except ray.exceptions.RayError as error:
        return first_line(str(error))
    finally:
        in_background(lambda: ray.kill(handle))
    return None if refused is None else refused.message
