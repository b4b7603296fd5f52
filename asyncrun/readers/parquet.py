"""Reader of Parquet files: a record a row, read by row groups, so that memory holds one group and not the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from asyncrun.errors import Place, StorageError, os_words
from asyncrun.readers.byte_lines import check_regular
from asyncrun.readers.interface import BadRecord, Record

_ROWS_AT_ONCE = 1024


def read_parquet(path: Path, shown: str) -> Iterator[Record | BadRecord]:
    """Yield a record a row; its place is the number of the row, from 1. Raises StorageError when the file cannot be read to its end."""
    number = 0
    try:
        check_regular(path)
        # Not the path itself: a file that is replaced while it is read stays the one that was opened.
        with path.open("rb") as file, pq.ParquetFile(file) as table:
            _check(table.schema_arrow.names, shown)
            plain = pa.schema([column.with_type(_plain(column.type)) for column in table.schema_arrow])
            binary = [column.name for column in plain if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)]
            for batch in table.iter_batches(_ROWS_AT_ONCE):
                for fields in batch.cast(plain, safe=False).to_pylist():
                    number += 1
                    for name in binary:
                        fields[name] = _decoded(fields[name])
                    yield Record(fields, Place(shown, number))
    except UnicodeDecodeError as error:
        raise StorageError(f"a text after row {number} is not UTF-8: {error.reason}", place=Place(shown)) from error
    except OSError as error:
        raise StorageError(f"cannot be read: {os_words(error)}", place=Place(shown)) from error
    except pa.ArrowException as error:
        raise StorageError(f"not Parquet, or damaged after row {number}: {error}", place=Place(shown)) from error
    except (ValueError, OverflowError) as error:
        raise StorageError(f"a value after row {number} cannot be read: {error}", place=Place(shown)) from error


def _plain(column: pa.DataType) -> pa.DataType:
    """Return the type by which a column is read: Python knows no nanoseconds, and JSON no exact decimals, which become texts."""
    if pa.types.is_timestamp(column):
        return pa.timestamp("us", column.tz)
    if pa.types.is_time64(column):
        return pa.time64("us")
    if pa.types.is_struct(column):
        return pa.struct([column.field(at).with_type(_plain(column.field(at).type)) for at in range(column.num_fields)])
    if pa.types.is_list(column):
        return pa.list_(column.value_field.with_type(_plain(column.value_type)))
    return pa.string() if pa.types.is_decimal(column) else column


def _decoded(value: bytes | None) -> str | bytes | None:
    """Return the text that an older writer stored without saying that it is one; what is not UTF-8, such as a picture, stays as it is."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _check(names: list[Any], shown: str) -> None:
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise StorageError(f"the column {twice!r} is there twice", place=Place(shown), hint="Rename one of the two columns.")
