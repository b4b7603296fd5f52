"""Mistral's batch jobs as a fake server: results after the whole job only.

Sources: client-python, `src/mistralai/client/models/*` (batchjob, createbatchjobrequest, listbatchjobsresponse, fileschema); docs of
batch processing. Not said there, and so here: what was finished before a timeout or a cancellation is given, and nothing of the rest.
"""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

import orjson

from asyncrun.testing.batch_servers.calls import VendorCall, VendorReply, whole
from asyncrun.testing.batch_servers.desk import CallRefused, StoredFile, rows_of
from asyncrun.testing.batch_servers.files import FilesDesk
from asyncrun.testing.batch_servers.limits import HOUR, VendorTerms, too_much
from asyncrun.testing.batch_servers.schedule import BatchProblem, BatchStage, FakeBatch, FakeLine
from asyncrun.testing.batch_servers.tokens import tokens_of_line

WORDS = {
    BatchStage.VALIDATING: "QUEUED",
    BatchStage.IN_PROGRESS: "RUNNING",
    BatchStage.FINALIZING: "RUNNING",
    BatchStage.COMPLETED: "SUCCESS",
    BatchStage.FAILED: "FAILED",
    BatchStage.EXPIRED: "TIMEOUT_EXCEEDED",
    BatchStage.CANCELLING: "CANCELLATION_REQUESTED",
    BatchStage.CANCELLED: "CANCELLED",
}
ENDPOINTS = ("/v1/chat/completions", "/v1/embeddings", "/v1/fim/completions", "/v1/moderations")
MOST_INLINE = 10_000
LONGEST_HOURS = 7 * 24
LISTED_BY = ("page", "page_size", "model", "agent_id", "created_after", "created_by_me", "status", "order_by")
"""What a list may be asked by; any other name is one of the metadata."""


class MistralDesk(FilesDesk):
    """Mistral: files of 512 MB, 1,000,000 requests that wait, a timeout of 24 hours that a job may choose; nothing is forgotten."""

    name: ClassVar[str] = "mistral"
    terms: ClassVar[VendorTerms] = VendorTerms(lines=1_000_000, size=512_000_000, waiting=1_000_000, kept=float("inf"))
    places: ClassVar[tuple[str, ...]] = ("files", "batch")

    def route(self, call: VendorCall, steps: tuple[str, ...]) -> VendorReply | None:
        """Return the reply to a call, None where there is nothing. Raises CallRefused."""
        match call.method, *steps:
            case _, "files", *rest:
                return self.route_files(call, tuple(rest))
            case "POST", "batch", "jobs":
                return VendorReply(self.view(self.create(call)))
            case "GET", "batch", "jobs":
                return self.listed(call)
            case "GET", "batch", "jobs", job_id:
                return VendorReply(self.view(self.batch_of(call, job_id), inline=call.query.get("inline") == "true"))
            case "POST", "batch", "jobs", job_id, "cancel":
                return VendorReply(self.view(self.cancel(call, job_id)))
            case "DELETE", "batch", "jobs", job_id:
                del self.batches[self.batch_of(call, job_id).id]
                return VendorReply({"id": job_id, "object": "batch", "deleted": True})
        return None

    def refusal(self, refused: CallRefused) -> VendorReply:
        """Return a refusal as Mistral tells it: what a request has wrong is a list."""
        if refused.status == 401:
            return VendorReply({"detail": "Unauthorized"}, 401)
        if refused.status == 400:
            place = ["body", refused.param] if refused.param else ["body"]
            return VendorReply({"detail": [{"type": "value_error", "loc": place, "msg": refused.message, "input": None}]}, 422)
        kind = {404: "not_found", 413: "payload_too_large", 429: "rate_limited"}.get(refused.status, "invalid_request")
        return VendorReply({"object": "error", "message": refused.message, "type": kind, "param": None, "code": None}, refused.status)

    def file_id(self) -> str:
        """Return an id for a new file."""
        return str(uuid.UUID(int=self.shop.rng.getrandbits(128), version=4))

    def file_view(self, stored: StoredFile) -> dict[str, Any]:
        """Return what is told of a file."""
        uploaded = stored.purpose == "batch"
        return {
            "id": stored.id,
            "object": "file",
            "bytes": len(stored.content),
            "created_at": whole(stored.created),
            "filename": stored.name,
            "purpose": "batch",
            "sample_type": "batch_request" if uploaded else stored.purpose,
            "source": "upload" if uploaded else "mistral",
            "num_lines": stored.content.count(b"\n"),
            "mimetype": "application/jsonl",
        }

    def create(self, call: VendorCall) -> FakeBatch:
        """Take a job. Raises CallRefused."""
        given = call.document
        hours = given.get("timeout_hours", 24)
        if given.get("endpoint") not in ENDPOINTS:
            raise CallRefused(400, f"Input should be one of {', '.join(ENDPOINTS)}.", param="endpoint")
        if not isinstance(given.get("model"), str):
            raise CallRefused(400, "Field required.", param="model")
        if not isinstance(hours, int) or not 0 < hours < LONGEST_HOURS:
            raise CallRefused(400, f"Input should be less than {LONGEST_HOURS}.", param="timeout_hours")
        rows, size = self._rows(call, given)
        lines, problems = [], []
        for row in rows:
            if row is None or not isinstance(row.get("body"), dict):
                problems.append(BatchProblem("invalid_line", "A line is no JSON object with a body."))
                continue
            document = {**row["body"], "model": given["model"]}
            lines.append(FakeLine(row.get("custom_id"), given["endpoint"], document, tokens_of_line(given["endpoint"], document)))
        problems += too_much(self.rules, lines, size) or ([] if rows else [BatchProblem("empty", "There are no requests.")])
        about = {"model": given["model"], "label": given.get("metadata"), "window": hours * HOUR}
        return self.submit(call, self.file_id(), lines, problems, **about)

    def _rows(self, call: VendorCall, given: dict[str, Any]) -> tuple[list[Any], int]:
        """Return the requests of a job, in place or in files, and their bytes."""
        inline = given.get("requests")
        if isinstance(inline, list):
            if len(inline) >= MOST_INLINE:
                raise CallRefused(400, f"Fewer than {MOST_INLINE} requests can be given inline.", param="requests")
            return inline, len(call.body)
        if not isinstance(given.get("input_files"), list):
            raise CallRefused(400, "Either input_files or requests are required.", param="input_files")
        files = [self.file_of(call, file_id) for file_id in given["input_files"]]
        return [row for stored in files for _, row in rows_of(stored.content)], sum(len(stored.content) for stored in files)

    def listed(self, call: VendorCall) -> VendorReply:
        """Return a page of jobs: they can be asked by metadata, under its bare names."""
        page, size = int(call.query.get("page", "0")), int(call.query.get("page_size", "100"))
        wanted = {name: value for name, value in call.query.items() if name not in LISTED_BY}
        mine = [batch for batch in self.mine(call) if wanted.items() <= (batch.label or {}).items()]
        if "status" in call.query:
            mine = [batch for batch in mine if WORDS[batch.stage(self.now)] == call.query["status"]]
        if call.query.get("order_by") == "created":
            mine.reverse()
        data = [self.view(batch) for batch in mine[page * size : (page + 1) * size]]
        return VendorReply({"object": "list", "data": data, "total": len(mine)})

    def view(self, batch: FakeBatch, *, inline: bool = False) -> dict[str, Any]:
        """Return what is told of a job."""
        stage, finished = batch.stage(self.now), batch.finished(self.now)
        right = [line for line in finished if line.reply and line.reply.right]
        if stage.over and not batch.files:
            self._write(batch, right, [line for line in finished if line.reply and not line.reply.right])
        outputs = None
        if inline and stage.over:
            outputs = [orjson.loads(text) for text in self.results(batch, [self.row(line) for line in right]).splitlines()]
        given = batch.request
        return {
            "id": batch.id,
            "object": "batch",
            "input_files": given.get("input_files") or [],
            "endpoint": given["endpoint"],
            "model": batch.model,
            "metadata": batch.label,
            "errors": [{"message": problem.message, "count": 1} for problem in batch.problems] if stage is BatchStage.FAILED else [],
            "status": self.strange_word(batch) or WORDS[stage],
            "created_at": whole(batch.created),
            "started_at": whole(batch.started) if self.now >= batch.started else None,
            "completed_at": whole(batch.ended) if stage.over else None,
            "total_requests": len(batch.lines),
            "completed_requests": len(finished),
            "succeeded_requests": len(right),
            "failed_requests": len(finished) - len(right),
            "output_file": batch.files.get("output"),
            "error_file": batch.files.get("error"),
            "outputs": outputs,
        }

    def _write(self, batch: FakeBatch, right: list[FakeLine], wrong: list[FakeLine]) -> None:
        for kind, lines in (("output", right), ("error", wrong)):
            rows = [self.row(line) for line in lines]
            content = self.results(batch, rows) if kind == "output" else b"".join(orjson.dumps(row) + b"\n" for row in rows)
            if content:
                purpose = "batch_result" if kind == "output" else "batch_error"
                stored = self.store(batch.owner, f"{batch.id}_{kind}.jsonl", content, purpose=purpose, created=batch.ended)
                stored.gone = kind == "output" and self.hides_results(batch)
                batch.files[kind] = stored.id

    def row(self, line: FakeLine) -> dict[str, Any]:
        """Return what came of a line."""
        assert line.reply is not None  # noqa: S101 (of finished lines alone)
        response = {"status_code": line.reply.status, "body": line.reply.body}
        return {"id": self.new_id("", 32, "0123456789abcdef"), "custom_id": line.custom_id, "response": response, "error": None}
