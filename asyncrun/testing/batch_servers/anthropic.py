"""Anthropic's message batches as a fake server: the requests go with the submission, and only their ids tell whose they are.

Sources: anthropic-sdk-python, `types/messages/*batch*.py` and `resources/messages/batches.py`; platform.claude.com, batch-processing and
rate-limits.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from asyncrun.testing.batch_servers.calls import NDJSON, VendorCall, VendorReply, iso_time
from asyncrun.testing.batch_servers.desk import CallRefused, VendorDesk
from asyncrun.testing.batch_servers.limits import DAY, VendorTerms
from asyncrun.testing.batch_servers.schedule import BatchStage, FakeBatch, FakeLine
from asyncrun.testing.batch_servers.tokens import tokens_of_line

CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""One id of another kind refuses all of them (anthropic-sdk-python#984)."""
PAGE, LARGEST_PAGE = 20, 1000
KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class AnthropicDesk(VendorDesk):
    """Anthropic: 100,000 requests or 256 MB a batch, 500,000 that wait; it is done or expired after 24 hours, and kept for 29 days."""

    name: ClassVar[str] = "anthropic"
    terms: ClassVar[VendorTerms] = VendorTerms(lines=100_000, size=256_000_000, waiting=500_000, kept=29 * DAY)
    roots: ClassVar[tuple[tuple[str, ...], ...]] = (("v1", "messages"),)
    places: ClassVar[tuple[str, ...]] = ("batches",)

    def route(self, call: VendorCall, steps: tuple[str, ...]) -> VendorReply | None:
        """Return the reply to a call, None where there is nothing. Raises CallRefused."""
        if "anthropic-version" not in call.headers:
            raise CallRefused(400, "anthropic-version: header is required")
        match call.method, *steps[1:]:
            case ("POST",):
                return VendorReply(self.view(call, self.create(call)))
            case ("GET",):
                return self.listed(call)
            case "GET", batch_id:
                return VendorReply(self.view(call, self.batch_of(call, batch_id)))
            case "GET", batch_id, "results":
                return self.fetched(call, batch_id)
            case "POST", batch_id, "cancel":
                return VendorReply(self.view(call, self.cancel(call, batch_id)))
            case "DELETE", batch_id:
                batch = self.batch_of(call, batch_id)
                if not batch.stage(self.now).over:
                    raise CallRefused(400, "A batch in progress cannot be deleted: cancel it first.")
                del self.batches[batch.id]
                return VendorReply({"id": batch_id, "type": "message_batch_deleted"})
        return None

    def refusal(self, refused: CallRefused) -> VendorReply:
        """Return a refusal as Anthropic tells it."""
        message = "invalid x-api-key" if refused.status == 401 else refused.message
        error = {"type": KINDS.get(refused.status, "api_error"), "message": message}
        return VendorReply({"type": "error", "error": error, "request_id": self.new_id("req_")}, refused.status)

    def create(self, call: VendorCall) -> FakeBatch:
        """Take a batch; the parameters of its requests are looked at later, one by one. Raises CallRefused."""
        requests = call.document.get("requests")
        if len(call.body) > self.rules.size:
            raise CallRefused(413, "Request exceeds the maximum size")
        if not isinstance(requests, list) or not requests:
            raise CallRefused(400, "requests: List should have at least 1 item after validation, not 0")
        if len(requests) > self.rules.lines:
            raise CallRefused(400, f"requests: List should have at most {self.rules.lines} items after validation, not {len(requests)}")
        lines = []
        for place, request in enumerate(requests):
            custom_id, params = request.get("custom_id"), request.get("params")
            if not isinstance(custom_id, str) or not CUSTOM_ID.fullmatch(custom_id):
                raise CallRefused(400, f"requests.{place}.custom_id: String should match pattern '^{CUSTOM_ID.pattern}$'")
            if not isinstance(params, dict):
                raise CallRefused(400, f"requests.{place}.params: Field required")
            lines.append(FakeLine(custom_id, "/v1/messages", params, tokens_of_line("/v1/messages", params)))
        if len({line.custom_id for line in lines}) < len(lines):
            raise CallRefused(400, "requests: custom_id must be unique within a batch")
        return self.submit(call, self.new_id("msgbatch_01", 22), lines, [])

    def listed(self, call: VendorCall) -> VendorReply:
        """Return a page of batches, newest first; neither metadata nor a name tells them apart."""
        limit = call.query.get("limit", str(PAGE))
        if not limit.isdigit() or not 1 <= int(limit) <= LARGEST_PAGE:
            raise CallRefused(400, f"limit: Input should be between 1 and {LARGEST_PAGE}")
        mine, after = self.mine(call), call.query.get("after_id")
        if after is not None:
            places = [place for place, batch in enumerate(mine) if batch.id == after]
            mine = mine[places[0] + 1 :] if places else []
        page = [self.view(call, batch) for batch in mine[: int(limit)]]
        ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
        return VendorReply({"data": page, "has_more": len(mine) > len(page), **ends})

    def fetched(self, call: VendorCall, batch_id: str) -> VendorReply:
        """Return the results of a batch. Raises CallRefused before its end and after they have been put away."""
        batch = self.batch_of(call, batch_id)
        if not batch.stage(self.now).over or self.archived(batch) or self.hides_results(batch):
            raise CallRefused(404, f"No results are available for batch {batch_id}.")
        ended = batch.finished(self.now) + batch.left(self.now)
        rows = [{"custom_id": line.custom_id, "result": self.result(batch, line)} for line in ended]
        return VendorReply(self.results(batch, rows), headers={"content-type": NDJSON})

    def result(self, batch: FakeBatch, line: FakeLine) -> dict[str, Any]:
        """Return what came of a request: only what has succeeded is billed."""
        if line.reply is None or not batch.gives_finished(self.now):
            return {"type": "expired" if batch.cancelled is None else "canceled"}
        if line.reply.right:
            return {"type": "succeeded", "message": line.reply.body}
        told = line.reply.body.get("error") if isinstance(line.reply.body, dict) else None
        kind = KINDS.get(line.reply.status, "api_error")
        message = told.get("message") if isinstance(told, dict) else "Internal server error"
        return {"type": "errored", "error": {"type": "error", "error": {"type": kind, "message": message}, "request_id": None}}

    def archived(self, batch: FakeBatch) -> bool:
        """Tell whether the results have been put away."""
        return self.now >= batch.created + self.rules.kept

    def view(self, call: VendorCall, batch: FakeBatch) -> dict[str, Any]:
        """Return what is told of a batch: until it has ended, all of its requests are in progress."""
        stage, archived = batch.stage(self.now), self.archived(batch)
        word = "ended" if stage.over else "canceling" if stage is BatchStage.CANCELLING else "in_progress"
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        if stage.over:
            for line in batch.lines:
                counts[self.result(batch, line)["type"]] += 1
        else:
            counts["processing"] = len(batch.lines)
        results = f"{call.origin}/v1/messages/batches/{batch.id}/results"
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": self.strange_word(batch) or word,
            "request_counts": counts,
            "created_at": iso_time(batch.created),
            "expires_at": iso_time(batch.expires),
            "ended_at": iso_time(batch.ended) if stage.over else None,
            "cancel_initiated_at": iso_time(batch.cancelled),
            "archived_at": iso_time(batch.created + self.rules.kept) if archived else None,
            "results_url": results if stage.over and not archived else None,
        }
