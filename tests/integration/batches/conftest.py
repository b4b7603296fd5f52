"""Adapters against the fake batch servers, whose time a test lets pass."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest_asyncio

from asyncrun.batches.adapter import HttpBatchEndpoint
from asyncrun.registry import load
from asyncrun.testing import BatchServers, FakeClock, FakeServer
from asyncrun.testing.batch_servers import ServerClock

START = 1_800_000_000.0


class Rehearsal:
    """One server, and adapters that are connected to it."""

    def __init__(self, server: FakeServer, batches: BatchServers) -> None:
        self.server, self.batches, self.warnings = server, batches, []
        self.opened: list[HttpBatchEndpoint] = []

    def endpoint(self, provider: str, purpose: str = "chat", **settings: Any) -> Any:
        about = {"model": "m", "api_key": "a-secret-key-of-ours", "rng": random.Random(1), "clock": FakeClock(start=START), "environ": {}}
        about |= {"base_url": self.server.vendor_url(provider), "warn": self.warnings.append, **settings}
        made = load("batches", provider)(purpose=purpose, **about)
        self.opened.append(made)
        return made


@pytest_asyncio.fixture
async def rehearse() -> AsyncIterator[Callable[..., Rehearsal]]:
    """Return a function that starts a server with faults of its batch endpoints."""
    running: list[tuple[Any, Rehearsal]] = []

    def start(**about: Any) -> Rehearsal:
        batches = BatchServers(clock=ServerClock(real=lambda: START), **about)
        context = FakeServer(batches=batches, dimensions=3).in_thread()
        rehearsal = Rehearsal(context.__enter__(), batches)
        running.append((context, rehearsal))
        return rehearsal

    yield start
    for context, rehearsal in running:
        for endpoint in rehearsal.opened:
            await endpoint.aclose()
        context.__exit__(None, None, None)
