"""From hits to a prompt and from an answer to its sources: numbers that fit, braces that stay, ids that are right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.chunkers.interface import ByteTokenizer
from asyncrun.errors import ItemError, Place
from asyncrun.grammar.prompt import DEFAULT_PROMPT, find_citations, fit_context, parse_prompt, render_prompt
from asyncrun.records import Hit, Item

BYTES = ByteTokenizer()


def hit(name, text):
    return Hit(name, name, 1.0, text, {}, 0, len(text))


def item(text="Why?", **metadata):
    return Item("q", text, Place("f", 1), metadata)


def test_hits_are_numbered_best_first_and_all_are_there_without_a_limit():
    context = fit_context([hit("a", "one"), hit("b", "two")], None, BYTES)
    assert context.text == "[1] one\n\n[2] two"
    assert context.cited == ("a", "b")


def test_a_hit_that_does_not_fit_ends_the_list():
    hits = [hit("a", "one"), hit("b", "much too long for the room"), hit("c", "x")]
    assert fit_context(hits, 16, BYTES).cited == ("a",)


def test_the_best_hit_alone_is_cut_where_the_room_ends():
    assert fit_context([hit("a", "abcdefgh"), hit("b", "x")], 7, BYTES) == fit_context([hit("a", "abc")], None, BYTES)


@given(st.lists(st.text(max_size=9), max_size=5), st.integers(1, 40))
def test_the_context_is_never_larger_than_its_room(texts, room):
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    context = fit_context([hit(str(place), text) for place, text in enumerate(texts)], room, BYTES)
    assert len(context.text.encode()) <= room
    assert context.cited == tuple(str(place) for place in range(len(context.cited)))


def test_no_hits_are_an_empty_context():
    assert fit_context([], 100, BYTES) == fit_context([], None, BYTES)
    assert fit_context([], None, BYTES).text == ""


def test_a_prompt_is_filled_once_whatever_stands_in_the_texts():
    prompt = render_prompt(parse_prompt("{{a}} {question} | {context} | {metadata.lang}"), item("{context}?", lang="en"), "{question} {x}")
    assert prompt == "{a} {context}? | {question} {x} | en"


def test_metadata_may_be_nested_and_numbers_are_written_as_they_are():
    assert render_prompt(parse_prompt("{question} {metadata.user.age}"), item(user={"age": 7}), "") == "Why? 7"


@pytest.mark.parametrize("metadata", [{}, {"lang": None}, {"lang": ["en"]}])
def test_a_question_whose_metadata_do_not_fill_the_prompt_fails_alone(metadata):
    with pytest.raises(ItemError, match="lang"):
        render_prompt(parse_prompt("{question} {metadata.lang}"), item(**metadata), "")


def test_the_prompt_that_stands_for_none_holds_the_question_and_the_passages():
    assert set(parse_prompt(DEFAULT_PROMPT).fields) == {"question", "context"}


@pytest.mark.parametrize(
    ("answer", "ids"),
    [
        ("So it is [1].", ["a"]),
        ("[2], then [1][2].", ["b", "a"]),
        ("As [1, 3] and [1; 2] say.", ["a", "c", "b"]),
        ("As [1-3] say.", ["a", "b", "c"]),
        ("As [2–9] say.", ["b", "c"]),
        ("As 【2†source】 says.", ["b"]),
        ("As [ 3 ] says.", ["c"]),
        ("Nobody knows [0], [4], [99999999], [x], [], array[i].", []),
        ("In 1999 (1) nothing.", []),
        ("", []),
        (None, []),
    ],
)
def test_citations_are_the_ids_of_the_numbers_that_an_answer_names(answer, ids):
    assert find_citations(answer, ["a", "b", "c"]) == ids


@given(st.text(alphabet="[]0123456789,;-–【】† a"))
def test_no_answer_cites_what_it_was_not_shown(answer):
    found = find_citations(answer, ["a", "b"])
    assert set(found) <= {"a", "b"}
    assert len(found) == len(set(found))
