"""Server-sent events out of pieces of bytes, by the WHATWG rules, whatever way the bytes are cut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from asyncrun.endpoints.replies import BadReplyError

MAX_EVENT = 2**22
"""Bytes of one event. A word of an answer takes a few hundred; a whole answer in one event fits."""
_END_OF_LINE = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event: its type (`message` where it names none), and its lines of data, joined; bytes, so that broken UTF-8 is not mended."""

    data: bytes
    type: str = "message"


class EventStream:
    r"""Takes pieces of a stream and gives the events that are whole. What `id` and `retry` say, which serve a new connection, is left out.

    >>> stream = EventStream()
    >>> [stream.feed(piece) for piece in (b"data: a\r", b"\ndata: b\n\n: alive\n\nda", b"ta: c\n\n")][1:]
    [[ServerSentEvent(data=b'a\nb', type='message')], [ServerSentEvent(data=b'c', type='message')]]

    `feed` raises BadReplyError for an event of more than `max_event` bytes.
    """

    def __init__(self, max_event: int = MAX_EVENT) -> None:
        self._max_event = max_event
        self._line = bytearray()
        """The beginning of a line whose end has not come."""
        self._after_return = self._begun = False
        self._data: list[bytes] = []
        self._size = 0
        self._type = ""

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """Return the events that end in this piece."""
        return [event for line in self._lines(piece) if (event := self._take(line)) is not None]

    def _lines(self, piece: bytes) -> Iterator[bytes]:
        """Yield the lines that end in this piece. A carriage return ends one at once, and a line feed after it is part of the same end."""
        if not piece:
            return
        start = int(self._after_return and piece.startswith(b"\n"))
        self._after_return = piece.endswith(b"\r")
        for end in _END_OF_LINE.finditer(piece, start):
            self._line += piece[start : end.start()]
            start = end.end()
            self._check_size()
            line = bytes(self._line)
            self._line.clear()
            if not self._begun:
                line = line.removeprefix(_BYTE_ORDER_MARK)
                self._begun = True
            yield line
        self._line += piece[start:]
        self._check_size()

    def _check_size(self) -> None:
        if len(self._line) + self._size > self._max_event:
            raise BadReplyError(f"one event of the stream is larger than {self._max_event} bytes")

    def _take(self, line: bytes) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value) + 1
        elif name == b"event":
            self._type = value.decode("utf-8", "replace")
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        event = ServerSentEvent(b"\n".join(self._data), self._type or "message") if self._data else None
        self._data, self._size, self._type = [], 0, ""
        return event
