"""What an input says of how its files are read is checked: known, and of use."""

from __future__ import annotations

import pytest

MISTAKES = {
    "an encoding for a database": (
        "jobs: [{name: a, kind: embed, input: §{path: a.db, sql: select 1, encoding: utf-16}, output: o.jsonl}]",
        "jobs[0].input: the rows of a query are no files; allowed: sql with url or path, text, id, metadata",
    ),
    "unknown encoding": (
        "jobs: [{name: a, kind: embed, input: {path: i.txt, encoding: §klingon}, output: o.jsonl}]",
        "jobs[0].input.encoding: the text 'klingon' stands here; allowed: utf-8, windows-1252, utf-16, shift_jis",
    ),
    "an encoding that makes no text": (
        "jobs: [{name: a, kind: embed, input: {path: i.txt, encoding: §base64}, output: o.jsonl}]",
        "jobs[0].input.encoding: the text 'base64' stands here; allowed:",
    ),
    "a delimiter of two characters": (
        "jobs: [{name: a, kind: embed, input: {path: i.csv, delimiter: §'||'}, output: o.jsonl}]",
        "jobs[0].input.delimiter: the text '||' stands here; allowed: one character, such as ';', or \\t",
    ),
    "a delimiter for what has none": (
        "jobs: [{name: a, kind: embed, input: {path: '-', §delimiter: ';'}, output: o.jsonl}]",
        "jobs[0].input.delimiter: jsonl: it is not used; allowed: one for csv, tsv",
    ),
    "an encoding for what says its own": (
        "jobs: [{name: a, kind: embed, input: {path: i, format: parquet, §encoding: utf-16}, output: o.jsonl}]",
        "jobs[0].input.encoding: parquet: it is not used; allowed: one for csv, html, jsonl, lines, markdown, text, tsv",
    ),
    "an encoding for items in place": (
        "jobs: [{name: a, kind: embed, input: {items: [a], §encoding: utf-16}, output: o.jsonl}]",
        "jobs[0].input.encoding: items in place: it is not used; allowed: one for",
    ),
}


@pytest.mark.parametrize(("text", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be_or_is_of_no_use_is_a_mistake(mistakes, text, expected):
    (line,) = mistakes(text.replace("§", ""))
    assert line.startswith(f"f:1:{text.index('§') + 1}: {expected}")


@pytest.mark.parametrize(
    ("given", "delimiter"),
    [("path: a.csv, delimiter: ';'", ";"), (r"path: a.tsv, delimiter: \t", "\t"), ("path: 'in/*', delimiter: ';', encoding: UTF-16", ";")],
)
def test_what_may_be_of_use_is_none(load, given, delimiter):
    (job,) = load(f"jobs: [{{name: a, kind: embed, input: {{{given}}}, output: o.jsonl}}]").jobs
    assert job.input.delimiter == delimiter
