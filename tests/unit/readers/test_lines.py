"""What the readers of lines, JSON lines and text promise, record by record."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.readers import byte_lines
from asyncrun.readers.interface import BadRecord, Reader, Record
from asyncrun.readers.lines import read_jsonl, read_lines
from asyncrun.readers.text import read_text

Write = Callable[[bytes], Path]


@pytest.fixture
def written(tmp_path: Path) -> Write:
    def write(data: bytes) -> Path:
        (tmp_path / "input").write_bytes(data)
        return tmp_path / "input"

    return write


def told(reader: Reader, path: Path) -> list[Any]:
    return [
        (str(record.place), record.reason, record.message) if isinstance(record, BadRecord) else (str(record.place), dict(record.fields))
        for record in reader(path, "in")
    ]


def test_lines_keep_their_text_and_blank_ones_are_counted_only(written: Write) -> None:
    path = written(b"\xef\xbb\xbf first \r\n\r\n \t\nfourth\n\xc2\xa0\n\xc3\xa9nd")
    assert told(read_lines, path) == [("in:1", {"text": " first "}), ("in:4", {"text": "fourth"}), ("in:6", {"text": "\xe9nd"})]


def test_a_line_that_is_not_utf8_is_set_aside_with_its_offset(written: Write) -> None:
    assert told(read_lines, written(b"ok\ncaf\xe9\nok\n")) == [
        ("in:1", {"text": "ok"}),
        ("in:2", "bad_text", "not UTF-8: byte 0xe9 at offset 3 of the line; set `input.encoding` to what it is"),
        ("in:3", {"text": "ok"}),
    ]


def test_jsonl_counts_blank_lines_and_needs_no_last_line_end(written: Write) -> None:
    path = written(b'\xef\xbb\xbf{"a": 1}\r\n\n   \n{"b": {"c": [null]}}')
    assert told(read_jsonl, path) == [("in:1", {"a": 1}), ("in:4", {"b": {"c": [None]}})]


@pytest.mark.parametrize(
    ("line", "place", "reason", "words"),
    [
        (b'{"a": 1,}', "in:2:", "bad_record", "not JSON: "),
        (b"{'a': 1}", "in:2:", "bad_record", "not JSON: "),
        (b'{"a": NaN}', "in:2:", "bad_record", "not JSON: "),
        (b'{"a": 1} {"b": 2}', "in:2:", "bad_record", "not JSON: "),
        (b'{"a": "cut of', "in:2:", "bad_record", "not JSON: "),
        (b'"a string"', "in:2", "bad_record", "not a JSON object but a string"),
        (b"[1]", "in:2", "bad_record", "not a JSON object but a list"),
        (b"1.5", "in:2", "bad_record", "not a JSON object but a number"),
        (b"null", "in:2", "bad_record", "not a JSON object but null"),
        (b"true", "in:2", "bad_record", "not a JSON object but a truth value"),
        (b"\0\0\0\0", "in:2:", "bad_record", "not JSON: "),
        (b"[" * 100_000, "in:2:", "bad_record", "not JSON: "),
        (b'{"a": "\xff"}', "in:2", "bad_text", "not UTF-8: byte 0xff at offset 7 of the line; set `input.encoding` to what it is"),
        (rb'{"a": "\ud800"}', "in:2:", "bad_text", "not JSON: "),
    ],
)
def test_a_bad_line_is_named_and_the_others_go_on(written: Write, line: bytes, place: str, reason: str, words: str) -> None:
    before, bad, after = told(read_jsonl, written(b'{"n": 1}\n' + line + b'\n{"n": 3}\n'))
    assert (before, after) == (("in:1", {"n": 1}), ("in:3", {"n": 3}))
    assert bad[0].startswith(place)
    assert bad[1] == reason
    assert bad[2].startswith(words)


@pytest.mark.parametrize("reader", [read_jsonl, read_lines])
def test_a_line_above_the_limit_is_a_bad_record(written: Write, monkeypatch: pytest.MonkeyPatch, reader: Reader) -> None:
    monkeypatch.setattr(byte_lines, "LONGEST", 1024 * 1024)
    path = written(b"x" * (1024 * 1024 + 1) + b'\n{"text": "b"}\n')
    first, second = reader(path, "in")
    assert isinstance(first, BadRecord)
    assert (first.reason, first.message) == ("bad_record", "the line is longer than 1 MB")
    assert isinstance(second, Record)


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-16", "utf-16-be", "utf-32", "shift_jis", "gb18030", "utf-8-sig", "utf-7"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_in_an_encoding_that_is_named_are_read_as_they_stream(written: Write, encoding: str, end: str) -> None:
    words = "\u65e5\u672c" if encoding in ("shift_jis", "gb18030") or encoding.startswith("utf") else "caf\xe9"
    path = written(end.join(f'{{"n": {n}, "text": "{words * 50}"}}' for n in range(3000)).encode(encoding))
    rows = [{"n": n, "text": words * 50} for n in range(3000)]
    assert [record.fields for record in read_jsonl(path, "in", encoding=encoding) if isinstance(record, Record)] == rows
    assert len(list(read_lines(path, "in", encoding=encoding))) == 3000


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("windows-1252", b'{"a": "ok"}\n{"a": "\x81"}\n{"a": "caf\xe9"}\n'),
        ("ascii", b'{"a": "ok"}\n{"a": "\xff"}\n{"a": "ok"}\n'),
        ("utf-16-le", '{"a": "ok"}\n{"a": "'.encode("utf-16-le") + b"\x00\xd8" + '"}\n{"a": "ok"}\n'.encode("utf-16-le")),
        ("utf-8", b'{"a": "ok"}\n{"a": "\xff"}\n{"a": "ok"}\n'),
    ],
)
def test_a_line_that_is_not_in_the_encoding_is_set_aside_alone(written: Write, encoding: str, data: bytes) -> None:
    for reader, of in ((partial(read_jsonl, encoding=encoding), "line"), (partial(read_lines, encoding=encoding), "line")):
        first, second, third = told(reader, written(data))
        assert second == ("in:2", "bad_text", f"the {of} is not {encoding}")
        assert (first[0], third[0]) == ("in:1", "in:3")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(rows=st.lists(st.dictionaries(st.text(), json_values, max_size=4), max_size=5), ends=st.sampled_from([b"\n", b"\r\n"]))
def test_every_object_comes_back_from_its_line(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], ends: bytes) -> None:
    path = tmp_path_factory.mktemp("rows") / "a.jsonl"
    path.write_bytes(ends.join(orjson.dumps(row) for row in rows))
    records = list(read_jsonl(path, "a"))
    assert [record.fields for record in records if isinstance(record, Record)] == rows
    assert [record.place.line for record in records] == list(range(1, len(rows) + 1))


@given(data=st.lists(st.binary(max_size=20) | st.just(b" "), max_size=10).map(b"\n".join))
def test_no_bytes_break_a_reader_and_every_line_that_is_not_blank_is_a_record_or_told(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "a"
    path.write_bytes(data)
    text, lines, objects = (list(reader(path, "a")) for reader in (read_text, read_lines, read_jsonl))
    numbered = list(enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1))
    assert [record.place.line for record in text] == [None]
    assert [record.place.line for record in lines] == [number for number, line in numbered if line.decode(errors="replace").strip()]
    assert [record.place.line for record in objects] == [number for number, line in numbered if line.strip()]
    for record in (*text, *lines, *objects):
        assert isinstance(record, BadRecord) or orjson.loads(orjson.dumps(record.fields)) == record.fields
