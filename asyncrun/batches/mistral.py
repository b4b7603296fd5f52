"""Mistral's batches: bare bodies in a file, and a job that names the model; replies come when all of it is done."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import Any, ClassVar

from asyncrun.batches.adapter import DAY, HttpBatchEndpoint
from asyncrun.batches.documents import (
    TAG_KEY,
    files_in,
    moment_of,
    number_of,
    part_of,
    reasons_in,
    rows_of,
    state_of,
    tag_in_metadata,
    text_of,
)
from asyncrun.batches.exchange import is_full
from asyncrun.batches.interface import BatchRequest, BatchState, BatchTerms, ProviderBatch, Purpose, Refusal
from asyncrun.endpoints import vendors
from asyncrun.endpoints.vendors import Vendor
from asyncrun.escape import printable

PAGE = 100
FILES = 512e6 * 0.95
"""Bytes of a file, less what a line has beside its body."""


class MistralBatches(HttpBatchEndpoint):
    """Mistral's (docs.mistral.ai/capabilities/batch; the models of client-python). Nothing is said of replies after a cancellation.

    >>> MistralBatches(model="mistral-embed", purpose="embeddings", api_key="a-key").address_of("job", "/cancel")
    'https://api.mistral.ai/v1/batch/jobs/job/cancel'
    """

    vendor: ClassVar[Vendor] = vendors.MISTRAL

    @staticmethod
    def terms_for(_: Purpose) -> BatchTerms:
        """Return what Mistral takes: a million requests that wait, files of 512 MB; what is done is kept without an end."""
        return BatchTerms(requests=1_000_000, size=int(FILES), window=DAY)

    async def upload(self, requests: Iterable[BatchRequest], tag: str) -> str | None:
        """Hand the requests over in a file, and return its id."""
        lines = ({"custom_id": each.custom_id, "body": {k: v for k, v in each.body.items() if k != "model"}} for each in requests)
        return await self.exchange.upload(self.at("/files"), lines, tag)

    async def create(self, requests: Iterable[BatchRequest], file: str | None, tag: str) -> ProviderBatch | Refusal | None:
        """Submit a job about an uploaded file."""
        body = {
            "endpoint": "/v1/embeddings" if self.purpose == "embeddings" else "/v1/chat/completions",
            "model": self.model,
            "input_files": [file],
            "metadata": {TAG_KEY: tag},
            "timeout_hours": int(self.terms.window / 3600),
        }
        return await self.submitted(self.at("/batch/jobs"), body)

    async def batches(self) -> AsyncGenerator[ProviderBatch]:
        """Yield what lies at the provider, newest first."""
        number = 0
        while True:
            page = await self.exchange.ask("GET", self.at("/batch/jobs", page=number, page_size=PAGE, order_by="-created"))
            rows = rows_of(page, "data")
            for row in rows:
                if (batch := self.read(row)) is not None:
                    yield batch
            if len(rows) < PAGE:
                return
            number += 1

    def read(self, document: Any) -> ProviderBatch | None:
        """Return the batch that a job is."""
        batch_id, word = text_of(document, "id"), text_of(document, "status") or ""
        if batch_id is None:
            return None
        state, told = state_of(word), reasons_in(part_of(document, "errors"))
        inputs = part_of(document, "input_files")
        replies = files_in(document, "output_file", "error_file")
        return ProviderBatch(
            id=batch_id,
            tag=tag_in_metadata(document),
            state=state,
            word=printable(word, 40),
            created=moment_of(part_of(document, "created_at")),
            total=number_of(part_of(document, "total_requests")),
            succeeded=number_of(part_of(document, "succeeded_requests")),
            failed=number_of(part_of(document, "failed_requests")),
            files=(*(file for file in inputs if isinstance(file, str)), *replies) if isinstance(inputs, list) else replies,
            message=self.shown(told) or None,
            full=state is BatchState.FAILED and is_full(told),
            reply_files=replies,
            has_replies=state.over and bool(replies),
        )

    def address_of(self, batch_id: str, action: str = "") -> str:
        """Return where a job is asked for."""
        return self.at(f"/batch/jobs/{batch_id}{action}")

    def addresses_of_replies(self, batch: ProviderBatch) -> Iterator[str]:
        """Return where the files of its replies are."""
        return (self.at(f"/files/{file}/content") for file in batch.reply_files)

    def deletable(self, batch: ProviderBatch) -> list[str]:
        """Return the addresses of its files, and of the job."""
        return [*(self.at(f"/files/{file}") for file in batch.files), self.address_of(batch.id)]
