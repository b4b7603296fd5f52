"""Batches as OpenAI has them, and others after it: lines in a file, a batch that names the file, and two files of replies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from asyncrun.batches.adapter import DAY, LOOK_AGAIN, HttpBatchEndpoint
from asyncrun.batches.documents import (
    TAG_KEY,
    files_in,
    moment_of,
    number_of,
    part_of,
    reasons_in,
    state_of,
    tag_in_metadata,
    text_of,
)
from asyncrun.batches.exchange import is_full
from asyncrun.batches.interface import BatchRequest, BatchState, BatchTerms, ProviderBatch, Purpose, Refusal
from asyncrun.endpoints import vendors
from asyncrun.endpoints.vendors import Vendor
from asyncrun.errors import EndpointError, OutageError
from asyncrun.escape import printable
from asyncrun.humanize import duration

LONGEST_LOOK = 900.0
"""Seconds in which Azure has to look through a file."""


@dataclass(frozen=True, slots=True)
class BatchFields:
    """Under which names a vendor says how many requests a batch has, and which files: within each other, those of `counts`."""

    counts: tuple[str, ...]
    total: str
    succeeded: str
    failed: str
    inputs: str
    replies: tuple[str, str]


class OpenAIBatches(HttpBatchEndpoint):
    """OpenAI's (developers.openai.com/docs/guides/batch; the types of openai-python).

    >>> OpenAIBatches(model="m", purpose="chat", api_key="a-key").terms.requests
    50000
    """

    vendor: ClassVar[Vendor] = vendors.OPENAI
    fields: ClassVar[BatchFields] = BatchFields(
        ("request_counts",), "total", "completed", "failed", "input_file_id", ("output_file_id", "error_file_id")
    )
    window: ClassVar[str] = "24h"

    @staticmethod
    def terms_for(purpose: Purpose) -> BatchTerms:
        """Return what OpenAI takes: 50,000 lines, 200 MB, 50,000 texts; files live 30 days."""
        inputs = 50_000 if purpose == "embeddings" else None
        return BatchTerms(requests=50_000, size=200_000_000, inputs=inputs, kept=30 * DAY)

    @property
    def line_url(self) -> str:
        """Return the path that lines and batches name."""
        return "/v1/embeddings" if self.purpose == "embeddings" else "/v1/chat/completions"

    def line(self, request: BatchRequest) -> dict[str, Any]:
        """Return the line of a request."""
        return {"custom_id": request.custom_id, "method": "POST", "url": self.line_url, "body": request.body}

    async def upload(self, requests: Iterable[BatchRequest], tag: str) -> str:
        """Hand the requests over in a file, and return its id."""
        return await self.exchange.upload(self.at(self.files_path()), map(self.line, requests), tag)

    async def create(self, requests: Iterable[BatchRequest], file: str | None, tag: str) -> ProviderBatch | Refusal | None:
        """Submit a batch of an uploaded file."""
        body = {
            "input_file_id": file,
            "endpoint": self.line_url,
            "completion_window": self.window,
            "metadata": {TAG_KEY: tag},
            **await asyncio.to_thread(self.request_params, requests),
        }
        return await self.submitted(self.at(self.batches_path()), body)

    def request_params(self, requests: Iterable[BatchRequest]) -> dict[str, Any]:
        """Return what the batch says of all its requests."""
        return {}

    def address_of_page(self, number: int, before: Any) -> str | None:
        """Return where a page of the list is: newest first, each behind the last batch of the one before."""
        if number == 0:
            return self.at(self.batches_path(), limit=self.page_size)
        last = text_of(before, "last_id") or text_of((self.rows(before) or [None])[-1], "id")
        return self.at(self.batches_path(), limit=self.page_size, after=last) if part_of(before, "has_more") and last else None

    def read(self, document: Any) -> ProviderBatch | None:
        """Return the batch that a document describes."""
        batch_id, word = text_of(document, "id"), text_of(document, "status") or ""
        if batch_id is None:
            return None
        state, told = state_of(word), reasons_in(part_of(document, "errors"))
        counts, replies = part_of(document, *self.fields.counts), files_in(document, *self.fields.replies)
        return ProviderBatch(
            id=batch_id,
            tag=tag_in_metadata(document),
            state=state,
            word=printable(word, 40),
            created=moment_of(part_of(document, "created_at")),
            total=number_of(part_of(counts, self.fields.total)),
            succeeded=number_of(part_of(counts, self.fields.succeeded)),
            failed=number_of(part_of(counts, self.fields.failed)),
            files=(*files_in(document, self.fields.inputs), *replies),
            message=self.shown(told) or None,
            full=state is BatchState.FAILED and is_full(told),
            reply_files=replies,
            has_replies=state.over and bool(replies),
        )

    def addresses_of_replies(self, batch: ProviderBatch) -> Iterator[str]:
        """Return where the files of its replies are, of those that succeeded and of those that failed."""
        return (self.at(f"{self.files_path()}/{file}/content") for file in batch.reply_files)

    def address_of(self, batch_id: str, action: str = "") -> str:
        """Return where a batch is asked for."""
        return self.at(f"{self.batches_path()}/{batch_id}{action}")

    def deletable(self, batch: ProviderBatch) -> Iterable[str]:
        """Return the addresses of its files; a batch itself cannot be removed."""
        return (self.at(f"{self.files_path()}/{file}") for file in batch.files)

    def files_path(self) -> str:
        """Return where files are, behind the address."""
        return "/files"

    def batches_path(self) -> str:
        """Return where batches are, behind the address."""
        return "/batches"


class AzureBatches(OpenAIBatches):
    """Azure's, which are OpenAI's under another path (learn.microsoft.com/azure/ai-foundry/openai/how-to/batch).

    What takes longer than a day goes on there until it is cancelled.

    >>> azure = AzureBatches(model="m", purpose="chat", api_key="a-key", base_url="https://me.openai.azure.com")
    >>> azure.address_of("batch_1")
    'https://me.openai.azure.com/openai/v1/batches/batch_1'
    """

    vendor: ClassVar[Vendor] = vendors.AZURE

    @staticmethod
    def terms_for(purpose: Purpose) -> BatchTerms:
        """Return what Azure takes: 100,000 lines, 200 MB."""
        return BatchTerms(requests=100_000, size=200_000_000)

    @property
    def line_url(self) -> str:
        """Return the path that lines and batches name: without a version in the older form, whose version is in the query string."""
        return super().line_url.removeprefix("/v1" if "api-version" in self._query else "")

    async def upload(self, requests: Iterable[BatchRequest], tag: str) -> str:
        """Hand the requests over in a file, and return its id when it is looked through: before that no batch can be made of it.

        Raises OutageError where that takes too long.
        """
        file, clock = await super().upload(requests, tag), self.exchange.endpoint.clock
        began = clock.monotonic()
        while clock.monotonic() - began < LONGEST_LOOK:
            document = await self.exchange.ask("GET", self.at(f"{self.files_path()}/{file}"))
            status = (text_of(document, "status") or "").lower()
            if status in ("error", "failed"):
                raise EndpointError(f"{self.host} refuses a file of requests: {self.shown(text_of(document, 'status_details') or status)}")
            if status not in ("pending", "running", "uploaded", "notrunning"):
                return file
            await clock.sleep(LOOK_AGAIN)
        raise OutageError(f"{self.host} has not looked through a file of requests within {duration(LONGEST_LOOK)}")

    def files_path(self) -> str:
        """Return where files are, behind the address; never that of a deployment."""
        return "/openai/files" if "api-version" in self._query else "/openai/v1/files"

    def batches_path(self) -> str:
        """Return where batches are, behind the address."""
        return "/openai/batches" if "api-version" in self._query else "/openai/v1/batches"


class VoyageBatches(OpenAIBatches):
    """Voyage's: the lines hold texts alone, all else is said once, with the batch (docs.voyageai.com/docs/batch-inference).

    >>> VoyageBatches(model="voyage-4", purpose="embeddings", api_key="a-key").terms.price
    0.67
    """

    vendor: ClassVar[Vendor] = vendors.VOYAGE
    window: ClassVar[str] = "12h"

    @staticmethod
    def terms_for(purpose: Purpose) -> BatchTerms:
        """Return what Voyage takes: 100,000 texts, 1,000 of them a line; files expire about a month on."""
        return BatchTerms(
            requests=100_000,
            size=200_000_000,
            inputs=100_000,
            inputs_per_request=1000,
            price=0.67,
            window=DAY / 2,
            kept=30 * DAY,
        )

    def line(self, request: BatchRequest) -> dict[str, Any]:
        """Return the line of a request."""
        return {"custom_id": request.custom_id, "body": {"input": request.body["input"]}}

    def request_params(self, requests: Iterable[BatchRequest]) -> dict[str, Any]:
        """Return what the first of the requests says beside its texts: they are of one job, so all say the same."""
        first = next(iter(requests), None)
        said = {"model": self.model} if first is None else {name: value for name, value in first.body.items() if name != "input"}
        return {"request_params": said}
