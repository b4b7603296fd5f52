"""What the adapters of batch endpoints have in common: they ask about a batch, look for one, and read the files of its replies."""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, ClassVar, Unpack

from asyncrun.batches.documents import rows_of
from asyncrun.batches.exchange import BatchExchange
from asyncrun.batches.file_content import FileContent
from asyncrun.batches.interface import BatchReply, BatchTerms, ProviderBatch, Purpose, Refusal, parse_request_id
from asyncrun.batches.reply_lines import LeftOut, documents_in, read_line
from asyncrun.endpoints.address import auth_header, check_key, find_address, join, with_query
from asyncrun.endpoints.endpoint import Endpoint, EndpointOptions
from asyncrun.endpoints.replies import RequestError
from asyncrun.endpoints.vendors import Vendor
from asyncrun.errors import EndpointError, OutageError, RepliesGoneError

logger = logging.getLogger(__name__)
DAY = 86_400.0
KNOWN_LATE = 60.0
"""Seconds after its creation within which a batch that is not found is looked for again, every `LOOK_AGAIN` seconds."""
LOOK_AGAIN = 5.0


class HttpBatchEndpoint(ABC):
    """A batch endpoint behind HTTP, for one model.

    Args:
        model: As requests name it.
        purpose: What the requests ask for.
        base_url: As for online requests; default: the provider's, or what its environment variable says.
        api_key: Default: the provider's own variable, at the provider's own address only.
        api_version: Of Azure's older form.
        params: A query string; keys do not belong there.
        environ: Where variables are looked for; default: `os.environ`.
        warn: Is told what was left out.
        options: How the endpoint is treated: see `EndpointOptions`.

    Raises ArgumentError for an address or a key that cannot be used.
    """

    vendor: ClassVar[Vendor]
    online_paths: ClassVar[tuple[str, ...]] = ("/chat/completions", "/embeddings")
    """Ends of addresses that belong to online requests."""
    page_size: ClassVar[int] = 100
    """Batches that are listed at a time."""
    newest_first: ClassVar[bool] = True
    """Whether the provider lists batches in the order of their creation."""
    clocks_apart: ClassVar[float] = 3600.0
    """Seconds by which the clock of a provider may be behind this machine's: what is looked for may seem to be older than it is."""

    def __init__(
        self,
        *,
        model: str,
        purpose: Purpose,
        base_url: str | None = None,
        api_key: str | None = None,
        api_version: str | None = None,
        params: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        warn: Callable[[str], object] = logger.warning,
        **options: Unpack[EndpointOptions],
    ) -> None:
        address = find_address(self.vendor, base_url, api_key, os.environ if environ is None else environ)
        check_key(self.vendor, address, list(options.get("headers", {})))
        base = address.base_url
        for path in self.online_paths:
            base = base.removesuffix(path)
        self.model, self.purpose = model, purpose
        self.provider = self.vendor.name
        self._base, self._warn = base, warn
        self._query = {**({"api-version": api_version} if api_version else {}), **(params or {})}
        self.exchange = BatchExchange(Endpoint(base, {**auth_header(self.vendor, address.key), **self.fixed_headers()}, options))
        self.host = self.exchange.endpoint.host
        self.terms = self.terms_for(purpose)

    @staticmethod
    @abstractmethod
    def terms_for(purpose: Purpose) -> BatchTerms:
        """Return what the provider takes; needs no key."""

    @abstractmethod
    def read(self, document: Any) -> ProviderBatch | None:
        """Return the batch that a document of the provider describes, None where it describes none."""

    @abstractmethod
    def address_of(self, batch_id: str, action: str = "") -> str:
        """Return where a batch is asked for, or something is asked of it."""

    @abstractmethod
    def address_of_page(self, number: int, before: Any) -> str | None:
        """Return where a page of the list of batches is, the first being 0, given the one before it; None behind the last."""

    @abstractmethod
    def addresses_of_replies(self, batch: ProviderBatch) -> Iterable[str]:
        """Return where its files of replies are."""

    def rows(self, page: Any) -> list[Any]:
        """Return the batches of a page, as they are told."""
        return rows_of(page, "data")

    def fixed_headers(self) -> Mapping[str, str]:
        """Return what all requests carry beside the key."""
        return {}

    def read_reply(self, document: Mapping[str, Any]) -> BatchReply | None:
        """Return what a line of a file of replies says, None where it says nothing of a request."""
        return read_line(document)

    def at(self, path: str, **query: object) -> str:
        """Return an address of the provider's; what all requests have in their query string is in it."""
        return with_query(join(self._base, path), {**self._query, **query})

    async def batches(self) -> AsyncGenerator[ProviderBatch]:
        """Yield what lies at the provider, in its order."""
        number, page, asked = 0, None, ""
        # A list that leads to itself has ended.
        while (address := self.address_of_page(number, page)) is not None and address != asked:
            number, page, asked = number + 1, await self.exchange.ask("GET", address), address
            for row in self.rows(page):
                if (batch := self.read(row)) is not None:
                    yield batch

    async def find(self, tag: str, since: float, requests: int) -> list[ProviderBatch]:
        """Return the batches with a tag, the oldest first."""
        async with aclosing(self._since(since)) as listed:
            found = [batch async for batch in listed if batch.tag == tag]
        return sorted(found, key=lambda batch: batch.created or 0.0)

    async def get(self, batch_id: str, created: float | None = None) -> ProviderBatch | None:
        """Return how a batch stands, None where the provider does not know it."""
        clock = self.exchange.endpoint.clock
        while (reply := await self.exchange.find("GET", self.address_of(batch_id))) is None:
            if created is None or not 0 <= clock.now() - created < KNOWN_LATE:
                return None
            await clock.sleep(LOOK_AGAIN)
        if (batch := self.read(reply.document)) is None:
            raise EndpointError(f"{self.host} answers 200, but not with a batch")
        return batch

    async def replies(self, batch: ProviderBatch) -> AsyncGenerator[BatchReply]:
        """Yield the replies that are there, in no order."""
        left_out = LeftOut()
        async with aclosing(self.documents(batch, left_out)) as documents:
            async for document in documents:
                reply = self.read_reply(document)
                if reply is None:
                    left_out.unreadable += 1
                elif (found := parse_request_id(reply.custom_id)) is None or batch.tag not in (None, found[0]):
                    left_out.foreign += 1
                else:
                    yield replace(reply, message=self.shown(reply.message)) if reply.message else reply
        if (sentence := left_out.sentence(batch.id)) is not None:
            self._warn(f"{self.host}: {sentence}")

    async def documents(self, batch: ProviderBatch, left_out: LeftOut) -> AsyncGenerator[dict[str, Any]]:
        """Yield the lines of a batch's replies as they are. Raises RepliesGoneError."""
        for url in self.addresses_of_replies(batch):
            try:
                async with aclosing(self.exchange.download(url)) as pieces, aclosing(documents_in(pieces, left_out)) as documents:
                    async for document in documents:
                        yield document
            except RequestError as error:
                raise RepliesGoneError(f"{self.host} has no replies of {self.shown(batch.id)} any more: {error}") from error

    async def cancel(self, batch_id: str) -> None:
        """Ask for the end of a batch; one that is over already stays as it is."""
        if not await self._goes_on(batch_id):
            return
        try:
            await self.exchange.find("POST", self.address_of(batch_id, "/cancel"))
        except (EndpointError, OutageError):
            # Between the two it may have ended.
            if await self._goes_on(batch_id):
                raise

    async def delete(self, batch: ProviderBatch) -> int:
        """Remove what can be removed; returns how many."""
        gone = 0
        for url in self.deletable(batch):
            try:
                gone += await self.exchange.find("DELETE", url) is not None
            except EndpointError as error:
                # One that stays, as what Gemini has written itself may, keeps no other one there.
                self._warn(f"something of {self.shown(batch.id)} stays: {error}")
        return gone

    @abstractmethod
    def deletable(self, batch: ProviderBatch) -> Iterable[str]:
        """Return the addresses of what is to be removed of a batch."""

    async def aclose(self) -> None:
        """Close the connections of the running loop; may be called twice."""
        await self.exchange.endpoint.leave_loop()

    def shown(self, words: str | None) -> str:
        """Return a provider's words on one line, short, without secrets."""
        return self.exchange.endpoint.shown(words or "")

    async def submitted(self, url: str, body: object = None, *, content: FileContent | None = None) -> ProviderBatch | Refusal | None:
        """Submit once, and return the batch that there is now; None where nobody knows."""
        document = await self.exchange.submit(url, body, content=content)
        return document if isinstance(document, Refusal) else self.read(document)

    async def _goes_on(self, batch_id: str) -> bool:
        batch = await self.get(batch_id)
        return batch is not None and not batch.state.over

    async def _since(self, moment: float) -> AsyncGenerator[ProviderBatch]:
        """Yield what was created since a moment of ours; what has no time counts as new."""
        async with aclosing(self.batches()) as listed:
            async for batch in listed:
                if batch.created is None or batch.created >= moment - self.clocks_apart:
                    yield batch
                elif self.newest_first:
                    return
