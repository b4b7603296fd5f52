"""Gemini's batches as a fake server: files that are uploaded in two steps, and operations.

Sources: python-genai, `google/genai/{batches,types,files,_extra_utils}.py`; ai.google.dev, gemini-api/docs/batch-api and files (files are
kept for 48 hours; of results nothing is said); python-genai#1218: a file that is gone, or somebody else's, is 403.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from asyncrun.testing.batch_servers.calls import VendorCall, VendorReply, iso_time
from asyncrun.testing.batch_servers.desk import CallRefused, StoredFile, VendorDesk, rows_of
from asyncrun.testing.batch_servers.gemini_forms import GRPC_CODES, chat_reply, chat_request, error_row
from asyncrun.testing.batch_servers.limits import DAY, VendorTerms, tokens_fit, too_much
from asyncrun.testing.batch_servers.schedule import BatchProblem, BatchStage, FakeBatch, FakeLine
from asyncrun.testing.batch_servers.tokens import tokens_of_line

CHAT, EMBEDDINGS = "batchGenerateContent", "asyncBatchEmbedContent"
WORDS = {
    BatchStage.VALIDATING: "PENDING",
    BatchStage.IN_PROGRESS: "RUNNING",
    BatchStage.FINALIZING: "RUNNING",
    BatchStage.CANCELLING: "RUNNING",
    BatchStage.COMPLETED: "SUCCEEDED",
    BatchStage.FAILED: "FAILED",
    BatchStage.EXPIRED: "EXPIRED",
    BatchStage.CANCELLED: "CANCELLED",
}
LARGEST_INLINE = 20_000_000


class GeminiDesk(VendorDesk):
    """Gemini: 2 GB a file, 100 batches at once; after 48 hours a batch expires, and all of it is lost."""

    name: ClassVar[str] = "gemini"
    terms: ClassVar[VendorTerms] = VendorTerms(lines=1_000_000, size=2_000_000_000, in_flight=100, window=2 * DAY, kept=2 * DAY)
    keeps_finished: ClassVar[bool] = False

    def reply(self, call: VendorCall, *, known: bool) -> VendorReply | None:
        """Return the reply to a call: the address that a file is sent to needs no key."""
        return super().reply(call, known=known or call.query.get("upload_id") in self.files)

    def steps_of(self, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        """Return the steps of a path, the last one divided at its action, None where it leads elsewhere."""
        *front, last = parts or ("",)
        name, _, action = last.partition(":")
        match *front, name:
            case ("upload" | "download" as way, "v1beta" | "v1", "files", *rest):
                return (way, *rest)
            case ("v1beta" | "v1", "files" | "batches" as place, *rest):
                return (place, *rest, *([action] if action else []))
            case ("v1beta" | "v1", "models", model) if action in (CHAT, EMBEDDINGS):
                return ("create", model, action)
        return None

    def route(self, call: VendorCall, steps: tuple[str, ...]) -> VendorReply | None:
        """Return the reply to a call, None where there is nothing. Raises CallRefused."""
        match call.method, *steps:
            case "POST", "upload":
                return self.upload(call)
            case ("GET", "download", file_id) | ("GET", "files", file_id, "download"):
                return VendorReply(self.named_file(call, file_id).content, headers={"content-type": "application/octet-stream"})
            case "GET", "files", file_id:
                return VendorReply(self.file_view(call, self.named_file(call, file_id)))
            case "DELETE", "files", file_id:
                self.named_file(call, file_id).gone = True
                return VendorReply({})
            case "GET", "files":
                return VendorReply({"files": [self.file_view(call, stored) for stored in self.my_files(call) if not is_result(stored)]})
            case "POST", "create", model, action:
                return VendorReply(self.view(self.create(call, model, action)))
            case "GET", "batches":
                return self.listed(call)
            case "GET", "batches", batch_id:
                return VendorReply(self.view(self.batch_of(call, f"batches/{batch_id}")))
            case "DELETE", "batches", batch_id:
                del self.batches[self.batch_of(call, f"batches/{batch_id}").id]
                return VendorReply({})
            case "POST", "batches", batch_id, "cancel":
                self.cancel(call, f"batches/{batch_id}")
                return VendorReply({})
        return None

    def refusal(self, refused: CallRefused) -> VendorReply:
        """Return a refusal as Gemini tells it."""
        error = {"code": refused.status, "message": refused.message, "status": GRPC_CODES.get(refused.status, (2, "UNKNOWN"))[1]}
        if refused.status == 401:
            error["message"] = "API key not valid. Please pass a valid API key."
        return VendorReply({"error": error}, refused.status)

    def named_file(self, call: VendorCall, file_id: str) -> StoredFile:
        """Return a file of whoever calls. Raises CallRefused with 403."""
        try:
            return self.file_of(call, f"files/{file_id}")
        except CallRefused:
            raise CallRefused(403, f"You do not have permission to access the File {file_id} or it may not exist.") from None

    def upload(self, call: VendorCall) -> VendorReply:
        """Take a file in two steps: its name, answered with an address; and at that address its bytes. Raises CallRefused."""
        command = call.headers.get("x-goog-upload-command")
        if call.headers.get("x-goog-upload-protocol") == "resumable" and command == "start":
            name = str((call.document.get("file") or {}).get("displayName", ""))
            begun = self.store(call.key, name, b"", id=self.new_id("upload-", 40), gone=True)
            address = f"{call.origin}/upload/v1beta/files?upload_id={begun.id}&upload_protocol=resumable"
            return VendorReply({}, headers={"x-goog-upload-url": address, "x-goog-upload-status": "active"})
        if command != "upload, finalize" or call.headers.get("x-goog-upload-offset") != "0":
            raise CallRefused(400, "Upload has no start, or is not finalized.")
        if len(call.body) > self.rules.size:
            raise CallRefused(400, f"The file is larger than {self.rules.size} bytes.")
        begun = self.files.pop(call.query["upload_id"])
        stored = self.store(begun.owner, begun.name, call.body, id=self.new_id("files/", 12))
        self.uploaded(stored)
        return VendorReply({"file": self.file_view(call, stored)}, headers={"x-goog-upload-status": "final"})

    def file_view(self, call: VendorCall, stored: StoredFile) -> dict[str, Any]:
        """Return what is told of a file. Raises CallRefused for a file of results: its id is too long (go-genai#436)."""
        if is_result(stored):
            raise CallRefused(400, "Invalid file id: it must be at most 40 characters long.")
        return {
            "name": stored.id,
            "displayName": stored.name,
            "mimeType": "application/jsonl",
            "sizeBytes": str(len(stored.content)),
            "createTime": iso_time(stored.created),
            "updateTime": iso_time(stored.created),
            "expirationTime": iso_time(stored.expires),
            "uri": f"{call.origin}/v1beta/{stored.id}",
            "state": "ACTIVE",
            "source": "UPLOADED",
        }

    def create(self, call: VendorCall, model: str, action: str) -> FakeBatch:
        """Take a batch. Raises CallRefused."""
        given = call.document.get("batch") or {}
        config = given.get("inputConfig") or {}
        if isinstance(config.get("fileName"), str):
            stored = self.named_file(call, config["fileName"].removeprefix("files/"))
            rows: list[Any] = [row for _, row in rows_of(stored.content)]
            size = len(stored.content)
        else:
            if len(call.body) > LARGEST_INLINE:
                raise CallRefused(400, f"Request payload size exceeds the limit: {LARGEST_INLINE} bytes.")
            inline = (config.get("requests") or {}).get("requests") or []
            rows = [{"key": (row.get("metadata") or {}).get("key"), "request": row.get("request")} for row in inline]
            size = len(call.body)
        requests = [row for row in rows if row is not None and isinstance(row.get("request"), dict)]
        lines = [self.line(model, action, row) for row in requests]
        problems = [] if len(requests) == len(rows) else [BatchProblem("INVALID_ARGUMENT", "A line of the file is no request.")]
        problems += too_much(self.rules, lines, size) or ([] if rows else [BatchProblem("INVALID_ARGUMENT", "There are no requests.")])
        if not tokens_fit(self.rules, self.under_way(call), model, lines):
            self.shop.books.refused[self.name] += 1
            raise CallRefused(429, f"You exceeded the limit of {self.rules.tokens} enqueued tokens of {model}.")
        about = {"model": model, "label": given.get("displayName"), "input_file": config.get("fileName")}
        return self.submit(call, self.new_id("batches/", 32), lines, problems, **about)

    def line(self, model: str, action: str, row: dict[str, Any]) -> FakeLine:
        """Return a line as the request that it is online."""
        if action == EMBEDDINGS:
            path, document = f"/v1beta/models/{model}:batchEmbedContents", {"requests": [row["request"]]}
        else:
            path, document = "/v1beta/openai/chat/completions", chat_request(model, row["request"])
        return FakeLine(row.get("key"), path, document, tokens_of_line(path, document))

    def listed(self, call: VendorCall) -> VendorReply:
        """Return a page of batches: there is no filter."""
        size, start = int(call.query.get("pageSize", "50")), int(call.query.get("pageToken") or "0")
        mine = self.mine(call)
        page = {"operations": [self.view(batch) for batch in mine[start : start + size]]}
        return VendorReply(page | ({"nextPageToken": str(start + size)} if len(mine) > start + size else {}))

    def view(self, batch: FakeBatch) -> dict[str, Any]:
        """Return what is told of a batch: an operation. Counts are texts, and those of 0 are left out, as protobuf has it."""
        stage, finished = batch.stage(self.now), batch.finished(self.now)
        right = sum(1 for line in finished if line.reply and line.reply.right)
        counts = {"requestCount": len(batch.lines), "successfulRequestCount": right, "failedRequestCount": len(finished) - right}
        counts["pendingRequestCount"] = 0 if stage.over else len(batch.lines) - len(finished)
        about = {
            "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
            "name": batch.id,
            "model": f"models/{batch.model}",
            "displayName": batch.label,
            "inputConfig": (batch.request.get("batch") or {}).get("inputConfig") if batch.input_file else None,
            "createTime": iso_time(batch.created),
            "updateTime": iso_time(min(self.now, batch.ended)),
            "endTime": iso_time(batch.ended) if stage.over else None,
            "batchStats": {name: str(count) for name, count in counts.items() if count},
            "state": self.strange_word(batch) or f"BATCH_STATE_{WORDS[stage]}",
        }
        found: dict[str, Any] = {"name": batch.id, "metadata": {name: value for name, value in about.items() if value is not None}}
        if not stage.over:
            return found
        found["done"] = True
        if stage is BatchStage.COMPLETED:
            found["response"] = found["metadata"]["output"] = self.output(batch)
        else:
            code, message = (3, batch.problems[0].message) if batch.problems else (1, f"The batch is {stage.value}.")
            found["error"] = {"code": code, "message": message}
        return found

    def output(self, batch: FakeBatch) -> dict[str, Any]:
        """Return where the results are, or, of a batch that came without a file, they themselves."""
        rows = [self.row(batch, line) for line in batch.finished(self.now)]
        if batch.input_file is None:
            kind = "inlinedResponses" if self.is_chat(batch) else "inlinedEmbedContentResponses"
            inline = [{**({"metadata": {"key": key}} if (key := row.pop("key")) else {}), **row} for row in rows]
            return {kind: {"inlinedResponses": inline}}
        if "output" not in batch.files:
            content = self.results(batch, rows, "key")
            about = {"id": self.new_id("files/batch-", 36), "created": batch.ended, "expires": math.inf, "gone": self.hides_results(batch)}
            batch.files["output"] = self.store(batch.owner, "", content, **about).id
        return {"responsesFile": batch.files["output"]}

    def is_chat(self, batch: FakeBatch) -> bool:
        """Tell whether the batch asks a chat model."""
        return any("messages" in line.document for line in batch.lines)

    def row(self, batch: FakeBatch, line: FakeLine) -> dict[str, Any]:
        """Return what came of a line."""
        assert line.reply is not None  # noqa: S101 (of finished lines alone)
        if not line.reply.right:
            return {"key": line.custom_id, "error": error_row(line.reply.status, line.reply.body)}
        if "messages" in line.document:
            return {"key": line.custom_id, "response": chat_reply(line.reply.body, batch.model)}
        return {"key": line.custom_id, "response": {"embedding": line.reply.body["embeddings"][0], "tokenCount": line.tokens}}


def is_result(stored: StoredFile) -> bool:
    """Tell whether a file is one of results: its id has more than the 40 characters that an id of a file may have."""
    return len(stored.id) > len("files/") + 40
