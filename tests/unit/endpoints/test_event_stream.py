"""Server-sent events are read by the WHATWG rules, and the same ones come out whatever way the bytes are cut."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.endpoints.event_stream import EventStream, ServerSentEvent
from asyncrun.endpoints.replies import BadReplyError


def read(*pieces, **options):
    stream = EventStream(**options)
    return [event for piece in pieces for event in stream.feed(piece)]


def messages(*data):
    return [ServerSentEvent(one) for one in data]


@pytest.mark.parametrize(
    ("sent", "events"),
    [
        (b"data: a\n\n", messages(b"a")),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", messages(b"a", b"b")),
        (b"data: a\r\rdata: b\r\r", messages(b"a", b"b")),
        (b"data: a\ndata: b\n\n", messages(b"a\nb")),
        (b"data:a\n\ndata:  a\n\n", messages(b"a", b" a")),
        (b"data\ndata\n\n", messages(b"\n")),
        (b"data:\n\n", messages(b"")),
        (b": keep-alive\n\n:\n\n", []),
        (b": ping\ndata: a\n: ping\ndata: b\n\n", messages(b"a\nb")),
        (b"event: error\ndata: a\n\ndata: b\n\n", [ServerSentEvent(b"a", "error"), ServerSentEvent(b"b")]),
        (b"event: empty\n\ndata: a\n\n", messages(b"a")),
        (b"id: 7\nretry: 10\nother: x\nnothing\ndata: a\n\n", messages(b"a")),
        (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", messages(b"a")),
        (b"data: a\n\ndata: without its end\n", messages(b"a")),
        ("data: \u00e9\u2028\x0b\x0c\x85\n\n".encode(), messages("\u00e9\u2028\x0b\x0c\x85".encode())),
        (b"data: \xff\xc3\n\n", messages(b"\xff\xc3")),
        (b"Data: a\n data: a\n\n", []),
        (b"", []),
    ],
)
def test_a_stream_is_read_by_the_rules(sent, events):
    assert read(sent) == events
    assert read(*(sent[place : place + 1] for place in range(len(sent)))) == events


def test_an_event_comes_with_its_blank_line_and_not_with_the_next_one():
    stream = EventStream()
    assert stream.feed(b"data: a\r\r") == messages(b"a")
    assert stream.feed(b"\ndata: b\r\n\r") == messages(b"b")
    assert stream.feed(b"\n\r\n") == []


LINES = b"data: |data:|data|:|event: e|id: 1|\xc3\xa9|\xff|x| |\r\n|\r|\n|\n\n".split(b"|")
lines = st.lists(st.sampled_from(LINES), max_size=60).map(b"".join)


@given(sent=lines, cuts=st.lists(st.integers(0, 200), max_size=20))
def test_any_cutting_of_the_bytes_gives_the_same_events(sent, cuts):
    places = sorted({0, len(sent), *(cut for cut in cuts if cut < len(sent))})
    pieces = [sent[start:end] for start, end in pairwise(places)]
    assert read(*pieces) == read(sent) == by_the_book(sent)


def by_the_book(sent):
    """Read a whole stream as the rules are written, line after line."""
    events, data, kind = [], [], "message"
    whole = re.sub(rb"\r\n|\r", b"\n", sent.removeprefix(b"\xef\xbb\xbf"))
    for line in whole.split(b"\n")[:-1]:
        name, _, value = line.partition(b":")
        if not line:
            events += [ServerSentEvent(b"\n".join(data), kind or "message")] if data else []
            data, kind = [], "message"
        elif name == b"data":
            data.append(value.removeprefix(b" "))
        elif name == b"event":
            kind = value.removeprefix(b" ").decode("utf-8", "replace")
    return events


@pytest.mark.parametrize("sent", [b"data: " + b"x" * 100, b"data: x\n" * 100, b":" + b"x" * 100])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_event_without_end_is_given_up(sent, size):
    pieces = [sent[place : place + size] for place in range(0, len(sent), size)]
    with pytest.raises(BadReplyError, match="larger than 50 bytes"):
        read(*pieces, max_event=50)


def test_any_number_of_small_events_is_read():
    assert len(read(b"data: x\n\n" * 1000, max_event=50)) == 1000
