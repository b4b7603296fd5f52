"""What Parquet outputs promise: types that do not depend on the values, every value back, the same bytes again."""

import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import StorageError
from asyncrun.writers.parquet import ParquetWriter

EMBED = ("id", "embedding", "text", "metadata")
HIT = {"id": "d#0", "doc_id": "d", "score": 0.5, "text": "t", "metadata": {"lang": "en"}, "start": 0, "end": 1}


def rows(count: int) -> list[dict[str, Any]]:
    floats = np.random.default_rng(7).standard_normal((count, 8)).astype(np.float32)
    return [{"id": f"{n}", "embedding": floats[n], "text": f"text {n}", "metadata": {"n": n, "tags": ["a", None]}} for n in range(count)]


def written(path: Path, rows: list[dict[str, Any]], columns: tuple[str, ...] | None = None) -> Path:
    writer = ParquetWriter(path, columns)
    for row in rows:
        writer.write(row)
    writer.commit()
    return path


def test_embeddings_texts_and_metadata_come_back(tmp_path: Path) -> None:
    table = pq.read_table(written(tmp_path / "a.parquet", rows(10_000)))
    assert table.schema.names == list(EMBED)
    assert table.schema.field("embedding").type == pa.list_(pa.float32())
    back = table.to_pylist()
    for row, again in zip(rows(10_000), back, strict=True):
        assert again["id"] == row["id"]
        assert again["embedding"] == row["embedding"].tolist()
        assert json.loads(again["metadata"]) == row["metadata"]
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 3


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    first = written(tmp_path / "a.parquet", rows(5000)).read_bytes()
    assert written(tmp_path / "b.parquet", rows(5000)).read_bytes() == first


def test_answers_to_queries_come_back(tmp_path: Path) -> None:
    query = {"id": "q", "query": "?", "hits": [HIT, {**HIT, "metadata": {}}], "answer": None, "citations": None, "usage": {"tokens": 3}}
    none = {"id": "r", "query": "?", "hits": [], "answer": "yes", "citations": ["d#0"], "usage": None}
    first, second = pq.read_table(written(tmp_path / "a.parquet", [query, none])).to_pylist()
    assert first == {**query, "hits": [{**HIT, "metadata": '{"lang":"en"}'}, {**HIT, "metadata": "{}"}], "usage": '{"tokens":3}'}
    assert second == {**none, "citations": '["d#0"]'}


def test_the_schema_is_the_same_whatever_the_rows_are(tmp_path: Path) -> None:
    full = pq.read_schema(written(tmp_path / "a.parquet", rows(1), EMBED))
    empty = written(tmp_path / "b.parquet", [], EMBED)
    assert pq.read_schema(empty) == full
    assert pq.read_table(empty).num_rows == 0
    nothing = [{"id": "a", "embedding": None, "text": None, "metadata": None}]
    assert pq.read_schema(written(tmp_path / "c.parquet", nothing)) == full
    assert pq.read_table(written(tmp_path / "d.parquet", [])).schema.names == ["id"]


def test_columns_choose_and_order(tmp_path: Path) -> None:
    table = pq.read_table(written(tmp_path / "a.parquet", rows(2), ("text", "id", "more")))
    assert table.to_pylist() == [{"text": "text 0", "id": "0", "more": None}, {"text": "text 1", "id": "1", "more": None}]


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
)
def test_any_metadata_come_back(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = written(tmp_path_factory.mktemp("any") / "a.parquet", [{"id": "a", "metadata": {"value": value}}])
    assert json.loads(pq.read_table(path).to_pylist()[0]["metadata"]) == {"value": value}


def test_abort_leaves_the_former_file(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", rows(3))
    former = path.read_bytes()
    for count in (0, 1, 5000):
        writer = ParquetWriter(path)
        for row in rows(count):
            writer.write(row)
        writer.abort()
        writer.abort()
    assert path.read_bytes() == former
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_an_error_and_leaves_the_former_file(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", rows(3))
    former = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    writer = ParquetWriter(path)
    try:
        with pytest.raises(StorageError, match="the output cannot be written: File too large"):
            for row in rows(60_000):
                writer.write(row)
        writer.abort()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == former
    assert list(tmp_path.iterdir()) == [path]


def test_large_texts_end_a_row_group_early(tmp_path: Path) -> None:
    large = [{"id": str(n), "text": "x" * 30_000_000} for n in range(4)]
    assert pq.ParquetFile(written(tmp_path / "a.parquet", large)).num_row_groups == 2
