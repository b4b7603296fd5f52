"""Rows of a query on PostgreSQL become records, whatever their types, and the password is shown nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from urllib.parse import quote

import pytest

from asyncrun.errors import AuthError, StorageError, TryLaterError, UsageError
from tests.postgres import PASSWORD

pytestmark = pytest.mark.needs("postgresql")


@pytest.fixture
def rows(postgres):
    from asyncrun.readers.sql import PostgresRows

    made = []

    def of(sql, url=None):
        made.append(PostgresRows(url or postgres.url, sql))
        return made[-1]

    yield of
    for each in made:
        each.close()


def test_values_of_every_type_have_a_form_in_json(rows):
    sql = """SELECT 1::bigint AS i, 1.50::numeric AS n, 0.5::float8 AS f, true AS b, null AS z, 'ü%s' AS t, '\\x00ff'::bytea AS raw,
             date '2024-02-03' AS d, timestamptz '2024-02-03 04:05:06+02' AS at, '{"a": [1, "x"]}'::jsonb AS j, array[1, 2] AS l,
             '6ab1a2c8-0000-4000-8000-000000000000'::uuid AS u, interval '1 day' AS span, int4range(1, 5) AS r, 'NaN'::float8 AS nan"""
    (record,) = rows("SET timezone = 'UTC'" and sql).records()
    fields = dict(record.fields)
    assert fields.pop("at").startswith("2024-02-03T0")
    assert fields == {
        **{"i": 1, "n": "1.50", "f": 0.5, "b": True, "z": None, "t": "ü%s", "raw": "\\x00ff", "d": "2024-02-03", "j": {"a": [1, "x"]}},
        **{"l": [1, 2], "u": "6ab1a2c8-0000-4000-8000-000000000000", "span": "1 day, 0:00:00", "r": "[1, 5)", "nan": None},
    }
    assert str(record.place) == "query:1"


def test_many_rows_come_in_order_and_twice_the_same(rows):
    asked = rows("SELECT g AS id, 'text ' || g AS text FROM generate_series(1, 5000) AS g ORDER BY g")
    assert [record.fields["id"] for record in asked.records()] == list(range(1, 5001))
    assert list(asked.records()) == list(asked.records())


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT nothing", 'character 8: column "nothing" does not exist'),
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM never", 'character 15: relation "never"'),
        ("SELECT 1 AS a, 2 AS a", "column 'a' is there twice"),
        ("SELECT 1/0 AS a", "division by zero"),
        ("DELETE FROM pg_class", "syntax error"),
    ],
)
def test_a_query_that_cannot_be_carried_out_is_a_mistake_with_its_place(rows, sql, words):
    with pytest.raises(UsageError, match=words):
        rows(sql).load()


def test_nothing_can_be_written(postgres, rows):
    postgres.run("CREATE SEQUENCE counted")
    with pytest.raises(StorageError, match="only be read"):
        rows("SELECT nextval('counted')").load()


def test_who_is_not_let_in_or_finds_nobody_is_told_without_a_password(postgres, rows):
    for url, kind in (
        (postgres.url_with(PASSWORD + "x"), AuthError),
        (postgres.url_with(database="never"), StorageError),
        (f"postgresql://me:{quote(PASSWORD, safe='')}@127.0.0.1:1/x", TryLaterError),
        (f"postgresql://me:{PASSWORD}@127.0.0.1/x", UsageError),
    ):
        with pytest.raises(kind) as caught:
            rows("SELECT 1", url).load()
        told = str(caught.value) + caught.value.hint + str(caught.value.__cause__ or "")
        assert not any(piece in told for piece in (PASSWORD, quote(PASSWORD, safe=""), PASSWORD[:6], PASSWORD[-8:]))
    assert [record.fields for record in rows("SELECT 1 AS one", postgres.url_with()).records()] == [{"one": 1}]


def test_the_command_line_embeds_the_rows_of_a_query(postgres, tmp_path):
    given = {"url": "${DATABASE_URL}", "sql": "SELECT g AS id, 'text ' || g AS text FROM generate_series(1, 3) AS g"}
    job = {"name": "rows", "kind": "embed", "input": given, "output": "out.jsonl"}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    ran = subprocess.run(
        [sys.executable, "-m", "asyncrun", "run", "--json"],
        cwd=tmp_path,
        env={**os.environ, "DATABASE_URL": postgres.url_with()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert [json.loads(line)["id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == ["1", "2", "3"]
