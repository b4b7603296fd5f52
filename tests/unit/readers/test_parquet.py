"""What is promised about Parquet as an input."""

from __future__ import annotations

from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asyncrun.errors import StorageError
from asyncrun.readers.item_source import ItemSource
from asyncrun.readers.parquet import read_parquet
from asyncrun.records import Item

WITHIN = pa.struct([("made", pa.timestamp("ns")), ("price", pa.decimal128(5, 2))])


def written(folder: Path, rows: int = 5000) -> Path:
    path = folder / "a.parquet"
    table = pa.table(
        {"id": [f"n{n}" for n in range(rows)], "text": [f"text {n}" for n in range(rows)], "meta": [{"n": n} for n in range(rows)]}
    )
    pq.write_table(table, path, row_group_size=700)
    return path


def test_each_row_is_a_record_at_its_number_over_all_row_groups(tmp_path: Path) -> None:
    records = list(read_parquet(written(tmp_path), "a.parquet"))
    assert [record.place.line for record in records] == list(range(1, 5001))
    assert records[4999].fields == {"id": "n4999", "text": "text 4999", "meta": {"n": 4999}}


def test_what_is_no_parquet_or_damaged_or_has_a_column_twice_ends_the_reading(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    for data in (b"", b"text", whole[: len(whole) // 2], b"PAR1" + bytes(len(whole) // 2) + whole[len(whole) // 2 + 4 :]):
        path.write_bytes(data)
        with pytest.raises(StorageError, match=r"a\.parquet"):
            list(read_parquet(path, "a.parquet"))
    pq.write_table(pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"]), path)
    with pytest.raises(StorageError, match="twice"):
        list(read_parquet(path, "a.parquet"))


def test_nanoseconds_are_read_as_microseconds_and_exact_decimals_as_texts(tmp_path: Path) -> None:
    columns = {
        "made": pa.array([1_000_000_001], pa.timestamp("ns", "UTC")),
        "at": pa.array([1_000_000_001], pa.time64("ns")),
        "price": pa.array([Decimal("1.10")]),
        "id": pa.array([Decimal("12345678901234567890123")]),
        "within": pa.array([[{"made": 1_001, "price": Decimal("1.10")}]], pa.list_(WITHIN)),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    [record] = read_parquet(tmp_path / "a.parquet", "a.parquet")
    assert record.fields == {
        "made": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        "at": time(0, 0, 1),
        "price": "1.10",
        "id": "12345678901234567890123",
        "within": [{"made": datetime(1970, 1, 1, 0, 0, 0, 1), "price": "1.10"}],
    }


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
def test_texts_that_an_older_writer_did_not_call_so_are_read_as_utf_8_and_what_is_none_is_a_bad_row(
    tmp_path: Path, kind: pa.DataType
) -> None:
    columns = {
        name: pa.array(values, kind) for name, values in {"id": [b"a", b"b", b"\xff"], "text": ["né".encode(), b"\xff", b"c"]}.items()
    }
    pq.write_table(pa.table({**columns, "picture": pa.array([b"\x89PNG", None, None], kind)}), tmp_path / "a.parquet")
    good, *bad = ItemSource(tmp_path, ("a.parquet",)).items()
    assert isinstance(good, Item)
    assert (good.id, good.text) == ("a", "né")
    assert [(item.id, str(item.place), getattr(item, "message", None)) for item in bad] == [
        ("b", "a.parquet:2", "the field 'text' is binary data, not a text in UTF-8"),
        ("a.parquet#3", "a.parquet:3", "the field 'id' is binary data, not a text in UTF-8"),
    ]


def test_a_date_that_no_calendar_has_ends_the_reading(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["one"], "at": pa.array([2**62], pa.timestamp("us"))}), tmp_path / "a.parquet")
    with pytest.raises(StorageError, match=r"a\.parquet: a value after row 0 cannot be read: "):
        list(read_parquet(tmp_path / "a.parquet", "a.parquet"))
