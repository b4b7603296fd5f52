"""What JSON line outputs promise: every value comes back, in a file or on standard output."""

import io
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import StorageError
from asyncrun.writers.jsonl import JsonlWriter, StdoutFile

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(rows=st.lists(st.dictionaries(st.text(), values, max_size=4), max_size=6))
def test_rows_come_back_in_their_order(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    path = tmp_path_factory.mktemp("rows") / "out.jsonl"
    writer = JsonlWriter(path)
    for row in rows:
        writer.write(row)
    writer.commit()
    data = path.read_bytes()
    assert [orjson.loads(line) for line in data.split(b"\n")[:-1]] == rows
    assert data.count(b"\n") == len(rows)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20))
def test_float32_comes_back_exactly_from_the_shortest_numbers(tmp_path_factory: pytest.TempPathFactory, floats: list[float]) -> None:
    vector = np.array(floats, dtype=np.float32)
    path = tmp_path_factory.mktemp("rows") / "out.jsonl"
    writer = JsonlWriter(path)
    for same in (vector, np.repeat(vector, 2)[::2]):
        writer.write({"embedding": same})
    writer.commit()
    lines = path.read_text().splitlines()
    assert len(set(lines)) == 1
    assert np.array_equal(np.array(json.loads(lines[0])["embedding"], dtype=np.float32), vector)


def test_a_float32_is_not_written_as_the_double_it_is_not(tmp_path: Path) -> None:
    writer = JsonlWriter(tmp_path / "out.jsonl")
    writer.write({"embedding": np.array([0.1, -2.5], dtype=np.float32)})
    writer.commit()
    assert (tmp_path / "out.jsonl").read_bytes() == b'{"embedding":[0.1,-2.5]}\n'


def test_columns_choose_and_order(tmp_path: Path) -> None:
    writer = JsonlWriter(tmp_path / "out.jsonl", columns=["text", "id", "none"])
    writer.write(MappingProxyType({"id": "a", "text": "b", "other": MappingProxyType({})}))
    writer.commit()
    assert (tmp_path / "out.jsonl").read_bytes() == b'{"text":"b","id":"a","none":null}\n'


def test_a_mapping_of_any_kind_is_an_object(tmp_path: Path) -> None:
    writer = JsonlWriter(tmp_path / "out.jsonl")
    writer.write({"metadata": MappingProxyType({"a": MappingProxyType({"b": 1})})})
    writer.commit()
    assert (tmp_path / "out.jsonl").read_bytes() == b'{"metadata":{"a":{"b":1}}}\n'


def test_what_has_no_place_in_a_row_is_an_error(tmp_path: Path) -> None:
    writer = JsonlWriter(tmp_path / "out.jsonl")
    with pytest.raises(TypeError):
        writer.write({"a": object()})
    writer.abort()
    assert list(tmp_path.iterdir()) == []


class Closed(io.BytesIO):
    """A pipe whose reader has gone after the first row."""

    def write(self, data: Any, /) -> int:
        if self.getvalue():
            raise BrokenPipeError
        return super().write(data)


class Full(io.BytesIO):
    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_standard_output_gets_the_rows_as_they_come() -> None:
    stream = io.BytesIO()
    writer = JsonlWriter(StdoutFile(stream), ["id"])
    writer.write({"id": "a", "text": "x"})
    assert stream.getvalue() == b'{"id":"a"}\n'
    writer.commit()
    writer.abort()
    writer.write({"id": "b"})
    assert stream.getvalue() == b'{"id":"a"}\n'


def test_a_reader_that_has_gone_is_no_error() -> None:
    stream = Closed()
    writer = JsonlWriter(StdoutFile(stream))
    for number in range(3):
        writer.write({"id": number})
    writer.commit()
    assert stream.getvalue() == b'{"id":0}\n'


def test_standard_output_on_a_full_disk_is_an_error() -> None:
    writer = JsonlWriter(StdoutFile(Full()))
    writer.write({"id": "a"})
    with pytest.raises(StorageError, match=r"^standard output: cannot be written: No space left on device"):
        writer.commit()
