"""A chunk of Markdown lies in one section and names the headings above it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.chunkers.interface import ByteTokenizer, ChunkOptions
from asyncrun.chunkers.markdown_chunker import MarkdownChunker
from asyncrun.chunkers.sentence_boundaries import split_sentences

PAGE = """\
Before all.

# Guide

Read it.

## Install ##

On Debian. It takes a minute.

```sh
# no heading
apt install it
```

On a Mac
--------

It comes.

#### Deep

Under the Mac.

# Other

## Empty

## Full

Yes.

# Last
"""


def cut(text, size=200, overlap=0):
    return [(chunk.text, chunk.metadata.get("headings")) for chunk in MarkdownChunker(ByteTokenizer(), ChunkOptions(size, overlap))(text)]


def test_each_section_has_its_path():
    assert cut(PAGE) == [
        ("Before all.", None),
        ("# Guide\n\nRead it.", ["Guide"]),
        ("## Install ##\n\nOn Debian. It takes a minute.\n\n```sh\n# no heading\napt install it\n```", ["Guide", "Install"]),
        ("On a Mac\n--------\n\nIt comes.", ["Guide", "On a Mac"]),
        ("#### Deep\n\nUnder the Mac.", ["Guide", "On a Mac", "Deep"]),
        ("# Other\n\n## Empty\n\n## Full\n\nYes.", ["Other", "Full"]),
        ("# Last", ["Last"]),
    ]


def test_a_long_section_is_cut_by_sentences_and_repeats_only_its_own():
    text = "# A\n\nOne is it. Two is it. Three is it.\n\n# B\n\nFour is it."
    assert cut(text, size=30, overlap=12) == [
        ("# A\n\nOne is it. Two is it.", ["A"]),
        ("Two is it. Three is it.", ["A"]),
        ("# B\n\nFour is it.", ["B"]),
    ]


@pytest.mark.parametrize(
    ("heading", "title"),
    [("# A", "A"), ("#  A b  ##", "A b"), ("# C#", "C#"), ("#", ""), ("# #", ""), ("   ## `code` *it*", "`code` *it*"), ("T\n===", "T")],
)
def test_a_title_is_what_the_heading_says(heading, title):
    assert cut(f"{heading}\n\ntext")[0][1] == [title]


@given(
    st.lists(st.sampled_from(["# A\n", "## B\n", "### C\n", "Text. ", "More of it is here. ", "\n", "\n\n", "T\n---\n", "```\n", "é"])).map(
        "".join
    )
)
def test_no_chunk_lies_in_two_sections(text):
    sentences = split_sentences(text)
    for chunk in MarkdownChunker(ByteTokenizer(), ChunkOptions(30, 8))(text):
        assert chunk.text == text[chunk.start : chunk.end]
        inside = [sentence.heading for sentence in sentences if chunk.start <= sentence.start < chunk.end]
        # Headings that follow each other at once may begin a chunk; behind other text none stands.
        assert inside == sorted(inside, reverse=True)
        assert len(chunk.metadata.get("headings", [])) <= 3
