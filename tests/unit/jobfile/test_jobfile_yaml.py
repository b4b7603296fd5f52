"""YAML that cannot be read, or that two readers would read differently, is refused with its place and a way out."""

from __future__ import annotations

import pytest

from asyncrun.errors import JobFileError
from asyncrun.jobfile import yaml_parser as composing
from asyncrun.jobfile.yaml_parser import compose
from asyncrun.jobfile.yaml_tree import UnclearScalarError, read_plain

REFUSED = {
    "variable without quotes": ("a: {k: §${X}}", 'a variable inside {...} or [...] must stand in quotes; allowed: "${X}"'),
    "variable in a list": ("a: [x, §${X:-y}]", 'a variable inside {...} or [...] must stand in quotes; allowed: "${X:-y}"'),
    "variable in a word": ("a: {k: docs/§${X}/b}", 'a variable inside {...} or [...] must stand in quotes; allowed: "${X}"'),
    "tab": ("a:\n§\tb: 1", "a tab is used for indentation; allowed: spaces"),
    "two colons": ("a: b§: c", "': ' cannot stand here; allowed: a text with ': ' in quotes"),
    "a dash alone": ("input: §-", "'-' cannot stand here; allowed: a list on lines of its own, or \"-\" in quotes"),
    "at sign": ("a: §@b", "a value cannot begin with '@' unless it stands in quotes"),
    "tab below a text": ("a:\n  b: x\n§\tc: y", "a tab is used for indentation; allowed: spaces"),
    "backtick": ("a: §`b`", "a value cannot begin with '`' unless it stands in quotes"),
    "open quote": ("a: 'b§", "not valid YAML, while scanning a quoted scalar that begins on line 1, found unexpected end of stream"),
    "a key without its colon at the end": ("a: 1\nb§", "not valid YAML, while scanning a simple key that begins on line 2"),
    "two documents": ("a: 1\n§---\nb: 1", "a second document begins here; a job file is one document"),
    "key that is a list": ("? §[a]\n: b", "a key is a word, not a list or a mapping"),
    "alias without anchor": ("a: §*b", "a: the alias *b has no anchor &b before it"),
    "alias in its own anchor": ("a: &a [§*a]", "a[0]: the alias *a stands inside its own anchor"),
    "NUL": ("a: b§\0", "the character U+0000 cannot stand in a job file; allowed: text in UTF-8"),
    "escape sequence": ("a:\r\n  b: §\x1b[31m", "the character U+001B cannot stand in a job file"),
    "lone surrogate": ("a: §\ud800", "the character U+D800 cannot stand in a job file"),
}
LOADERS = ["CSafeLoader", "SafeLoader"]


def marked(text: str) -> tuple[str, str]:
    before = text[: text.index("§")]
    return text.replace("§", ""), f"f:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


@pytest.fixture(params=LOADERS)
def each_parser(request, monkeypatch):
    monkeypatch.setattr(composing, "_LOADER", getattr(composing.yaml, request.param))


def refusal(text: str) -> str:
    with pytest.raises(JobFileError) as caught:
        compose(text, "f")
    return str(caught.value.mistakes[-1])


@pytest.mark.parametrize(("text", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_at_its_place(each_parser, text, expected):
    text, place = marked(text)
    assert refusal(text).startswith(f"{place}: {expected}")


TOLD = {
    "key twice": ("a: 1\nb: 2\n§a: 3", "a: written twice; the first stands on line 1"),
    "key twice, deep": ("a:\n- {b: 1, §b: 2}", "a[0].b: written twice; the first stands on line 2"),
    "python tag": ("a: §!!python/object/apply:os.system [ls]", "a: tags are not obeyed in a job file"),
    "tag on a text": ("a: [§!secret x]", "a[0]: tags are not obeyed in a job file"),
    "merge of a text": ("a: §{<<: x}", "a: '<<' takes a mapping or a list of mappings"),
}


@pytest.mark.parametrize(("text", "expected"), TOLD.values(), ids=TOLD)
def test_what_does_not_hide_the_rest_is_told_with_the_rest(each_parser, text, expected):
    text, place = marked(text)
    _, mistakes = compose(text, "f")
    assert [str(mistake).startswith(f"{place}: {expected}") for mistake in mistakes] == [True]


@pytest.mark.parametrize("text", ["", "\n\n", "# only\n# comments\n", "---\n", "---\n...\n", "~"])
def test_an_empty_file_says_so(mistakes, text):
    assert mistakes(text)[0].startswith("f:1:1: ")
    assert len(mistakes(text)) == 1


@pytest.mark.parametrize("levels", [41, 100_000])
@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused(each_parser, opening, levels):
    text = opening * levels
    assert "nested deeper than 40 levels" in refusal(text)


def test_aliases_that_explode_are_refused():
    rows = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    rows += [f"{name}: &{name} [{', '.join(['*' + before] * 9)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)]
    assert "the aliases of this file unfold to more than 10000 values" in refusal("\n".join(rows))


def test_aliases_do_not_get_around_the_depth():
    rows = ["a: &a " + "[" * 30 + "]" * 30, "b: " + "[" * 30 + "*a" + "]" * 30]
    assert "nested deeper than 40 levels" in refusal("\n".join(rows))


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_break_counts_as_one_line(each_parser, separator):
    text = separator.join(["a: 1", "b: 2", "a: 3"])
    _, (mistake,) = compose(text, "f")
    assert (mistake.place.line, mistake.place.column) == (3, 1)


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        *(("", None), ("~", None), ("null", None), ("no", False), ("On", True), ("TRUE", True), ("5", 5), ("-5", -5), ("0", 0)),
        *(("1_000", 1000), ("0x1f", 31), ("0o17", 15), ("0b11", 3), ("1e3", 1000.0), (".5", 0.5), ("5.", 5.0), ("1.2.3", "1.2.3")),
        *(("2024-01-01", "2024-01-01"), ("10MB", "10MB"), ("1%", "1%"), ("y", "y"), (".", "."), ("-", "-"), ("e5", "e5")),
    ],
)
def test_plain_scalars_are_read(typed, value):
    found = read_plain(typed)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("typed", "way_out"),
    [
        ("0123", 'write it without the leading zero, or as "0123"'),
        ("12:30", 'write 750, or the text as "12:30"'),
        ("-1:00:00", 'write -3600, or the text as "-1:00:00"'),
        (".inf", 'write the text as ".inf"'),
        ("1e999", 'write the text as "1e999"'),
        ("9" * 5000, "write the text in quotes"),
    ],
)
def test_a_scalar_with_two_meanings_is_refused(typed, way_out):
    with pytest.raises(UnclearScalarError) as caught:
        read_plain(typed)
    assert way_out in str(caught.value)
