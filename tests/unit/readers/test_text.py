"""What the reader of text files promises: a file a record, in whatever encoding."""

import bz2
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.readers import byte_lines
from asyncrun.readers.interface import BadRecord, Record
from asyncrun.readers.text import read_text

Write = Callable[..., Path]
GERMAN = "Die Bäume im Garten der Großmutter tragen süße Äpfel, die wir im Oktober pflücken und über den Winter in Körben lagern.\n"


@pytest.fixture
def written(tmp_path: Path) -> Write:
    def write(data: bytes, name: str = "input") -> Path:
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


def told(path: Path, encoding: str | None = None) -> Any:
    (record,) = read_text(path, "in", encoding=encoding)
    if isinstance(record, BadRecord):
        return str(record.place), record.reason, record.message
    return str(record.place), dict(record.fields)


def test_a_text_file_is_one_record_with_its_line_ends(written: Write) -> None:
    assert told(written(b"\xef\xbb\xbf# A\r\n\r\nb\n")) == ("in", {"text": "# A\r\n\r\nb\n"})
    assert told(written(b"")) == ("in", {"text": ""})


def test_a_text_file_above_the_limit_is_one_bad_record(written: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_lines, "LONGEST", 1024 * 1024)
    place, reason, message = told(written(b"x" * (1024 * 1024 + 1)))
    assert (place, reason) == ("in", "bad_record")
    assert message == "the file is longer than 1 MB; set format: lines if a line is a text"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_says_what_a_file_is(written: Write, encoding: str) -> None:
    mark = "" if encoding in ("utf-16", "utf-32", "utf-8-sig") else "\ufeff"
    (record,) = read_text(written((mark + GERMAN).encode(encoding)), "in")
    assert record == Record({"text": GERMAN}, record.place)


@pytest.mark.parametrize(
    ("text", "encoding", "guess"),
    [
        (GERMAN, "windows-1252", "windows-1252"),
        ("Все счастливые семьи похожи друг на друга. " * 3, "windows-1251", "windows-1251"),
        ("吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。", "shift_jis", "cp932"),
        ("An English text in sixteen bits. " * 4, "utf-16-le", "utf-16-le"),
    ],
)
@pytest.mark.parametrize("before", ["", "plain words, a line of them\n" * 10_000])
def test_a_file_that_is_not_utf8_is_guessed_and_that_is_said(written: Write, text: str, encoding: str, guess: str, before: str) -> None:
    (record,) = read_text(written((before + text).encode(encoding)), "in")
    assert isinstance(record, Record)
    assert record.fields == {"text": before + text}
    assert record.remark == f"not UTF-8, read as {guess} by a guess (input.encoding settles it)"


def test_an_encoding_that_is_named_is_not_guessed(written: Write) -> None:
    assert told(written("caf\xe9 \u0161".encode("iso8859-2", "replace")), "iso8859-2")[1]["text"].startswith("caf")
    assert told(written(b"good\nb\xe4d\n"), "utf-8") == (
        "in",
        "bad_text",
        "not utf-8: byte 0xe4 at offset 6 of the file (set `input.encoding`)",
    )


def test_what_is_no_text_is_one_bad_record(written: Write) -> None:
    picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\1\0\x08\6\0\0\0\\r\xa8f" + bytes(range(256)) * 8
    place, reason, message = told(written(picture))
    assert (place, reason) == ("in", "bad_text")
    assert message.startswith("not UTF-8: byte 0x89 at offset 0 of the file")


def test_without_the_extra_nothing_is_guessed_and_the_command_is_said(written: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chardet", None)
    place, reason, message = told(written(b"good\nb\xe4d\n"))
    assert (place, reason) == ("in", "bad_text")
    assert message == (
        "not UTF-8: byte 0xe4 at offset 6 of the file (set `input.encoding`, or have it guessed: pip install 'asyncrun[documents]')"
    )
    assert told(written(b"zeros \0 are UTF-8, too")) == ("in", {"text": "zeros \0 are UTF-8, too"})


def test_source_code_says_its_language(written: Write) -> None:
    assert told(written(b"fn main() {}", "a.RS")) == ("in", {"text": "fn main() {}", "language": "rust"})
    assert told(written(bz2.compress(b"x = 1"), "a.py.bz2")) == ("in", {"text": "x = 1", "language": "python"})
    assert told(written(b"x", "a.log")) == ("in", {"text": "x"})
