"""The batch endpoints of all vendors behind one port: which vendor a path is for, and whose the call is."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from random import Random

from asyncrun.short_help import ShortHelp
from asyncrun.testing.batch_servers.anthropic import AnthropicDesk
from asyncrun.testing.batch_servers.azure import AzureDesk
from asyncrun.testing.batch_servers.books import Books
from asyncrun.testing.batch_servers.calls import OnlineAnswer, VendorCall, VendorReply
from asyncrun.testing.batch_servers.clock import ServerClock
from asyncrun.testing.batch_servers.desk import CallRefused, Shop, VendorDesk
from asyncrun.testing.batch_servers.faults import BatchFaults
from asyncrun.testing.batch_servers.gemini import GeminiDesk
from asyncrun.testing.batch_servers.limits import VendorTerms
from asyncrun.testing.batch_servers.mistral import MistralDesk
from asyncrun.testing.batch_servers.openai import OpenAIDesk
from asyncrun.testing.batch_servers.voyage import VoyageDesk
from asyncrun.testing.faults import SeenRequest

WireReply = tuple[int, bytes, Mapping[str, str]]
DESKS: tuple[type[VendorDesk], ...] = (OpenAIDesk, AzureDesk, MistralDesk, GeminiDesk, VoyageDesk, AnthropicDesk)
BASE_PATHS: Mapping[str, str] = {
    "openai": "/v1",
    "azure": "/azure/openai/v1",
    "mistral": "/mistral/v1",
    "gemini": "/gemini/v1beta",
    "voyage": "/voyage/v1",
    "anthropic": "/anthropic",
}
"""Where each vendor's endpoints begin on the server: what a job file's `base_url` names behind the port."""


def vendor_of(parts: tuple[str, ...]) -> tuple[str, int]:
    """Return whose a path is, and how many of its steps are only the name in front of it.

    Several vendors have the same paths, so each but OpenAI has a name in front; who has paths of its own is known by them, too.

    >>> vendor_of(("mistral", "v1", "files")), vendor_of(("v1", "messages", "batches")), vendor_of(("v1", "files"))
    (('mistral', 1), ('anthropic', 0), ('openai', 0))
    """
    match parts:
        case (name, *_) if name in BASE_PATHS and name != "openai":
            return name, 1
        case ("openai", *_):
            return "azure", 0
        case ("v1beta" | "upload" | "download", *_):
            return "gemini", 0
        case ("v1", "messages", *_):
            return "anthropic", 0
        case ("v1", "batch", *_):
            return "mistral", 0
    return "openai", 0


def lowered_terms(*, lines: int | None = None, tokens: int | None = None) -> dict[str, VendorTerms]:
    """Return the terms of all vendors, with these limits instead of their own; None leaves a vendor's.

    >>> lowered_terms(lines=100)["mistral"].lines
    100
    """
    wanted = {name: limit for name, limit in (("lines", lines), ("tokens", tokens)) if limit is not None}
    return {desk.name: replace(desk.terms, **wanted) for desk in DESKS}


class BatchServers(metaclass=ShortHelp):
    """Batch endpoints for a FakeServer: files and batches, kept as long as it lives; `FakeServer.vendor_url` says where a vendor's begin.

    A batch is done after some virtual minutes. Its replies are those that the same requests have online, in another order.

    Args:
        seconds: Virtual seconds after which a batch is done.
        speed: Virtual seconds that pass in one.
        faults: What goes wrong.
        terms: Limits and prices by vendor, where they are not to be the vendor's own.
        seed: What ids and order are drawn from: the same calls have the same.
        clock: Its time, instead of one that runs at `speed`.

    >>> from asyncrun.testing import FakeServer
    >>> with FakeServer(batches=BatchServers(speed=60.0)).in_thread() as server:
    ...     server.vendor_url("azure").removeprefix("http://127.0.0.1:")[-16:]
    '/azure/openai/v1'
    """

    def __init__(
        self,
        *,
        seconds: float = 180.0,
        speed: float = 1.0,
        faults: BatchFaults | None = None,
        terms: Mapping[str, VendorTerms] | None = None,
        seed: int = 0,
        clock: ServerClock | None = None,
    ) -> None:
        self._shop = Shop(clock or ServerClock(speed), Random(seed), faults or BatchFaults(), seconds)  # noqa: S311 (no secret)
        self._desks = {desk.name: desk(self._shop, (terms or {}).get(desk.name)) for desk in DESKS}
        self._lock = threading.Lock()

    @property
    def books(self) -> Books:
        """Return what was uploaded, created, worked on and billed until this moment."""
        with self._lock:
            for desk in self._desks.values():
                desk.settle()
        return self._shop.books

    def advance(self, seconds: float) -> None:
        """Let virtual time pass; from any thread."""
        self._shop.clock.advance(seconds)

    def reply(self, request: SeenRequest, key: str, answer: OnlineAnswer, *, known: bool, origin: str) -> WireReply | None:
        """Return status, body and headers of the reply to a request, None where it is for none of the batch endpoints.

        `answer` is how requests are answered online, `known` whether the key is a right one, `origin` the server's address. Raises
        LostReplyError where the connection is to be cut.
        """
        call = VendorCall.of(request.method, request.path, request.headers, request.body, key)
        if call.parts == ("batch-stats",):
            sent: VendorReply | None = VendorReply(self.books.document())
        else:
            vendor, named = vendor_of(call.parts)
            before = "".join(f"/{part}" for part in call.parts[:named])
            with self._lock:
                self._shop.answer = answer
                sent = self._from_desk(self._desks[vendor], replace(call, parts=call.parts[named:], origin=origin + before), known=known)
        return None if sent is None else (sent.status, sent.as_bytes(), sent.headers)

    def _from_desk(self, desk: VendorDesk, call: VendorCall, *, known: bool) -> VendorReply | None:
        try:
            return desk.reply(call, known=known)
        except CallRefused as refused:
            return desk.refusal(refused)
