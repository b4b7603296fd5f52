"""Rows of a query on an SQLite file become records, and the file is only read."""

import json
import sqlite3

import pytest

import asyncrun
from asyncrun.errors import Place, StorageError, UsageError
from asyncrun.readers.interface import BadRecord, Record
from asyncrun.readers.sql import SqliteRows


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "it's 100%?#.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        """CREATE TABLE articles (id INTEGER, body TEXT, year REAL, raw BLOB);
           INSERT INTO articles VALUES (1, 'Cats purr.', 2024.5, x'c3a4'), (2, 'Dogs bark.', NULL, x'ff00');"""
    )
    connection.close()
    return path


@pytest.fixture
def rows(path):
    made = []

    def of(sql, path=path):
        made.append(SqliteRows(path, sql))
        return made[-1]

    yield of
    for each in made:
        each.close()


def test_rows_are_records_with_the_columns_as_fields(rows):
    asked = rows("SELECT * FROM articles ORDER BY id")
    first, second = asked.records()
    assert first == Record({"id": 1, "body": "Cats purr.", "year": 2024.5, "raw": "ä"}, Place("query", 1))
    assert second == Record({"id": 2, "body": "Dogs bark.", "year": None, "raw": "\\xff00"}, Place("query", 2))


def test_every_pass_sees_the_same_rows(path, rows):
    asked = rows("SELECT id FROM articles")
    before = list(asked.records())
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM articles")
    connection.close()
    assert list(asked.records()) == before


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELEC 1", 'near "SELEC"'),
        ("SELECT never FROM articles", "no such column: never"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("SELECT 1 AS a, 2 AS a", "column 'a' is there twice"),
        ("BEGIN", "returns no rows"),
    ],
)
def test_a_query_that_cannot_be_carried_out_is_a_mistake(rows, sql, words):
    with pytest.raises(UsageError, match=words):
        rows(sql).load()


@pytest.mark.parametrize("sql", ["DELETE FROM articles RETURNING id", "CREATE TABLE mine (id)", "PRAGMA user_version = 7"])
def test_nothing_is_ever_written(path, rows, sql):
    before = path.read_bytes()
    with pytest.raises((StorageError, UsageError)):
        rows(sql).load()
    assert path.read_bytes() == before


def test_no_other_file_is_opened_or_made(rows, tmp_path):
    with pytest.raises(UsageError, match="not authorized"):
        list(rows(f"ATTACH '{tmp_path / 'other.db'}' AS other").records())
    assert not (tmp_path / "other.db").exists()


def test_a_file_that_is_none_is_told(tmp_path, rows):
    other = tmp_path / "other.db"
    other.write_text("no database, and longer than a header of one hundred bytes, so that nobody takes it for an empty file")
    for path in (other, tmp_path / "missing.db"):
        with pytest.raises(StorageError, match=path.name):
            rows("SELECT * FROM a", path).load()


def test_a_text_that_is_not_utf_8_is_one_bad_record(rows):
    good, bad = rows("SELECT 'fine' AS text UNION ALL SELECT CAST(x'ff' AS TEXT)").records()
    assert good.fields == {"text": "fine"}
    assert isinstance(bad, BadRecord)
    assert (bad.place, bad.reason) == (Place("query", 2), "bad_text")


def test_a_job_embeds_the_rows_of_a_query(path, tmp_path):
    path.rename(tmp_path / "data.db")
    job = {
        "name": "rows",
        "kind": "embed",
        "input": {"path": "data.db", "sql": "SELECT id, body, year FROM articles ORDER BY id", "text": "{body}", "metadata": ["year"]},
        "output": "out.jsonl",
    }
    report = asyncrun.run({"jobs": [job]}, folder=tmp_path)
    assert report.exit_code == 0
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [(row["id"], row["text"]) for row in written] == [("1", "Cats purr."), ("2", "Dogs bark.")]
    assert [row["metadata"] for row in written] == [{"year": 2024.5}, {"year": None}]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sql": "SELECT 1"}, "sql asks one database"),
        ({"sql": "SELECT 1", "path": ["a.db", "b.db"]}, "sql asks one database"),
        ({"sql": "SELECT 1", "path": "*.db"}, "sql asks one database"),
        ({"sql": "SELECT 1", "path": "a.db", "url": "postgresql://localhost"}, "sql asks one database"),
        ({"url": "postgresql://localhost"}, "url without sql"),
        ({"sql": "SELECT 1", "path": "a.db", "format": "csv"}, "no files"),
    ],
)
def test_what_does_not_go_together_is_a_mistake(tmp_path, given, words):
    job = {"name": "rows", "kind": "embed", "input": given, "output": "out.jsonl"}
    with pytest.raises(UsageError, match=words):
        asyncrun.run({"jobs": [job]}, folder=tmp_path)
