"""One attempt whose reply is read while it comes: its events go to a reader, and once a part was handed on nothing is sent again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import orjson

from asyncrun.aio.retry import FailureClass
from asyncrun.endpoints.event_stream import EventStream, ServerSentEvent
from asyncrun.endpoints.replies import BadReplyError, DecodedReply, RequestError, bad_reply, read_reply
from asyncrun.http_replies import Reply, Streaming, TakePiece

if TYPE_CHECKING:
    from asyncrun.endpoints.endpoint import Endpoint

T = TypeVar("T")
LAST = b"[DONE]"


class StreamReader(Protocol):
    """Puts the events of one reply together."""

    begun: bool
    """Whether a part of the answer was handed on: whoever got it would get it twice."""

    def add(self, event: Any) -> None:
        """Take the next event, decoded. Raises BadReplyError where it is none."""

    def add_whole(self, document: Any) -> None:
        """Take the reply of a server that does not stream. Raises BadReplyError where it is none."""

    def document(self) -> Any:
        """Return what would have come as a whole. Raises BadReplyError where the end is missing."""


@dataclass(frozen=True, slots=True)
class StreamedCall:
    """How a call is streamed: `begin` makes a reader for each attempt; `max_silence` is in seconds, None: as the timeout allows."""

    begin: Callable[[], StreamReader]
    max_silence: float | None = None


async def attempt_streamed(endpoint: Endpoint, body: bytes, read: Callable[[DecodedReply], T], call: StreamedCall, _: int) -> T:
    """Send once and return what `read` makes of the reply, put together; a server that answers as a whole is taken at its word.

    Raises RequestError, which after the first part says that there will not be another attempt.
    """
    reader = call.begin()
    try:
        try:
            reply = await endpoint.exchange(body, streaming=Streaming(partial(_choose, endpoint, reader), call.max_silence))
            if reply.streamed:
                reply = replace(reply, document=reader.document())
            else:
                reader.add_whole(reply.document)
            return read(reply)
        except BadReplyError as error:
            raise bad_reply(endpoint, error) from error
    except RequestError as error:
        if reader.begun:
            raise _broken_off(error) from error
        raise


def _choose(endpoint: Endpoint, reader: StreamReader, status: int, headers: Mapping[str, str]) -> TakePiece | None:
    """Return what takes the pieces of an event stream, None for another reply."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if status != 200 or kind.endswith(("json", "html", "xml")):
        return None
    events = EventStream()

    def take(piece: bytes) -> bool:
        for event in events.feed(piece):
            if event.data.strip() == LAST:
                return True
            reader.add(_decoded(endpoint, headers, event))
        return False

    return take


def _decoded(endpoint: Endpoint, headers: Mapping[str, str], event: ServerSentEvent) -> Any:
    """Return what an event says. Raises RequestError where it is an error, with the status that it names."""
    try:
        document = orjson.loads(event.data)
    except orjson.JSONDecodeError as error:
        raise BadReplyError("an event of the stream is not JSON") from error
    told = document.get("error") if isinstance(document, dict) else None
    if told or event.type == "error" or (isinstance(document, dict) and document.get("object") == "error"):
        code = next((place["code"] for place in (told, document) if isinstance(place, dict) and isinstance(place.get("code"), int)), 200)
        body = event.data if told else orjson.dumps({"error": document})
        read_reply(endpoint, Reply(code if 400 <= code < 600 else 200, headers, body))
    return document


def _broken_off(error: RequestError) -> RequestError:
    """Return the refusal of a call whose answer has begun."""
    words = f"{error}; the answer had begun, so that it is not asked for again"
    verdict = replace(error.verdict, failure=FailureClass.BROKEN_OFF)
    return RequestError(words, verdict, status=error.status, timed_out=error.timed_out)
