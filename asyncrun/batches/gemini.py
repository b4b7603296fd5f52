"""Gemini's batches: lines of its own form in a file, and an operation that becomes a file of replies, or, too late, nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar
from urllib.parse import urlsplit

import orjson

from asyncrun.batches.adapter import DAY, HttpBatchEndpoint
from asyncrun.batches.documents import files_in, moment_of, name_with, number_of, part_of, reasons_in, rows_of, state_of, tag_in, text_of
from asyncrun.batches.exchange import JsonReply, is_full
from asyncrun.batches.file_content import FileContent, written
from asyncrun.batches.gemini_chat import from_gemini, to_gemini
from asyncrun.batches.interface import BatchReply, BatchRequest, BatchState, BatchTerms, ProviderBatch, Purpose, Refusal
from asyncrun.batches.reply_lines import failure, grpc_status
from asyncrun.endpoints import vendors
from asyncrun.endpoints.address import with_model
from asyncrun.endpoints.vendors import Vendor
from asyncrun.errors import ArgumentError, EndpointError
from asyncrun.escape import printable

UPLOAD_ADDRESS = "x-goog-upload-url"


class GeminiBatches(HttpBatchEndpoint):
    """Gemini's (ai.google.dev/gemini-api/docs/batch-api; the types of python-genai). After two days a batch expires, and all of it is lost.

    >>> GeminiBatches(model="gemini-embedding-001", purpose="embeddings", api_key="a-key").terms.inputs_per_request
    1
    """

    vendor: ClassVar[Vendor] = replace(vendors.GEMINI, auth="x-goog-api-key")
    online_paths: ClassVar[tuple[str, ...]] = (*HttpBatchEndpoint.online_paths, "/openai")
    newest_first: ClassVar[bool] = False

    @staticmethod
    def terms_for(purpose: Purpose) -> BatchTerms:
        """Return what Gemini takes: the number of lines is not told, and as all is lost that is late, 50,000 are enough.

        Of files of 2 GB one half is used: its own form of a request may be longer than the one that is counted.
        """
        return BatchTerms(
            requests=50_000,
            size=1_000_000_000,
            inputs_per_request=1 if purpose == "embeddings" else None,
            window=2 * DAY,
        )

    async def upload(self, requests: Iterable[BatchRequest], tag: str) -> str | None:
        """Hand the requests over in a file, and return its name."""
        async with written(orjson.dumps(self.line(request)) + b"\n" for request in requests) as content:
            reply = await self.exchange.tried(partial(self._upload, content, name_with(tag)))
        file = text_of(reply.document, "file", "name")
        if file is None:
            raise EndpointError(f"{self.host} answers 200 to a file, but without its name")
        return file

    async def create(self, requests: Iterable[BatchRequest], file: str | None, tag: str) -> ProviderBatch | Refusal | None:
        """Submit a batch of an uploaded file."""
        action = "asyncBatchEmbedContent" if self.purpose == "embeddings" else "batchGenerateContent"
        url = self.at(with_model(f"/models/{{model}}:{action}", self.model.removeprefix("models/")))
        return await self.submitted(url, {"batch": {"displayName": name_with(tag), "inputConfig": {"fileName": file}}})

    def line(self, request: BatchRequest) -> dict[str, Any]:
        """Return the line of a request. Raises ArgumentError for one that has no form here."""
        if self.purpose == "chat":
            return {"key": request.custom_id, "request": to_gemini(request.body)}
        texts = request.body["requests"]
        if len(texts) != 1:
            raise ArgumentError(f"a request of Gemini's batches has one text, not {len(texts)}")
        return {"key": request.custom_id, "request": texts[0]}

    def address_of_page(self, number: int, before: Any) -> str | None:
        """Return where a page of the list is; nothing is said of its order."""
        if number == 0:
            return self.at("/batches", pageSize=self.page_size)
        token = text_of(before, "nextPageToken")
        return None if token is None else self.at("/batches", pageSize=self.page_size, pageToken=token)

    def rows(self, page: Any) -> list[Any]:
        """Return the batches of a page, as they are told."""
        return rows_of(page, "operations") or rows_of(page, "batches")

    def read(self, document: Any) -> ProviderBatch | None:
        """Return the batch that an operation is about."""
        name, about = text_of(document, "name"), part_of(document, "metadata") or document
        if name is None:
            return None
        word, error = text_of(about, "state") or "", part_of(document, "error")
        state = state_of(word)
        if not word and part_of(document, "done") is True:
            state = BatchState.FAILED if error else BatchState.ENDED
        told = reasons_in(error)
        # The field moves: the operation's response, within it the output, or the metadata's.
        places = (part_of(document, "response"), part_of(document, "response", "output"), part_of(about, "output"))
        replies = next((found for place in places if (found := files_in(place, "responsesFile"))), ())
        stats = part_of(about, "batchStats")
        return ProviderBatch(
            id=name,
            tag=tag_in(part_of(about, "displayName")),
            state=state,
            word=printable(word, 40),
            created=moment_of(part_of(about, "createTime")),
            total=number_of(part_of(stats, "requestCount")),
            succeeded=number_of(part_of(stats, "successfulRequestCount")),
            failed=number_of(part_of(stats, "failedRequestCount")),
            files=(*files_in(part_of(about, "inputConfig"), "fileName"), *replies),
            message=self.shown(told) or None,
            full=state is BatchState.FAILED and is_full(told),
            reply_files=replies,
            has_replies=state.over and bool(replies),
        )

    def read_reply(self, document: Mapping[str, Any]) -> BatchReply | None:
        """Return what a line says, in the form that the reply has online."""
        key, response, error = document.get("key"), document.get("response"), document.get("error")
        if not isinstance(key, str):
            return None
        error = error or part_of(response, "error")
        if error or not isinstance(response, dict):
            return failure(key, grpc_status(error), error)
        if self.purpose == "chat":
            return BatchReply(key, from_gemini(response))
        used = number_of(part_of(response, "usageMetadata", "promptTokenCount") or part_of(response, "tokenCount"))
        counted = {} if used is None else {"usageMetadata": {"promptTokenCount": used}}
        return BatchReply(key, {"embeddings": [part_of(response, "embedding")], **counted})

    def address_of(self, batch_id: str, action: str = "") -> str:
        """Return where a batch is asked for; its id begins with `batches/`."""
        return self.at(f"/{batch_id}{action.replace('/', ':')}")

    def addresses_of_replies(self, batch: ProviderBatch) -> list[str]:
        """Return where the file of its replies is."""
        return [f"{self._beside('download')}/{file}:download?alt=media" for file in batch.reply_files]

    def deletable(self, batch: ProviderBatch) -> list[str]:
        """Return the addresses of its files, and of the batch."""
        return [*(self.at(f"/{file}") for file in batch.files), self.address_of(batch.id)]

    async def _upload(self, content: FileContent, name: str) -> JsonReply:
        """Say that a file comes, and send it where the answer says. Raises RequestError."""
        begin = {
            "x-goog-upload-protocol": "resumable",
            "x-goog-upload-command": "start",
            "x-goog-upload-header-content-length": str(content.size),
            "x-goog-upload-header-content-type": "application/jsonl",
        }
        begun = await self.exchange.once("POST", f"{self._beside('upload')}/files", {"file": {"displayName": name}}, headers=begin)
        url = begun.headers.get(UPLOAD_ADDRESS, "")
        if not self._is_theirs(url):
            raise EndpointError(f"{self.host} sends a file to {self.shown(urlsplit(url).netloc) or 'no address'}, which is not its own")
        finish = {"x-goog-upload-command": "upload, finalize", "x-goog-upload-offset": "0", "content-type": "application/octet-stream"}
        # The address is all that it takes: the key need not go along.
        return await self.exchange.once("POST", url, content=content, headers=finish, with_key=False)

    def _beside(self, word: str) -> str:
        """Return the address of files, which stands before the version: https://HOST/upload/v1beta."""
        before, _, version = self._base.rpartition("/")
        return f"{before}/{word}/{version}"

    def _is_theirs(self, url: str) -> bool:
        ours, theirs = urlsplit(self._base), urlsplit(url)
        google = (theirs.hostname or "").endswith(".googleapis.com") and (ours.hostname or "").endswith(".googleapis.com")
        return theirs.scheme == ours.scheme and (theirs.netloc == ours.netloc or google)
