"""Globs, templates and filters are read while the job file is: their mistakes have a place, and nothing runs before they are right."""

from __future__ import annotations

import pytest

QUERY = "jobs: [{name: a, kind: query, input: i, output: o.jsonl, filter: FILTER}]"
INPUT = "jobs: [{name: a, kind: embed, input: {path: i, WORDS}, output: o.jsonl}]"


def marked(text: str) -> tuple[str, str]:
    before = text[: text.index("§")]
    return text.replace("§", ""), f"f:1:{len(before) + 1}"


WRONG = {
    "a filter with ==": (QUERY.replace("FILTER", "§\"lang == 'en'\""), "jobs[0].filter: not a filter: position 7: expected a value"),
    "a filter that ends early": (
        QUERY.replace("FILTER", "§\"lang = 'en' and\""),
        "jobs[0].filter: not a filter: position 16: expected a field",
    ),
    "a filter with other quotes": (QUERY.replace("FILTER", "§'lang = \"en\"'"), "jobs[0].filter: not a filter: position 8: "),
    "a text with one brace": (INPUT.replace("WORDS", 'text: §"{title"'), "jobs[0].input.text: not a template '{title'"),
    "a text with an empty field": (INPUT.replace("WORDS", 'text: §"{title} {}"'), "jobs[0].input.text: not a template"),
    "an id with one brace": (INPUT.replace("WORDS", 'id: §"a}"'), "jobs[0].input.id: not a template 'a}'"),
    "a range that ends before it begins": (
        "jobs: [{name: a, kind: embed, input: §'[z-a].md', output: o.jsonl}]",
        "jobs[0].input: the pattern '[z-a].md' cannot be used",
    ),
    "the same among several": (
        "jobs: [{name: a, kind: embed, input: {path: [i, §'[z-a].md']}, output: o.jsonl}]",
        "jobs[0].input.path[1]: the pattern '[z-a].md' cannot be used",
    ),
    "the same among what is left out": (INPUT.replace("WORDS", "exclude: §'[z-a]'"), "jobs[0].input.exclude: the pattern '[z-a]' cannot"),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG)
def test_a_wrong_word_is_told_at_its_place(mistakes, text, expected):
    text, place = marked(text)
    (line,) = mistakes(text)
    assert line.startswith(f"{place}: {expected}")
    assert "; allowed: " in line


@pytest.mark.parametrize("text", [QUERY.replace("FILTER", "'${X}'"), INPUT.replace("WORDS", "text: '${X}'")])
def test_the_value_of_a_variable_is_not_shown(mistakes, text):
    (line,) = mistakes(text, environ={"X": "a = sentinel {"})
    assert "sentinel" not in line


@pytest.mark.parametrize("typed", ["text", "a.b", "{title}. {body.text}", "{{{a}}}"])
def test_what_is_a_template_is_fine(load, typed):
    assert load(INPUT.replace("WORDS", f"text: '{typed}'")).jobs[0].input.text == typed


def test_an_output_that_only_a_hidden_match_would_read_is_fine(load):
    """A wildcard matches no leading dot, here as when the files are read."""
    job_file = load("jobs: [{name: a, kind: embed, input: 'out/*.jsonl', output: out/.a.jsonl}]")
    assert job_file.jobs[0].needs == ()


def test_an_input_that_is_left_out_is_no_input(load):
    text = "jobs: [{name: a, kind: embed, input: {path: ['*.jsonl', b.jsonl], exclude: b.jsonl}, output: b.jsonl}]"
    assert load(text).jobs[0].needs == ()
