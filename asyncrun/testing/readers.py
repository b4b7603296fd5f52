"""The contract suite of readers: subclass `ReaderContract`, give it the fixtures `reader` and `path`, and run it with pytest."""

# ruff: noqa: D102, S101 - a suite for pytest: tests assert, and their names say what is promised

from __future__ import annotations

from pathlib import Path

import pytest

from asyncrun.errors import Reason, StorageError
from asyncrun.readers.interface import BadRecord, Reader, Record

SHOWN = "folder/as the user wrote it"


class ReaderContract:
    """What every reader promises. The fixture `reader` returns one, `path` a file of its format with a record at least.

    >>> from asyncrun.registry import load
    >>> class TestMine(ReaderContract):
    ...     @pytest.fixture
    ...     def reader(self):
    ...         return load("readers", "jsonl")
    ...     @pytest.fixture
    ...     def path(self, tmp_path):
    ...         (tmp_path / "a.jsonl").write_text('{"text": "one"}')
    ...         return tmp_path / "a.jsonl"
    """

    @pytest.fixture
    def reader(self) -> Reader:
        """Return the reader."""
        raise NotImplementedError

    @pytest.fixture
    def path(self) -> Path:
        """Return a file that it reads."""
        raise NotImplementedError

    def test_a_file_gives_records_each_with_its_place(self, reader: Reader, path: Path) -> None:
        records = list(reader(path, SHOWN))
        assert any(isinstance(record, Record) and record.fields for record in records)
        assert all(isinstance(record, Record | BadRecord) and record.place.file == SHOWN for record in records)
        lines = [record.place.line for record in records if record.place.line is not None]
        assert lines == sorted(lines)

    def test_a_file_gives_the_same_records_each_time(self, reader: Reader, path: Path) -> None:
        assert list(reader(path, SHOWN)) == list(reader(path, SHOWN))

    def test_records_come_one_after_the_other_and_reading_may_end_early(self, reader: Reader, path: Path) -> None:
        records = reader(path, SHOWN)
        assert iter(records) is records
        next(records)
        if hasattr(records, "close"):
            records.close()
        path.unlink()

    def test_a_file_that_is_not_there_is_an_error_about_storage(self, reader: Reader, path: Path) -> None:
        # Of a document: one bad record that says so, so that the ones beside it are read.
        try:
            [record] = reader(path.with_name("not-there"), SHOWN)
        except StorageError as error:
            assert error.message
        else:
            assert isinstance(record, BadRecord)
            assert record.reason == Reason.UNREADABLE

    @pytest.mark.parametrize("data", [b"", b"\x00\xff\xfe" * 1000, bytes(range(256)) * 20], ids=["nothing", "no text", "every byte"])
    def test_a_file_of_anything_gives_bad_records_or_an_error_about_storage(self, reader: Reader, path: Path, data: bytes) -> None:
        path.write_bytes(data)
        try:
            assert all(isinstance(record, Record | BadRecord) for record in reader(path, SHOWN))
        except StorageError as error:
            assert error.message
