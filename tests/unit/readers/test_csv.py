"""What is promised about CSV and TSV."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import Place, StorageError
from asyncrun.readers.csv import read_csv, read_tsv
from asyncrun.readers.interface import BadRecord, Record
from asyncrun.writers.csv import CsvWriter

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def read(path: Path) -> list[tuple[int | None, dict[str, str] | str]]:
    reader = read_tsv if ".tsv" in path.name else read_csv
    return [(r.place.line, dict(r.fields) if isinstance(r, Record) else f"{r.reason}: {r.message}") for r in reader(path, path.name)]


def written(folder: Path, data: bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_a_row_is_a_record_at_the_line_where_it_begins(tmp_path: Path) -> None:
    path = written(tmp_path, b'\xef\xbb\xbfid,text\r\n1,"two\r\nlines"\r\n\r\n2,plain\r\n3\r\n')
    assert read(path) == [(2, {"id": "1", "text": "two\r\nlines"}), (5, {"id": "2", "text": "plain"}), (6, {"id": "3"})]


def test_tabs_and_compression(tmp_path: Path) -> None:
    path = written(tmp_path, gzip.compress(b"id\ttext\n1\ta, b\n"), "a.tsv.gz")
    assert read(path) == [(2, {"id": "1", "text": "a, b"})]


def test_a_bad_row_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    path = written(tmp_path, b'id,text\n1,a,b\n2,"x"y\n3,caf\xe9\n4,good\n5,"never closed\n6,lost\n')
    assert read(path) == [
        (2, "bad_record: 3 fields, the header has 2"),
        (3, "bad_record: not CSV: ',' expected after '\"'"),
        (4, "bad_text: not UTF-8: byte 0xe9 in the row; set `input.encoding` to what it is"),
        (5, {"id": "4", "text": "good"}),
        (6, "bad_record: a quotation mark is never closed"),
    ]


def test_a_field_may_be_huge(tmp_path: Path) -> None:
    path = written(tmp_path, b"id,text\n1," + b"x" * 3_000_000 + b"\n")
    [(line, fields)] = read(path)
    assert line == 2
    assert isinstance(fields, dict)
    assert len(fields["text"]) == 3_000_000


def test_a_name_that_stands_twice_in_the_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"a\.csv:1: the header has the field 'text' twice"):
        read(written(tmp_path, b"text,text\na,b\n"))


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    assert read(written(tmp_path, b"")) == []
    assert read(written(tmp_path, b"id,text\n")) == []


@given(st.lists(st.tuples(TEXT, TEXT), max_size=8))
def test_what_the_writer_writes_comes_back_here_and_in_pythons_reader(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    path = tmp_path_factory.mktemp("csv") / "out.csv"
    writer = CsvWriter(path, ["id", "text"])
    for name, text in rows:
        writer.write({"id": name, "text": text})
    writer.commit()
    assert [r for r in read_csv(path, "out.csv") if isinstance(r, BadRecord)] == []
    assert [tuple(fields.values()) for _, fields in read(path) if isinstance(fields, dict)] == rows
    assert list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))[1:] == [list(row) for row in rows]


def test_another_delimiter_and_encoding(tmp_path: Path) -> None:
    path = written(tmp_path, 'id;text\n1;"a; Äpfel, b"\n2;süß\n'.encode("utf-16"))
    records = list(read_csv(path, "a", delimiter=";", encoding="utf-16"))
    assert records == [Record({"id": "1", "text": "a; Äpfel, b"}, Place("a", 2)), Record({"id": "2", "text": "süß"}, Place("a", 3))]
    bad = list(read_csv(written(tmp_path, b"id;text\n1;\x81\n2;b\n"), "a", delimiter=";", encoding="windows-1252"))
    assert bad == [BadRecord(Place("a", 2), "bad_text", "the row is not windows-1252"), Record({"id": "2", "text": "b"}, Place("a", 3))]


def test_a_field_of_a_megabyte_and_rows_of_every_length(tmp_path: Path) -> None:
    big = "x" * 1_000_000
    path = written(tmp_path, f"id,text,more\n1,{big},\n2\n3,t\n4,t,m\n5,t,m,extra\n6,t,m\n".encode())
    assert read(path) == [
        (2, {"id": "1", "text": big, "more": ""}),
        (3, {"id": "2"}),
        (4, {"id": "3", "text": "t"}),
        (5, {"id": "4", "text": "t", "more": "m"}),
        (6, "bad_record: 4 fields, the header has 3"),
        (7, {"id": "6", "text": "t", "more": "m"}),
    ]
