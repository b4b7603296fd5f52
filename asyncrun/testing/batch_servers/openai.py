"""OpenAI's batch endpoint as a fake server.

Sources: openai-python, `types/{batch*,file_*}.py`; developers.openai.com, guides/batch; openai-openapi, `openapi.yaml`: expiry and
cancellation deliver what was finished. What was seen by users and stands in no page names its thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import orjson

from asyncrun.testing.batch_servers.calls import VendorCall, VendorReply, whole
from asyncrun.testing.batch_servers.desk import CallRefused, rows_of
from asyncrun.testing.batch_servers.files import FilesDesk
from asyncrun.testing.batch_servers.limits import DAY, VendorTerms, tokens_fit, too_much
from asyncrun.testing.batch_servers.schedule import BatchProblem, BatchStage, FakeBatch, FakeLine
from asyncrun.testing.batch_servers.tokens import tokens_of_line

MOST_METADATA, LONGEST_NAME, LONGEST_VALUE = 16, 64, 512
PAGE, LARGEST_PAGE = 20, 100
MOMENTS = ("in_progress_at", "finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at", "cancelled_at")


class OpenAIDesk(FilesDesk):
    """OpenAI: 50,000 lines and 200 MB a batch, 2,000 batches an hour; too many tokens that wait make a batch fail later."""

    name: ClassVar[str] = "openai"
    terms: ClassVar[VendorTerms] = VendorTerms(lines=50_000, size=200_000_000, inputs=50_000, creates=2000)
    endpoints: ClassVar[tuple[str, ...]] = ("/v1/chat/completions", "/v1/embeddings", "/v1/responses", "/v1/completions", "/v1/moderations")
    windows: ClassVar[tuple[str, ...]] = ("24h",)

    def route(self, call: VendorCall, steps: tuple[str, ...]) -> VendorReply | None:
        """Return the reply to a call, None where there is nothing. Raises CallRefused."""
        match call.method, *steps:
            case _, "files", *rest:
                return self.route_files(call, tuple(rest))
            case "POST", "batches":
                return VendorReply(self.view(self.create(call)))
            case "GET", "batches":
                return self.listed(call)
            case "GET", "batches", batch_id:
                return VendorReply(self.view(self.batch_of(call, batch_id)))
            case "POST", "batches", batch_id, "cancel":
                return VendorReply(self.view(self.cancel(call, batch_id)))
        return None

    def refusal(self, refused: CallRefused) -> VendorReply:
        """Return a refusal as OpenAI tells it."""
        kind = "invalid_request_error" if refused.status < 429 else "requests"
        return VendorReply(
            {"error": {"message": refused.message, "type": kind, "param": refused.param, "code": refused.code}},
            refused.status,
        )

    def create(self, call: VendorCall) -> FakeBatch:
        """Take a batch; what its lines are is looked at later. Raises CallRefused."""
        given = call.document
        for name in ("input_file_id", "endpoint", "completion_window"):
            if not isinstance(given.get(name), str):
                raise CallRefused(400, f"Missing required parameter: '{name}'.", "missing_required_parameter", name)
        if given["endpoint"] not in self.endpoints:
            raise CallRefused(400, f"Invalid value: '{given['endpoint']}'.", "invalid_value", "endpoint")
        if given["completion_window"] not in self.windows:
            raise CallRefused(400, f"Invalid value: '{given['completion_window']}'.", "invalid_value", "completion_window")
        check_metadata(given.get("metadata"))
        try:
            stored = self.file_of(call, given["input_file_id"])
        except CallRefused as refused:
            raise CallRefused(400, refused.message, "invalid_request", "input_file_id") from None
        read = list(self.read_lines(stored.content, given))
        lines = [found for found in read if isinstance(found, FakeLine)]
        problems = [found for found in read if isinstance(found, BatchProblem)]
        problems += too_much(self.rules, lines, len(stored.content))
        if not lines and not problems:
            problems.append(BatchProblem("empty_file", "The input file is empty."))
        model = self.model_of(lines, given)
        problems += self.over_tokens(call, model, lines)
        about = {"model": model, "label": given.get("metadata"), "input_file": stored.id}
        return self.submit(call, self.batch_id(), lines, problems, **about)

    def batch_id(self) -> str:
        """Return an id for a new batch."""
        return self.new_id("batch_", 32, "0123456789abcdef")

    def model_of(self, lines: list[FakeLine], given: dict[str, Any]) -> str:
        """Return the model of a batch, which is that of its lines."""
        return str(lines[0].document.get("model")) if lines else ""

    def over_tokens(self, call: VendorCall, model: str, lines: list[FakeLine]) -> list[BatchProblem]:
        """Return what is wrong with the number of tokens that wait: told when the batch is looked at (openai-python#1643)."""
        if tokens_fit(self.rules, self.under_way(call), model, lines):
            return []
        message = f"Enqueued token limit reached for {model}. Limit: {self.rules.tokens} enqueued tokens. Try again once some are done."
        return [BatchProblem("token_limit_exceeded", message)]

    def read_lines(self, content: bytes, given: dict[str, Any]) -> Iterator[FakeLine | BatchProblem]:
        """Yield the lines of a file, and what is wrong with them."""
        seen: set[str] = set()
        models: set[Any] = set()
        for number, row in rows_of(content):
            if row is None:
                yield BatchProblem("invalid_json_line", "This line is not parseable as valid JSON.", number)
                continue
            custom_id, body = row.get("custom_id"), row.get("body")
            if not isinstance(custom_id, str) or not isinstance(body, dict) or row.get("method") != "POST":
                yield BatchProblem("invalid_request", "A line needs custom_id, method POST, url and body.", number)
                continue
            if not self.right_url(row.get("url"), given["endpoint"]):
                yield BatchProblem("mismatched_url", "The URL of this request does not match the endpoint of the batch.", number, "url")
            if custom_id in seen:
                yield BatchProblem("duplicate_custom_id", "The custom_id of this request was used before.", number, "custom_id")
            models.add(body.get("model"))
            if len(models) > 1:
                yield BatchProblem("mismatched_model", "All requests of a batch must be for the same model.", number, "body.model")
                models = {body.get("model")}
            seen.add(custom_id)
            yield FakeLine(custom_id, given["endpoint"], body, tokens_of_line(given["endpoint"], body))

    def right_url(self, url: object, endpoint: str) -> bool:
        """Tell whether a line's url is that of the batch."""
        return url == endpoint

    def listed(self, call: VendorCall) -> VendorReply:
        """Return a page of batches, newest first: there is no filter."""
        limit = call.query.get("limit", str(PAGE))
        if not limit.isdigit() or not 1 <= int(limit) <= LARGEST_PAGE:
            raise CallRefused(400, f"Invalid 'limit': integer between 1 and {LARGEST_PAGE} expected.", "invalid_value", "limit")
        mine = self.mine(call)
        if (after := call.query.get("after")) is not None:
            places = [place for place, batch in enumerate(mine) if batch.id == after]
            if not places:
                raise CallRefused(400, f"No batch found with id '{after}'.", param="after")
            mine = mine[places[0] + 1 :]
        page = [self.view(batch) for batch in mine[: int(limit)]]
        ends = {"first_id": page[0]["id"] if page else None, "last_id": page[-1]["id"] if page else None}
        return VendorReply({"object": "list", "data": page, **ends, "has_more": len(mine) > len(page)})

    def cancel(self, call: VendorCall, batch_id: str) -> FakeBatch:
        """Begin the end of a batch. Raises CallRefused where it has ended."""
        batch = self.batch_of(call, batch_id)
        stage = batch.stage(self.now)
        if stage.over:
            raise CallRefused(409, f"Cannot cancel a batch with status '{stage}'.")
        if batch.cancelled is None:
            batch.cancelled = self.now
        return batch

    def view(self, batch: FakeBatch) -> dict[str, Any]:
        """Return what is told of a batch."""
        stage, moments = batch.stage(self.now), self.moments(batch)
        if stage.over:
            self.write_files(batch)
        given = batch.request
        failed = [line for line in batch.finished(self.now) if line.reply and not line.reply.right]
        finished = len(batch.finished(self.now))
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": given["endpoint"],
            "model": batch.model,
            "errors": {"object": "list", "data": [problem_view(problem) for problem in batch.problems]}
            if stage is BatchStage.FAILED
            else None,
            "input_file_id": batch.input_file,
            "completion_window": given["completion_window"],
            "status": self.strange_word(batch) or self.word(stage),
            "output_file_id": batch.files.get("output"),
            "error_file_id": batch.files.get("error"),
            "created_at": self.moment(batch.created),
            "expires_at": self.moment(batch.created + DAY if batch.window > DAY else batch.expires),
            **{name: self.moment(moments.get(name)) for name in MOMENTS},
            "request_counts": {"total": 0, "completed": 0, "failed": 0}
            if stage in (BatchStage.VALIDATING, BatchStage.FAILED)
            else {"total": len(batch.lines), "completed": finished - len(failed), "failed": len(failed)},
            "metadata": batch.label,
        }

    def word(self, stage: BatchStage) -> str:
        """Return the vendor's word for a stage."""
        return stage.value

    def moment(self, moment: float | None) -> Any:
        """Return a moment as the vendor writes it."""
        return whole(moment)

    def moments(self, batch: FakeBatch) -> dict[str, float]:
        """Return when the batch came to each stage that it has come to."""
        stage = batch.stage(self.now)
        found = {} if batch.problems else {"in_progress_at": batch.started}
        if batch.cancelled is not None:
            found["cancelling_at"] = batch.cancelled
        elif not batch.problems:
            found["finalizing_at"] = batch.worked
        if stage.over:
            found[f"{stage.value}_at"] = batch.ended
        return {name: moment for name, moment in found.items() if moment <= self.now}

    def write_files(self, batch: FakeBatch) -> None:
        """Write what came of a batch that is over, once."""
        if batch.files or batch.problems:
            return
        finished = batch.finished(self.now)
        right = [line for line in finished if line.reply and line.reply.right]
        wrong = [line for line in finished if line.reply and not line.reply.right] + batch.left(self.now)
        if right:
            self.write_file(batch, "output", self.results(batch, [self.row(batch, line) for line in right]))
        if wrong:
            self.write_file(batch, "error", b"".join(orjson.dumps(self.row(batch, line)) + b"\n" for line in wrong))
        else:
            self.without_errors(batch)

    def without_errors(self, batch: FakeBatch) -> None:
        """Say that there is no file of errors: some have been seen to have the empty word for its id (tobert/kaibo#93)."""
        if batch.number % 2:
            batch.files["error"] = ""

    def write_file(self, batch: FakeBatch, kind: str, content: bytes) -> None:
        """Write a file of results, as of the end of the batch."""
        life = (batch.request.get("output_expires_after") or {}).get("seconds", self.rules.kept)
        about = {"purpose": "batch_output", "created": batch.ended, "expires": batch.ended + life}
        stored = self.store(batch.owner, f"{batch.id}_{kind}.jsonl", content, **about)
        stored.gone = kind == "output" and self.hides_results(batch)
        batch.files[kind] = stored.id

    def row(self, batch: FakeBatch, line: FakeLine) -> dict[str, Any]:
        """Return what came of a line; one without an answer was overtaken by the end (openai-openapi, BatchRequestOutput)."""
        about = {"id": self.new_id("batch_req_"), "custom_id": line.custom_id}
        if line.reply is not None and batch.gives_finished(self.now):
            response = {"status_code": line.reply.status, "request_id": self.new_id("req_"), "body": line.reply.body}
            return {**about, "response": response, "error": None}
        return {**about, "response": None, "error": self.left_over(batch)}

    def left_over(self, batch: FakeBatch) -> dict[str, str]:
        """Return why a line has no answer."""
        if batch.cancelled is None:
            return {"code": "batch_expired", "message": "This request could not be executed before the completion window expired."}
        return {"code": "batch_cancelled", "message": "This request was not executed: the batch was cancelled."}


def problem_view(problem: BatchProblem) -> dict[str, Any]:
    """Return what is told of why a batch has failed."""
    return {"code": problem.code, "line": problem.line, "message": problem.message, "param": problem.param}


def check_metadata(metadata: object) -> None:
    """Check metadata: 16 pairs, 64 and 512 characters (openai-python, `types/batch_create_params.py`). Raises CallRefused."""
    if metadata is None:
        return
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise CallRefused(400, "Invalid type for 'metadata': an object of strings was expected.", "invalid_type", "metadata")
    if len(metadata) > MOST_METADATA or any(len(name) > LONGEST_NAME or len(value) > LONGEST_VALUE for name, value in metadata.items()):
        message = f"Invalid 'metadata': at most {MOST_METADATA} pairs, names of {LONGEST_NAME} and values of {LONGEST_VALUE} characters."
        raise CallRefused(400, message, "invalid_value", "metadata")
