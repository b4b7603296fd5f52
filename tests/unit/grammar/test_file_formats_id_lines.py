from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.grammar.file_formats import id_line, parse_ids

SEPARATORS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
IDS = st.text(st.one_of(st.characters(), st.sampled_from(SEPARATORS + ' \t"#\\\ufeff\ud800')))


@given(st.lists(IDS))
def test_any_ids_come_back_from_their_lines(ids: list[str]) -> None:
    text = "".join(id_line(each) + "\n" for each in ids)
    assert list(parse_ids(text)) == ids
    assert len(text.splitlines()) == len(ids)


@given(st.text(string.ascii_letters + string.digits + "-_./:#äé二\U0001f600", min_size=1))
def test_an_ordinary_id_is_its_own_line(name: str) -> None:
    assert id_line(name) == name


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a\r\n\n  b \r\nc", ["a", "b", "c"]),
        ('"a\\nb"\n', ["a\nb"]),
        ('"not json\n', ['"not json']),
        ('"two" words\n', ['"two" words']),
        ("\ufeffa\n", ["a"]),
        ("", []),
    ],
    ids=["blank lines and blanks", "a JSON string", "no JSON", "JSON and more", "a byte order mark", "nothing"],
)
def test_a_file_that_a_person_wrote_is_read_as_it_is_meant(text: str, ids: list[str]) -> None:
    assert list(parse_ids(text)) == ids
