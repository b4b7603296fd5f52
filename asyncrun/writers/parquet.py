"""Writer of Parquet files: typed columns in row groups, the same bytes for the same rows."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from asyncrun.writers.atomic import AtomicFile

if TYPE_CHECKING:
    from typing_extensions import Buffer

_GROUP_ROWS = 4096
_GROUP_BYTES = 64 * 1024 * 1024
_JSON = pa.string()
_HIT = pa.struct(
    [
        ("id", pa.string()),
        ("doc_id", pa.string()),
        ("score", pa.float64()),
        ("text", pa.string()),
        ("metadata", _JSON),
        ("start", pa.int64()),
        ("end", pa.int64()),
    ]
)
_TYPES: Mapping[str, pa.DataType] = {
    "id": pa.string(),
    "embedding": pa.list_(pa.float32()),
    "text": pa.string(),
    "query": pa.string(),
    "answer": pa.string(),
    "finish_reason": pa.string(),
    "hits": pa.list_(_HIT),
    **dict.fromkeys(("doc_id", "source", "mark"), pa.string()),
    **dict.fromkeys(("ordinal", "start", "end"), pa.int64()),
}
"""Columns with a type of their own; all others (metadata, usage, citations, a plugin's) hold JSON, which takes any value back as it was."""


class ParquetWriter:
    """Writes rows into a Parquet file, 4096 rows a group, Zstandard.

    `embedding` is a list of float32, `hits` a list of structs, `id`, `text`, `query` and `answer` are strings, and so are the columns of a
    store's chunks, beside whole numbers (`start`, ...); every other column is a string with JSON in it, and so is an `answer` that is no
    text. The schema depends on the columns alone, not on the values: `columns`, or those of the first row.
    Nothing of the moment is written, so the same rows give the same bytes. For the file itself see `AtomicFile`.
    """

    def __init__(self, path: Path, columns: Sequence[str] | None = None) -> None:
        self._columns = columns
        self._rows: list[list[Any]] = []
        self._bytes = 0
        self._parquet: pq.ParquetWriter | None = None
        self._file = AtomicFile(path)

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row. Raises StorageError when the disk is full or fails."""
        if self._columns is None:
            self._columns = tuple(row)
        values = [_value(name, row.get(name)) for name in self._columns]
        self._rows.append(values)
        self._bytes += sum(len(value) for value in values if isinstance(value, str))
        if len(self._rows) >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._end_group()

    def commit(self) -> os.stat_result:
        """Make the rows durable and put the file in its place, which is returned. Raises OutputError, StorageError."""
        self._end_group()
        self._writer().close()
        return self._file.commit()

    def abort(self) -> None:
        """Throw the temporary file away; may be called after `commit` and twice."""
        if self._parquet is not None:
            # Its footer goes into the file that is thrown away; without this, it would try again when collected.
            with suppress(Exception):
                self._parquet.close()
            self._parquet = None
        self._file.abort()

    def _end_group(self) -> None:
        if not self._rows:
            return
        writer = self._writer()
        columns = zip(writer.schema, zip(*self._rows, strict=True), strict=True)
        arrays = [pa.array(values, type=field.type) for field, values in columns]
        writer.write_table(pa.Table.from_arrays(arrays, schema=writer.schema), row_group_size=_GROUP_ROWS)
        self._rows.clear()
        self._bytes = 0

    def _writer(self) -> pq.ParquetWriter:
        if self._parquet is None:
            names = self._columns or ("id",)
            schema = pa.schema([(name, _TYPES.get(name, _JSON)) for name in names])
            sink = pa.PythonFile(_Sink(self._file), mode="w")
            self._parquet = pq.ParquetWriter(sink, schema, compression="zstd", use_dictionary=False, write_statistics=["id"])
        return self._parquet


class _Sink(io.RawIOBase):
    """The atomic file as pyarrow wants it; closing it is no commit."""

    def __init__(self, file: AtomicFile) -> None:
        super().__init__()
        self._file = file
        self._written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: Buffer, /) -> int:
        written = self._file.write(bytes(data))
        self._written += written
        return written


def _value(name: str, value: Any) -> Any:
    if value is None or name == "embedding":
        return value
    if name == "hits":
        return [{**hit, "metadata": _json(hit.get("metadata"))} for hit in value]
    if name == "answer" and not isinstance(value, str):
        return _json(value)  # One that keeps a schema.
    return value if name in _TYPES else _json(value)


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
