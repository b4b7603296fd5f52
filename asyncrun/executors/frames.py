"""Messages between a process and its workers: a header, a pickle, and the buffers of arrays as they are, through one stream."""

from __future__ import annotations

import asyncio
import pickle
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias, cast

import numpy as np

from asyncrun.errors import JobFailedError, UsageError
from asyncrun.executors.worker import Raised, Returned, named

HEADER = struct.Struct(">BQQ")
"""Of a message: its kind, the number of its call or part, and how many bytes follow."""
LARGEST = 1 << 30
"""Bytes of a message, at most."""
_AT_ONCE = 1 << 16
"""Bytes that are read before it is known what they are."""
_ALIGNED = 16
"""Where a buffer may begin: arrays are faster where the processor likes them."""


class Kind(IntEnum):
    """What a message is."""

    READY = 1
    """To the driver: calls may come."""
    PART = 2
    """To a worker: a part, under its number."""
    CALL = 3
    """To a worker: the number of a part, the name of a method, its arguments."""
    CANCEL = 4
    """To a worker: a call is not wanted any more; it is answered all the same."""
    CLOSE = 5
    """To a worker: close the parts and end."""
    ANSWER = 6
    """To the driver: what a call has returned or raised; nothing when it was cancelled."""


Received: TypeAlias = Callable[[Kind, int, memoryview], None]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Body:
    """What a message carries, ready to be sent: the pieces, and their bytes in all. What it was made of may not be changed before."""

    pieces: tuple[bytes | memoryview, ...]
    size: int

    def joined(self) -> bytes:
        """Return it in one piece."""
        return b"".join(self.pieces)


_NOTHING = Body((), 0)


def encode(value: Any) -> Body:
    """Make the body of a message; buffers (of numpy arrays) are not copied. Raises ValueError, in words, for what cannot be sent."""
    buffers: list[pickle.PickleBuffer] = []
    try:
        pickled = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    except BaseException as error:  # whatever an object of others does
        raise ValueError(named(error)) from error
    views = [buffer.raw() for buffer in buffers]
    table = struct.pack(f">{len(views) + 2}Q", len(views), len(pickled), *(view.nbytes for view in views))
    pieces: list[bytes | memoryview] = [table + pickled]
    size = len(pieces[0])
    for view in views:
        gap = bytes(-size % _ALIGNED)
        pieces += [gap, view] if gap else [view]
        size += len(gap) + view.nbytes
    if size > LARGEST:
        raise ValueError(f"it takes {size >> 20} MB, and a message {LARGEST >> 20} MB at most")
    return Body(tuple(pieces), size)


def decode(body: memoryview) -> Any:
    """Return what a body carries; arrays are views of it. Raises whatever the classes in it raise."""
    (count,) = struct.unpack_from(">Q", body)
    sizes = struct.unpack_from(f">{count + 1}Q", body, 8)
    at = 8 * (count + 2)
    pickled, at = body[at : at + sizes[0]], at + sizes[0]
    buffers: list[memoryview] = []
    for size in sizes[1:]:
        at += -at % _ALIGNED
        buffers.append(body[at : at + size])
        at += size
    return pickle.loads(pickled, buffers=buffers)  # noqa: S301 (of our own process)


def encode_for_worker(value: Any, what: str) -> Body:
    """Make the body of what a worker is sent, and a message calls `what`. Raises UsageError for what cannot be sent."""
    try:
        return encode(value)
    except ValueError as error:
        raise UsageError(f"{what} cannot be sent to a worker: {error}") from error


def unreadable(error: Exception) -> Raised:
    """Return a worker's answer to what it cannot decode, such as a class that cannot be imported there."""
    return Raised(UsageError(f"a worker cannot read what it was sent: {type(error).__name__}: {error}"), 0.0)


def encode_answer(answer: Returned | Raised | None) -> Body:
    """Make the body of an answer, None for a call that was cancelled; what cannot be sent is an answer that says so."""
    try:
        return encode(answer)
    except ValueError as error:
        return encode(Raised(JobFailedError(f"what a worker has returned cannot be sent: {error}"), 0.0))


def decode_answer(body: memoryview) -> Returned | Raised:
    """Return the answer of a worker; what cannot be read of it is an error, too."""
    try:
        answer: Any = decode(body)
    except Exception as error:  # whatever a class of others does when it is made anew
        return Raised(JobFailedError(f"the answer of a worker cannot be read: {type(error).__name__}: {error}"), 0.0)
    if isinstance(answer, Returned | Raised):
        return answer
    return Raised(JobFailedError("a worker has cancelled a call that nobody cancelled"), 0.0)


class Connection(asyncio.BufferedProtocol):
    """One end of the stream: what has come is handed on message by message; a large one is read to where it stays.

    `received` takes a message, `lost` is called once when the other end is gone.
    """

    def __init__(self, received: Received, lost: Callable[[], None]) -> None:
        self._received = received
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._unsent: deque[bytes | memoryview] = deque()
        self._full = False
        self._unread = memoryview(bytearray(_AT_ONCE))
        self._held = 0
        self._body: memoryview | None = None
        self._filled = 0
        self._head = (Kind.READY, 0)

    def send(self, kind: Kind, number: int, body: Body = _NOTHING) -> None:
        """Send a message; after the end of the connection it goes nowhere."""
        if self._transport is None or self._transport.is_closing():
            return
        first, *others = body.pieces or (b"",)
        self._unsent += [HEADER.pack(kind, number, body.size) + first, *others]
        self._write()

    def close(self) -> None:
        """End the connection, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the stream (asyncio calls it)."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that the other end is gone (asyncio calls it)."""
        self._unsent.clear()
        self._lost()

    def pause_writing(self) -> None:
        """Keep what is to be sent here, where nothing is copied (asyncio calls it)."""
        self._full = True

    def resume_writing(self) -> None:
        """Go on (asyncio calls it)."""
        self._full = False
        self._write()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes go (asyncio calls it)."""
        return self._unread[self._held :] if self._body is None else self._body[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        """Hand on what is complete (asyncio calls it)."""
        if self._body is None:
            self._held += nbytes
            self._take()
            return
        self._filled += nbytes
        if self._filled == len(self._body):
            body, self._body = self._body, None
            self._received(*self._head, body)

    def _write(self) -> None:
        while self._unsent and not self._full and self._transport is not None:
            self._transport.write(self._unsent.popleft())

    def _take(self) -> None:
        at = 0
        while self._held - at >= HEADER.size:
            kind, number, size = HEADER.unpack_from(self._unread, at)
            if size > LARGEST:
                raise ValueError("what has come is no message")
            at += HEADER.size
            here = min(size, self._held - at)
            body = np.empty(size, np.uint8).data if size > _AT_ONCE else memoryview(bytearray(size))
            body[:here] = self._unread[at : at + here]
            at += here
            if here < size:
                self._body, self._filled, self._head = body, here, (Kind(kind), number)
                break
            self._received(Kind(kind), number, body)
        rest = bytes(self._unread[at : self._held])
        self._unread[: len(rest)] = rest
        self._held = len(rest)
