"""What is sent through a stream comes out of it, in whatever pieces it comes, and arrays are not copied on their way out."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.executors import frames
from asyncrun.executors.frames import Connection, Kind, decode, decode_answer, encode, encode_answer
from asyncrun.executors.worker import Raised, Returned

VALUES = st.lists(
    st.one_of(
        st.text(max_size=50),
        st.binary(max_size=50),
        st.integers(0, 60_000).map(lambda count: np.arange(count, dtype=np.float32)),
        st.integers(0, 5).map(lambda count: [np.ones((count, 3), np.float32), np.arange(count), "with", b"others"]),
    ),
    max_size=8,
)


class Wire:
    """A transport that keeps what is written, and is full after each piece if it is told to be."""

    def __init__(self, *, narrow: bool = False) -> None:
        self.pieces: list[bytes | memoryview] = []
        self.narrow = narrow
        self.protocol: Connection | None = None

    def is_closing(self) -> bool:
        return False

    def write(self, piece: bytes | memoryview) -> None:
        self.pieces.append(piece)
        if self.narrow and self.protocol:
            self.protocol.pause_writing()


def connected(wire: Any, received: Any = None) -> Connection:
    connection = wire.protocol = Connection(received or (lambda *_: None), lambda: None)
    connection.connection_made(wire)
    return connection


def feed(connection: Connection, data: bytes, sizes: list[int]) -> None:
    """Have the bytes come in pieces of these sizes, again and again."""
    at = turn = 0
    while at < len(data):
        room = connection.get_buffer(-1)
        taken = min(len(room), sizes[turn % len(sizes)], len(data) - at)
        room[:taken] = data[at : at + taken]
        connection.buffer_updated(taken)
        at, turn = at + taken, turn + 1


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and one.shape == other.shape and bool((one == other).all())
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


@given(values=VALUES, sizes=st.lists(st.integers(1, 100_000), min_size=1, max_size=5), narrow=st.booleans())
def test_messages_come_in_their_order_whatever_pieces_they_come_in(values: list[Any], sizes: list[int], narrow: bool) -> None:
    wire = Wire(narrow=narrow)
    sender = connected(wire)
    for number, value in enumerate(values):
        sender.send(Kind.ANSWER, number, encode(value))
    sender.send(Kind.CLOSE, 7)
    for _ in range(50):
        sender.resume_writing()
    came: list[tuple[Kind, int, Any]] = []
    receiver = connected(Wire(), lambda kind, number, body: came.append((kind, number, decode(body) if len(body) else None)))
    feed(receiver, b"".join(wire.pieces), sizes)
    assert [each[:2] for each in came] == [*((Kind.ANSWER, number) for number in range(len(values))), (Kind.CLOSE, 7)]
    assert equal([each[2] for each in came[:-1]], values)


def test_an_array_is_sent_as_it_lies_in_memory_and_may_be_changed_where_it_arrives() -> None:
    array = np.arange(100_000, dtype=np.float32)
    wire = Wire()
    connected(wire).send(Kind.ANSWER, 0, encode({"vectors": array}))
    (view,) = (piece for piece in wire.pieces if isinstance(piece, memoryview))
    assert np.shares_memory(np.frombuffer(view, np.float32), array)
    came: list[Any] = []
    feed(connected(Wire(), lambda _kind, _number, body: came.append(decode(body))), b"".join(wire.pieces), [65_536])
    vectors = came[0]["vectors"]
    vectors[0] = 5
    assert vectors.flags.aligned and vectors.flags.writeable and vectors[0] == 5


def test_what_cannot_be_sent_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="lambda"):
        encode(lambda: None)
    monkeypatch.setattr(frames, "LARGEST", 3 << 20)
    with pytest.raises(ValueError, match="it takes 4 MB, and a message 3 MB at most"):
        encode(np.zeros(1 << 20, np.float32))


class Speechless(BaseException):
    """An error of a library that has no words, and is no `Exception`."""

    def __str__(self) -> str:
        raise ValueError


class Unwilling:
    def __reduce__(self) -> str:
        raise Speechless


def test_an_answer_that_cannot_be_sent_is_told_whatever_is_raised_as_it_is_packed() -> None:
    body = encode_answer(Returned(Unwilling(), 0.0))
    answer = decode_answer(memoryview(b"".join(body.pieces)))
    assert isinstance(answer, Raised)
    assert str(answer.error) == "what a worker has returned cannot be sent: Speechless: its words cannot be read"


def test_what_is_no_message_is_not_waited_for() -> None:
    connection = connected(Wire())
    with pytest.raises(ValueError, match="no message"):
        feed(connection, b"\xff" * 17, [17])
