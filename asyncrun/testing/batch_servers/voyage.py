"""Voyage's batch endpoint as a fake server: OpenAI's form, with the model beside the lines, and twelve hours.

Source: docs.voyageai.com, docs/batch-inference and reference/*-batch (a preview). Nothing is said there of codes of failed batches: they
are OpenAI's here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from asyncrun.testing.batch_servers.calls import VendorCall, VendorReply, iso_time
from asyncrun.testing.batch_servers.desk import CallRefused, StoredFile, rows_of
from asyncrun.testing.batch_servers.limits import HOUR, VendorTerms, tokens_fit
from asyncrun.testing.batch_servers.openai import OpenAIDesk
from asyncrun.testing.batch_servers.schedule import BatchProblem, FakeBatch, FakeLine
from asyncrun.testing.batch_servers.tokens import texts_of, tokens_of_line

MOST_INPUTS = 1000
"""Texts of one line."""


class VoyageDesk(OpenAIDesk):
    """Voyage: 100,000 texts a batch, 100 batches and 1,000,000,000 tokens at once; beyond that 429, at once. A third off the price."""

    name: ClassVar[str] = "voyage"
    terms: ClassVar[VendorTerms] = VendorTerms(
        lines=100_000, size=512_000_000, price=0.67, inputs=100_000, tokens=1_000_000_000, in_flight=100, window=12 * HOUR
    )
    endpoints: ClassVar[tuple[str, ...]] = ("/v1/embeddings", "/v1/contextualizedembeddings", "/v1/rerank")
    windows: ClassVar[tuple[str, ...]] = ("12h",)

    def refusal(self, refused: CallRefused) -> VendorReply:
        """Return a refusal as Voyage tells it."""
        detail = "Provided API key is invalid." if refused.status == 401 else refused.message
        return VendorReply({"detail": detail}, refused.status)

    def create(self, call: VendorCall) -> FakeBatch:
        """Take a batch. Raises CallRefused, without a model too."""
        if not isinstance((call.document.get("request_params") or {}).get("model"), str):
            raise CallRefused(400, "request_params.model is required.")
        return super().create(call)

    def model_of(self, lines: list[FakeLine], given: dict[str, Any]) -> str:
        """Return the model of a batch, which stands beside its lines."""
        return str(given["request_params"]["model"])

    def over_tokens(self, call: VendorCall, model: str, lines: list[FakeLine]) -> list[BatchProblem]:
        """Return nothing: too many tokens are refused at once. Raises CallRefused."""
        if not tokens_fit(self.rules, self.under_way(call), model, lines):
            self.shop.books.refused[self.name] += 1
            raise CallRefused(429, f"The limit of {self.rules.tokens} enqueued tokens is reached. Wait 30 minutes and try again.")
        return []

    def read_lines(self, content: bytes, given: dict[str, Any]) -> Iterator[FakeLine | BatchProblem]:
        """Yield the lines of a file, with what stands beside them, and what is wrong with them."""
        seen: set[str] = set()
        for number, row in rows_of(content):
            custom_id, body = (row or {}).get("custom_id"), (row or {}).get("body")
            if not isinstance(custom_id, str) or not isinstance(body, dict) or "model" in body:
                yield BatchProblem("invalid_json_line", "A line needs custom_id and body, and no model in it.", number)
                continue
            if custom_id in seen:
                yield BatchProblem("duplicate_custom_id", "The custom_id of this request was used before.", number, "custom_id")
            seen.add(custom_id)
            document = {**given["request_params"], **body}
            if len(texts_of(given["endpoint"], document)) > MOST_INPUTS:
                yield BatchProblem("too_many_inputs", f"At most {MOST_INPUTS} inputs a request.", number, "body.input")
            yield FakeLine(custom_id, given["endpoint"], document, tokens_of_line(given["endpoint"], document))

    def row(self, batch: FakeBatch, line: FakeLine) -> dict[str, Any]:
        """Return what came of a line: of one that was refused there is a message instead of a body."""
        about: dict[str, Any] = {"batch_id": batch.id, "custom_id": line.custom_id}
        if line.reply is None or not batch.gives_finished(self.now):
            return {**about, "response": None, "error": self.left_over(batch)}
        if line.reply.right:
            return {**about, "response": {"status_code": 200, "body": line.reply.body}, "error": None}
        return {**about, "response": {"status_code": line.reply.status, "message": message_of(line.reply.body)}, "error": None}

    def moment(self, moment: float | None) -> Any:
        """Return a moment as Voyage writes it."""
        return iso_time(moment)

    def view(self, batch: FakeBatch) -> dict[str, Any]:
        """Return what is told of a batch."""
        found = super().view(batch)
        del found["model"]
        return {**found, "request_params": batch.request["request_params"]}

    def file_view(self, stored: StoredFile) -> dict[str, Any]:
        """Return what is told of a file."""
        return {**super().file_view(stored), "created_at": iso_time(stored.created), "expires_at": iso_time(stored.expires)}


def message_of(body: Any) -> str:
    """Return the sentence of a refusal in OpenAI's form."""
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("message")) if isinstance(error, dict) else "The request failed."
