"""What is promised about bytes: line ends, marks, compression, and one clear error for what cannot be read."""

import bz2
import gzip
import lzma
import os
import sys
import tracemalloc
from functools import partial
from pathlib import Path

import pytest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from asyncrun.errors import MissingExtraError, Reason, StorageError
from asyncrun.readers import byte_lines
from asyncrun.readers.interface import BadRecord
from asyncrun.readers.lines import read_lines
from asyncrun.readers.parquet import read_parquet
from asyncrun.readers.text import read_text

PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": partial(lzma.compress, preset=0), ".zst": zstd.compress}


def lines(path: Path) -> list[tuple[int, bytes | None]]:
    return list(byte_lines.numbered_lines(path, "shown"))


@pytest.mark.parametrize("ending", ["", *PACK])
def test_reads_through_compression_by_name(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(PACK.get(ending, bytes)(b"one\ntwo"))
    assert lines(path) == [(1, b"one"), (2, b"two")]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", [b"a", b"\xef\xbb\xbfb"]),
        (b"\n\na\n", [b"", b"", b"a"]),
        (b"a\rb\n", [b"a\rb"]),
        ("a\u2028b\x85c".encode(), ["a\u2028b\x85c".encode()]),
    ],
)
def test_a_line_ends_with_a_line_feed_and_nothing_else(tmp_path: Path, data: bytes, expected: list[bytes]) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    assert lines(path) == list(enumerate(expected, 1))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_a_line_above_the_limit_is_passed_over_and_the_next_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: bytes) -> None:
    monkeypatch.setattr(byte_lines, "LONGEST", 10)
    path = tmp_path / "a"
    path.write_bytes(b"0123456789\r\n" + b"x" * 5000 + b"\n" + b"0123456789x\n" + b"end" + end)
    assert lines(path) == [(1, b"0123456789"), (2, None), (3, None), (4, b"end")]


def test_the_limit_is_64_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(byte_lines.LONGEST + 1)
        file.seek(0, 2)
        file.write(b"\nnext\n")
    assert byte_lines.LONGEST == 64 * 1024 * 1024
    assert [number for number, line in byte_lines.numbered_lines(path, "a") if line is None] == [1]


def unreadable(path: Path) -> tuple[str, str]:
    """Where and why a document cannot be read, which is one item that fails."""
    (record,) = read_text(path, "data/a")
    assert isinstance(record, BadRecord)
    assert record.reason == Reason.UNREADABLE
    return record.place.file, record.message


@pytest.mark.parametrize("ending", list(PACK))
def test_a_truncated_archive_is_an_error_with_its_place_after_the_lines_before(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.txt{ending}"
    packed = PACK[ending](b"".join(b"line %d %d\n" % (number, number**3) for number in range(100_000)))
    path.write_bytes(packed[: len(packed) * 2 // 3])
    seen = []
    with pytest.raises(StorageError) as caught:
        seen.extend(read_lines(path, "data/a.txt"))
    assert seen
    assert str(caught.value).startswith(f"data/a.txt:{len(seen) + 1}: cannot be read to its end: ")
    assert unreadable(path) == ("data/a", str(caught.value).partition(": ")[2])


@pytest.mark.parametrize("ending", list(PACK))
def test_what_only_calls_itself_an_archive_is_an_error(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(b"plain text that is no archive\n" * 20)
    with pytest.raises(StorageError, match=r"a\.txt: cannot be read"):
        list(read_lines(path, "a.txt"))


def test_damaged_bytes_inside_an_archive_are_an_error(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(bytes(range(256)) * 400, mtime=0))
    packed[len(packed) // 2] ^= 0xFF
    (tmp_path / "a.gz").write_bytes(packed)
    with pytest.raises(StorageError):
        lines(tmp_path / "a.gz")


def test_a_file_that_is_gone_or_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="shown: cannot be read to its end: No such file"):
        lines(tmp_path / "gone")
    assert unreadable(tmp_path) == ("data/a", "cannot be read to its end: Is a directory")


def test_a_file_that_was_replaced_by_a_fifo_is_an_error_and_no_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "items")
    with pytest.raises(StorageError, match="items: cannot be read to its end: it is not a regular file"):
        list(read_lines(tmp_path / "items", "items"))
    assert unreadable(tmp_path / "items") == ("data/a", "cannot be read to its end: it is not a regular file")
    with pytest.raises(StorageError, match="items: cannot be read: it is not a regular file"):
        list(read_parquet(tmp_path / "items", "items"))


def test_leaving_early_closes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one\ntwo\n")
    rows = byte_lines.numbered_lines(path, "a")
    assert next(rows) == (1, b"one")
    del rows  # A file left open fails the test.


@pytest.mark.parametrize("ending", list(PACK))
def test_an_archive_of_several_parts_is_one_text(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(PACK[ending](b"one\ntw") + PACK[ending](b"o\nthree\n"))
    assert lines(path) == [(1, b"one"), (2, b"two"), (3, b"three")]


@pytest.mark.parametrize("ending", list(PACK))
def test_an_archive_that_grows_a_thousandfold_is_read_in_little_memory(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.txt{ending}"
    path.write_bytes(PACK[ending]((b"x" * (512 * 1024 - 1) + b"\n") * 64))
    tracemalloc.start()
    assert sum(1 for _ in byte_lines.numbered_lines(path, "a")) == 64
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 1024 * 1024


def test_zst_without_its_extra_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.jsonl.zst").write_bytes(zstd.compress(b"{}"))
    monkeypatch.setattr(byte_lines, "find_zstd", lambda: None)
    with pytest.raises(MissingExtraError) as caught:
        lines(tmp_path / "a.jsonl.zst")
    assert caught.value.hint == "Install it: pip install 'asyncrun[zstd]'."
