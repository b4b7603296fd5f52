"""Where sentences end: what a careful reader would say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.chunkers.sentence_boundaries import split_sentences


def pieces(text: str) -> list[str]:
    return [text[sentence.start : sentence.end] for sentence in split_sentences(text)]


@pytest.mark.parametrize(
    "text",
    [
        "One. Two! Three? Four… Five",
        "He said: “It works.” She nodded. (Really.) Yes.",
        "Dr. Smith and Mr. J. R. Brown met at 5 p.m. in the U.S. embassy. They talked.",
        "Pi is 3.14, e.g. in version 1.2.3 of it. See Fig. 3 and No. 7. Next.",
        "It is so, i.e. true etc. and more. Do approx. ten. No. Never.",
        "What?! No way... Maybe. well, lower case goes on. Done.",
        "Use `run()`. Then **stop.** Then go.",
        "これは文です。次の文！三つ目？「はい。」終わり",
        "Read https://example.com/a.html?b=c. Then README.md. End.",
    ],
)
def test_sentences(text: str) -> None:
    expected = {
        "One": ["One.", "Two!", "Three?", "Four…", "Five"],
        "He s": ["He said: “It works.”", "She nodded.", "(Really.)", "Yes."],
        "Dr.": ["Dr. Smith and Mr. J. R. Brown met at 5 p.m. in the U.S. embassy.", "They talked."],
        "Pi": ["Pi is 3.14, e.g. in version 1.2.3 of it.", "See Fig. 3 and No. 7.", "Next."],
        "It i": ["It is so, i.e. true etc. and more.", "Do approx. ten.", "No.", "Never."],
        "What": ["What?!", "No way...", "Maybe. well, lower case goes on.", "Done."],
        "Use": ["Use `run()`.", "Then **stop.**", "Then go."],
        "これ": ["これは文です。", "次の文！", "三つ目？", "「はい。」", "終わり"],
        "Read": ["Read https://example.com/a.html?b=c.", "Then README.md.", "End."],
    }
    assert pieces(text) == next(value for start, value in expected.items() if text.startswith(start))


def test_blank_lines_headings_and_lists_are_boundaries_and_line_ends_are_not() -> None:
    text = "# Title\nA paragraph\nof two lines\n\nAnother one\n## Sub\n- first item\n  goes on\n- second. More.\n1. third\n2) fourth\n"
    text += "| a | b |\n| c | d |\n"
    assert pieces(text) == [
        "# Title",
        "A paragraph\nof two lines",
        "Another one",
        "## Sub",
        "- first item\n  goes on",
        "- second.",
        "More.",
        "1. third",
        "2) fourth",
        "| a | b |",
        "| c | d |",
    ]


def test_headings_are_known_as_such() -> None:
    text = "Title\n=====\ntext\n\nSub\n---\r\n\r\n### Deep\n#no heading\n\n- item\n---\n"
    assert [text[s.start : s.end] for s in split_sentences(text) if s.heading] == ["Title\n=====", "Sub\n---", "### Deep"]


def test_fenced_code_is_one_piece_and_has_no_headings() -> None:
    text = "Before.\n```sh\n# comment. Not a heading\n\necho A. B.\n```\nAfter.\n~~~\n```\n~~~\nEnd.\n````\nnever closed. A.\n```\n"
    assert pieces(text) == [
        "Before.",
        "```sh\n# comment. Not a heading\n\necho A. B.\n```",
        "After.",
        "~~~\n```\n~~~",
        "End.",
        "````\nnever closed. A.\n```",
    ]
    assert not any(sentence.heading for sentence in split_sentences(text))


text_like = st.text(st.sampled_from("aB1.!?。 \n\t\r`#-=|*)\"'\u00a0\u2028é😀"), max_size=200)


@given(text_like | st.text())
def test_nothing_but_white_space_is_between_sentences(text: str) -> None:
    position = 0
    for sentence in split_sentences(text):
        assert position <= sentence.start < sentence.end
        assert not text[position : sentence.start].strip()
        piece = text[sentence.start : sentence.end]
        assert piece == piece.strip()
        position = sentence.end
    assert not text[position:].strip()


@pytest.mark.parametrize("unit", [".", ". ", ".)", "!?", "`", "```\n", "#\n", "a.b", " ", "\n", "-", "- ", "=\n", "。", "| ", "a\n=\n"])
def test_no_text_makes_it_slow(unit: str) -> None:
    """A run of anything ends within the patience of a person; quadratic time would take minutes."""
    text = unit * (200_000 // len(unit))
    found = split_sentences(text)
    assert "".join("".join(text[sentence.start : sentence.end].split()) for sentence in found) == "".join(text.split())
