"""The lines of a file of replies: cut out of what comes, and read as what came of one request."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from asyncrun.aio.retry import FailureClass
from asyncrun.batches.documents import part_of, text_of
from asyncrun.batches.interface import BatchReply
from asyncrun.endpoints.classify import classify, is_filtered
from asyncrun.errors import Reason
from asyncrun.escape import printable
from asyncrun.humanize import counted

LONGEST_MESSAGE = 200
"""Characters of a provider's words about a line."""
_MARK = b"\xef\xbb\xbf"
_NOT_ABOUT_IT = (FailureClass.THROTTLE, FailureClass.TRANSIENT, FailureClass.QUOTA, FailureClass.AUTH, FailureClass.CONFIG)
"""What these say is not about the request, which was not done."""
_CODES = {
    "expired": 0,
    "cancel": 0,
    "rate_limit": 429,
    "server": 500,
    "internal": 500,
    "timeout": 504,
    "unavailable": 503,
}
_GRPC = {1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 400, 13: 500, 14: 503, 15: 500, 16: 401}
"""The statuses of HTTP for the codes of gRPC (google/rpc/code.proto), with which Gemini numbers the errors of lines."""


@dataclass(slots=True)
class LeftOut:
    """How many lines of a file are no replies of ours: those that cannot be read, and those with another id."""

    unreadable: int = 0
    foreign: int = 0

    def sentence(self, batch_id: str) -> str | None:
        """Return what is to be told of it, None where all is well.

        >>> LeftOut(unreadable=1).sentence("batch_1")
        '1 line of the replies of batch_1 was left out: 1 cannot be read'
        """
        found = [f"{self.unreadable} cannot be read"] if self.unreadable else []
        found += [f"{self.foreign} with an id that is not ours"] if self.foreign else []
        lines = self.unreadable + self.foreign
        were = f"{counted(lines, 'line')} of the replies of {printable(batch_id, 80)} {'was' if lines == 1 else 'were'}"
        return f"{were} left out: {', '.join(found)}" if found else None


async def documents_in(pieces: AsyncIterator[bytes], left_out: LeftOut) -> AsyncGenerator[dict[str, Any]]:
    """Yield the JSON object of each line; a mark of the byte order, empty lines and what is no object are passed over."""
    begun: list[bytes] = []
    first = True
    async for piece in pieces:
        if b"\n" not in piece:
            begun.append(piece)
            continue
        *lines, rest = (b"".join(begun) + piece).split(b"\n")
        begun = [rest]
        for line in lines:
            if (document := _document(line.removeprefix(_MARK) if first else line, left_out)) is not None:
                yield document
            first = False
    last = b"".join(begun)
    if (document := _document(last.removeprefix(_MARK) if first else last, left_out)) is not None:
        yield document


def _document(line: bytes, left_out: LeftOut) -> dict[str, Any] | None:
    if not line.strip():
        return None
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        document = None
    if isinstance(document, dict):
        return document
    left_out.unreadable += 1
    return None


def read_line(document: Mapping[str, Any]) -> BatchReply | None:
    """Return what a line of OpenAI's form says, which Azure, Mistral and Voyage have too; None where it has no id.

    >>> read_line({"custom_id": "a-1", "response": {"status_code": 200, "body": {"data": []}}, "error": None})
    BatchReply(custom_id='a-1', body={'data': []}, reason=None, message='', again=False)
    """
    custom_id, response, error = document.get("custom_id"), document.get("response"), document.get("error")
    if not isinstance(custom_id, str):
        return None
    if isinstance(response, dict):
        status = response.get("status_code")
        body = response.get("body")
        if status in (None, 200) and not error and isinstance(body, dict) and not body.get("error"):
            return BatchReply(custom_id, body)
        said = body or ({"message": response["message"]} if text_of(response, "message") else error)
        return failure(custom_id, status if type(status) is int else _status_of(said), said)
    return failure(custom_id, _status_of(error), error)


def failure(custom_id: str, status: int, document: Any) -> BatchReply:
    """Return the failure that a status and an error document amount to, as they would online; status 0 says that it was not done.

    >>> failure("a-1", 0, {"code": "batch_expired", "message": "Too late."})
    BatchReply(custom_id='a-1', body=None, reason='server_error', message='Too late.', again=True)
    """
    if not document:
        return BatchReply(custom_id, None, Reason.BAD_RESPONSE.value, "the line has neither a reply nor an error", again=True)
    verdict = classify(status or 500, {}, document if isinstance(document, dict | list) else {"message": document}, "")
    words = printable(verdict.words, LONGEST_MESSAGE)
    if not status or verdict.failure in _NOT_ABOUT_IT:
        return BatchReply(custom_id, None, Reason.SERVER_ERROR.value, words, again=True)
    return BatchReply(custom_id, None, Reason.FILTERED.value if is_filtered(str(document)) else verdict.reason, words)


def grpc_status(error: object) -> int:
    """Return the status of HTTP of an error of Google's, whose code is one of gRPC or of HTTP.

    >>> grpc_status({"code": 8, "message": "Quota exceeded"}), grpc_status({"code": 404})
    (429, 404)
    """
    code = part_of(error, "code")
    if type(code) is not int:
        return 400
    return code if code >= 100 else _GRPC.get(code, 500)


def _status_of(error: object) -> int:
    """Return the status that an error without one would have had; 0: the request was not done."""
    code = str(part_of(error, "code") or part_of(error, "type") or error or "").lower()
    return next((status for word, status in _CODES.items() if word in code), 400)
