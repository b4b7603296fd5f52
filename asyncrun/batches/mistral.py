"""Mistral's batches: bare bodies in a file, and a job that names the model; replies come when all of it is done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from asyncrun.batches.adapter import DAY
from asyncrun.batches.documents import TAG_KEY
from asyncrun.batches.interface import BatchRequest, BatchTerms, ProviderBatch, Purpose, Refusal
from asyncrun.batches.openai import BatchFields, OpenAIBatches
from asyncrun.endpoints import vendors
from asyncrun.endpoints.vendors import Vendor


class MistralBatches(OpenAIBatches):
    """Mistral's (docs.mistral.ai/capabilities/batch; the models of client-python). Nothing is said of replies after a cancellation.

    >>> MistralBatches(model="mistral-embed", purpose="embeddings", api_key="a-key").address_of("job", "/cancel")
    'https://api.mistral.ai/v1/batch/jobs/job/cancel'
    """

    vendor: ClassVar[Vendor] = vendors.MISTRAL
    fields: ClassVar[BatchFields] = BatchFields(
        (), "total_requests", "succeeded_requests", "failed_requests", "input_files", ("output_file", "error_file")
    )

    @staticmethod
    def terms_for(_: Purpose) -> BatchTerms:
        """Return what Mistral takes: a million requests that wait, files of 512 MB; what is done is kept without an end."""
        return BatchTerms(requests=1_000_000, size=512_000_000, window=DAY)

    def line(self, request: BatchRequest) -> dict[str, Any]:
        """Return the line of a request."""
        return {"custom_id": request.custom_id, "body": {name: value for name, value in request.body.items() if name != "model"}}

    async def create(self, requests: Iterable[BatchRequest], file: str | None, tag: str) -> ProviderBatch | Refusal | None:
        """Submit a job about an uploaded file."""
        body = {
            "endpoint": self.line_url,
            "model": self.model,
            "input_files": [file],
            "metadata": {TAG_KEY: tag},
            "timeout_hours": int(self.terms.window / 3600),
        }
        return await self.submitted(self.at(self.batches_path()), body)

    def address_of_page(self, number: int, before: Any) -> str | None:
        """Return where a page of the list is, newest first; behind one that is not full there is none."""
        if number and len(self.rows(before)) < self.page_size:
            return None
        return self.at(self.batches_path(), page=number, page_size=self.page_size, order_by="-created")

    def deletable(self, batch: ProviderBatch) -> list[str]:
        """Return the addresses of its files, and of the job."""
        return [*super().deletable(batch), self.address_of(batch.id)]

    def batches_path(self) -> str:
        """Return where jobs are, behind the address."""
        return "/batch/jobs"
