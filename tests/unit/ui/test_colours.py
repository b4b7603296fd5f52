"""Styled text on a terminal: colour comes from the style alone, never from the text."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from asyncrun.trace.views.styled_text import Style, StyledPart, StyledText, line
from asyncrun.ui.colours import paint, print_styled, print_text


@given(st.text(), st.sampled_from(Style))
def test_no_text_reaches_the_terminal_as_a_control_sequence(text: str, style: Style) -> None:
    shown = StyledText((line(StyledPart(text, style)),))
    bare = paint(shown, colour=False)
    assert "\x1b" not in bare
    assert "\n" not in bare
    coloured = paint(shown, colour=True)
    assert bare in coloured
    assert coloured.count("\x1b") in (0, 2)


def test_without_colour_a_style_is_not_seen() -> None:
    shown = StyledText((line("run ", StyledPart("failed", Style.BAD)), (), line(StyledPart("A", Style.TITLE))))
    assert paint(shown, colour=False) == "run failed\n\nA"
    assert paint(shown, colour=True) == "run \x1b[1;31mfailed\x1b[0m\n\n\x1b[1mA\x1b[0m"


def test_a_printed_view_ends_its_line() -> None:
    stream = io.StringIO()
    print_styled(StyledText((line("one"), line("two"))), stream)
    assert stream.getvalue() == "one\ntwo\n"


def test_a_sentence_goes_on_between_words_and_keeps_its_colours() -> None:
    stream = io.StringIO()
    print_styled(StyledText((line("notes ", StyledPart("failed", Style.BAD), ": the server says\x1b no"),)), stream, colour=True, width=20)
    assert stream.getvalue() == "notes \x1b[1;31mfailed\x1b[0m: the\n  server says\\x1b no\n"


def test_a_text_is_written_as_it_is_and_ends_with_one_line_end() -> None:
    stream = io.StringIO()
    print_text("Trace: run\n    |_embed -> 0.5 seconds\n", stream)
    assert stream.getvalue() == "Trace: run\n    |_embed -> 0.5 seconds\n"


def test_data_in_a_text_cannot_steer_a_terminal() -> None:
    stream = io.StringIO()
    print_text("job \x1b]8;;x\x07 name\nsecond [red] line", stream)
    assert stream.getvalue() == "job \\x1b]8;;x\\x07 name\nsecond [red] line\n"


def test_a_long_line_is_not_broken() -> None:
    stream = io.StringIO()
    print_text("x" * 500, stream)
    assert stream.getvalue() == "x" * 500 + "\n"


def test_sentences_go_on_between_words_where_the_screen_ends() -> None:
    stream = io.StringIO()
    print_text("notes failed\n  the server says no-such-model to the request", stream, width=24)
    assert stream.getvalue() == "notes failed\n  the server says\n    no-such-model to the\n    request\n"
