"""Local servers of the batch endpoints of six vendors, for tests and rehearsals: OpenAI, Azure, Mistral, Gemini, Voyage and Anthropic."""

from asyncrun.testing.batch_servers.books import BilledLine, Books, SeenBatch, SeenUpload
from asyncrun.testing.batch_servers.clock import ServerClock
from asyncrun.testing.batch_servers.faults import BatchFaults
from asyncrun.testing.batch_servers.limits import VendorTerms
from asyncrun.testing.batch_servers.servers import BatchServers

__all__ = ["BatchFaults", "BatchServers", "BilledLine", "Books", "SeenBatch", "SeenUpload", "ServerClock", "VendorTerms"]
