"""Fakes and contract suites for users and plugin authors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.testing.batch_servers import BatchFaults, BatchServers
    from asyncrun.testing.batches import BatchEndpointContract
    from asyncrun.testing.chat import Chat, Said, in_turn
    from asyncrun.testing.chunkers import ChunkerContract
    from asyncrun.testing.clock import FakeClock
    from asyncrun.testing.embedders import EmbedderContract
    from asyncrun.testing.exporters import ExporterContract
    from asyncrun.testing.faults import Fault, SeenRequest
    from asyncrun.testing.handlers import HandlerContract
    from asyncrun.testing.kinds import KindContract
    from asyncrun.testing.llms import LlmContract
    from asyncrun.testing.named import fault
    from asyncrun.testing.quota import Quota
    from asyncrun.testing.readers import ReaderContract
    from asyncrun.testing.server import FakeServer
    from asyncrun.testing.stores import StoreContract
    from asyncrun.testing.vectors import are_right, vector_of
    from asyncrun.testing.writers import WriterContract

__all__ = [
    "BatchEndpointContract",
    "BatchFaults",
    "BatchServers",
    "Chat",
    "ChunkerContract",
    "EmbedderContract",
    "ExporterContract",
    "FakeClock",
    "FakeServer",
    "Fault",
    "HandlerContract",
    "KindContract",
    "LlmContract",
    "Quota",
    "ReaderContract",
    "Said",
    "SeenRequest",
    "StoreContract",
    "WriterContract",
    "are_right",
    "fault",
    "in_turn",
    "vector_of",
]

__getattr__, __dir__ = load_on_use(
    __name__,
    {
        "batch_servers": ["BatchFaults", "BatchServers"],
        "batches": ["BatchEndpointContract"],
        "chat": ["Chat", "Said", "in_turn"],
        "chunkers": ["ChunkerContract"],
        "clock": ["FakeClock"],
        "embedders": ["EmbedderContract"],
        "exporters": ["ExporterContract"],
        "faults": ["Fault", "SeenRequest"],
        "handlers": ["HandlerContract"],
        "kinds": ["KindContract"],
        "llms": ["LlmContract"],
        "named": ["fault"],
        "quota": ["Quota"],
        "readers": ["ReaderContract"],
        "server": ["FakeServer"],
        "stores": ["StoreContract"],
        "vectors": ["are_right", "vector_of"],
        "writers": ["WriterContract"],
    },
)
