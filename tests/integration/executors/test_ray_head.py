"""The head of a Ray cluster is looked after: one that is gone for a while is gone, one that comes back is not."""

from __future__ import annotations

import asyncio

import pytest

from asyncrun.executors.ray_cluster import RayCluster


@pytest.mark.asyncio
async def test_a_head_is_lost_when_it_takes_no_connection_for_a_while() -> None:
    arrived = asyncio.Event()

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        writer.close()

    head = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = head.sockets[0].getsockname()[1]
    lost = asyncio.ensure_future(RayCluster(f"127.0.0.1:{port}", own=False).lost(after=0.2, interval=0.01))
    await arrived.wait()
    head.close()
    await head.wait_closed()
    await asyncio.sleep(0.05)
    assert not lost.done()
    arrived.clear()
    head = await asyncio.start_server(greet, "127.0.0.1", port)
    await arrived.wait()
    assert not lost.done()
    head.close()
    await head.wait_closed()
    await asyncio.wait_for(lost, 30)
