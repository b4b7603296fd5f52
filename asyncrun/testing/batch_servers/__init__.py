"""Local servers of the batch endpoints of six vendors, for tests and rehearsals: OpenAI, Azure, Mistral, Gemini, Voyage and Anthropic."""

from asyncrun.testing.batch_servers.books import BilledLine, Books, SeenBatch, SeenUpload
from asyncrun.testing.batch_servers.clock import ServerClock
from asyncrun.testing.batch_servers.faults import BATCH_FAULTS, BatchFaults, batch_faults, parse_batch_fault
from asyncrun.testing.batch_servers.limits import VendorTerms
from asyncrun.testing.batch_servers.servers import BASE_PATHS, BatchServers, lowered_terms

__all__ = [
    "BASE_PATHS",
    "BATCH_FAULTS",
    "BatchFaults",
    "BatchServers",
    "BilledLine",
    "Books",
    "SeenBatch",
    "SeenUpload",
    "ServerClock",
    "VendorTerms",
    "batch_faults",
    "lowered_terms",
    "parse_batch_fault",
]
