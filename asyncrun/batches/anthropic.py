"""Anthropic's message batches: the requests go with the submission, and nothing but their ids says whose they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from itertools import chain
from typing import Any, ClassVar

import orjson

from asyncrun.batches.adapter import DAY, HttpBatchEndpoint
from asyncrun.batches.documents import moment_of, number_of, part_of, state_of, text_of
from asyncrun.batches.file_content import written
from asyncrun.batches.interface import BatchReply, BatchRequest, BatchState, BatchTerms, ProviderBatch, Purpose, Refusal, parse_request_id
from asyncrun.batches.reply_lines import LeftOut, failure
from asyncrun.endpoints import vendors
from asyncrun.endpoints.vendors import Vendor
from asyncrun.errors import ArgumentError
from asyncrun.escape import printable

_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class AnthropicBatches(HttpBatchEndpoint):
    """Anthropic's (platform.claude.com/docs/en/build-with-claude/batch-processing; the types of anthropic-sdk-python).

    >>> AnthropicBatches(model="m", purpose="chat", api_key="a-key").address_of("msgbatch_1")
    'https://api.anthropic.com/v1/messages/batches/msgbatch_1'
    """

    vendor: ClassVar[Vendor] = vendors.ANTHROPIC
    online_paths: ClassVar[tuple[str, ...]] = ("/messages",)
    clocks_apart: ClassVar[float] = 1200.0
    """Less than elsewhere: the time decides, and another's batch is not to be taken for ours."""

    @staticmethod
    def terms_for(purpose: Purpose) -> BatchTerms:
        """Return what Anthropic takes: 100,000 requests, 256 MB; replies are there for 29 days from the creation on."""
        if purpose != "chat":
            raise ArgumentError("Anthropic has no embeddings")
        return BatchTerms(requests=100_000, size=256_000_000, window=DAY, kept=29 * DAY)

    def fixed_headers(self) -> Mapping[str, str]:
        """Return the version of the interface."""
        return {"anthropic-version": vendors.ANTHROPIC_VERSION}

    async def upload(self, requests: Iterable[BatchRequest], tag: str) -> None:
        """Do nothing: the requests go with `create`."""

    async def create(self, requests: Iterable[BatchRequest], file: str | None, tag: str) -> ProviderBatch | Refusal | None:
        """Submit the requests."""
        async with written(_joined(requests)) as content:
            batch = await self.submitted(self.at("/v1/messages/batches"), content=content)
        return replace(batch, tag=tag) if isinstance(batch, ProviderBatch) else batch

    async def find(self, tag: str, since: float, requests: int) -> list[ProviderBatch]:
        """Return what was created since then with as many requests, and does not have another tag in its replies."""
        found = []
        async with aclosing(self._since(since)) as listed:
            async for batch in listed:
                if batch.total in (None, requests):
                    theirs = await self._tag_of(batch)
                    if theirs in (None, tag):
                        found.append(replace(batch, tag=theirs))
        return sorted(found, key=lambda batch: batch.created or 0.0)

    def address_of_page(self, number: int, before: Any) -> str | None:
        """Return where a page of the list is: newest first, each behind the last batch of the one before."""
        if number == 0:
            return self.at("/v1/messages/batches", limit=self.page_size)
        last = text_of(before, "last_id")
        return self.at("/v1/messages/batches", limit=self.page_size, after_id=last) if part_of(before, "has_more") and last else None

    def read(self, document: Any) -> ProviderBatch | None:
        """Return the batch that a document describes. Before the end all requests count as in progress."""
        batch_id, word = text_of(document, "id"), text_of(document, "processing_status") or ""
        if batch_id is None:
            return None
        counts, state = part_of(document, "request_counts"), state_of(word)
        numbers = [number_of(count) for count in counts.values()] if isinstance(counts, dict) else []
        return ProviderBatch(
            id=batch_id,
            tag=None,
            state=state,
            word=printable(word, 40),
            created=moment_of(part_of(document, "created_at")),
            total=sum(number or 0 for number in numbers) or None,
            succeeded=number_of(part_of(counts, "succeeded")),
            failed=number_of(part_of(counts, "errored")),
            has_replies=state is BatchState.ENDED and part_of(document, "archived_at") is None,
        )

    def read_reply(self, document: Mapping[str, Any]) -> BatchReply | None:
        """Return what a line says."""
        custom_id, result = document.get("custom_id"), document.get("result")
        if not isinstance(custom_id, str):
            return None
        kind = part_of(result, "type")
        if kind == "succeeded" and isinstance(part_of(result, "message"), dict):
            return BatchReply(custom_id, part_of(result, "message"))
        if kind in ("expired", "canceled"):
            return failure(custom_id, 0, {"message": f"the provider says that it is {kind}"})
        error = part_of(result, "error")
        return failure(custom_id, _STATUSES.get(str(part_of(error, "error", "type") or part_of(error, "type")), 400), error)

    def address_of(self, batch_id: str, action: str = "") -> str:
        """Return where a batch is asked for."""
        return self.at(f"/v1/messages/batches/{batch_id}{action}")

    def addresses_of_replies(self, batch: ProviderBatch) -> list[str]:
        """Return where its replies are; `results_url` might be somewhere else, and the key does not go there."""
        return [self.address_of(batch.id, "/results")]

    def deletable(self, batch: ProviderBatch) -> list[str]:
        """Return the address of the batch."""
        return [self.address_of(batch.id)]

    async def _tag_of(self, batch: ProviderBatch) -> str | None:
        """Return the tag in the ids of a batch's replies, None where there are none yet; of somebody else's an empty text."""
        if not batch.has_replies:
            return None
        async with aclosing(self.documents(batch, LeftOut())) as documents:
            async for document in documents:
                return found[0] if (found := parse_request_id(document.get("custom_id"))) else ""
        return None


def _joined(requests: Iterable[BatchRequest]) -> Iterator[bytes]:
    """Yield the JSON of a submission, piece by piece."""
    lines = (orjson.dumps({"custom_id": each.custom_id, "params": each.body}) for each in requests)
    between = chain([b""], iter(lambda: b",", None))
    yield b'{"requests":['
    for comma, line in zip(between, lines, strict=False):
        yield comma + line
    yield b"]}"
