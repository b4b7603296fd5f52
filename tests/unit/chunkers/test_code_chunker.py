"""Code is cut between definitions, whatever the language, and a part of one knows what it is a part of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.chunkers.code_chunker import CodeChunker
from asyncrun.chunkers.interface import ByteTokenizer, ChunkOptions

PYTHON = '''\
"""Cats."""
import os
from a import b

# Speaks.
@loud
def purr(
    cat,
    how="softly",
) -> str:
    return cat

class Cat:
    """A cat."""

    def eat(self):
        try:
            fish()
        except NoFish:
            mouse()

    def sleep(self):
        return 8
'''
GO = """\
package main

import "fmt"

// Purr speaks.
func Purr(cat string) string {
\tif cat == "" {
\t\treturn "?"
\t} else {
\t\treturn cat
\t}
}

func main()
{
\tfmt.Println(Purr("a"))
}
"""


def cut(text, size):
    return [(chunk.text, chunk.metadata.get("headings")) for chunk in CodeChunker(ByteTokenizer(), ChunkOptions(size, 0))(text)]


PURR = '# Speaks.\n@loud\ndef purr(\n    cat,\n    how="softly",\n) -> str:\n    return cat'
EAT = "    def eat(self):\n        try:\n            fish()\n        except NoFish:\n            mouse()"
SLEEP = "    def sleep(self):\n        return 8"


def test_definitions_are_whole_with_what_stands_above_them():
    top, cat = '"""Cats."""\nimport os\nfrom a import b', 'class Cat:\n    """A cat."""'
    assert cut(PYTHON, 110) == [(top, None), (PURR, None), (cat, None), (EAT, ["class Cat:"]), (SLEEP, ["class Cat:"])]
    assert cut(PYTHON, 140) == [(f"{top}\n\n{PURR}", None), (f"{cat}\n\n{EAT}", None), (SLEEP, ["class Cat:"])]


def test_a_long_definition_is_cut_at_the_lines_inside():
    assert cut(PYTHON, 80)[-3:] == [
        ("    def eat(self):", ["class Cat:"]),
        (EAT.partition("\n")[2], ["class Cat:", "def eat(self):"]),
        (SLEEP, ["class Cat:"]),
    ]


def test_braces_close_what_they_opened():
    assert [text.splitlines()[0] for text, _ in cut(GO, 130)] == ["package main", "// Purr speaks.", "func main()"]
    assert cut(GO, 130)[1][0].endswith("\treturn cat\n\t}\n}")


def test_what_fits_is_one_chunk():
    assert cut(PYTHON, 1000) == [(PYTHON.strip(), None)]


@pytest.mark.parametrize("size", [12, 40, 200])
def test_our_own_code_is_cut_without_a_gap(size, pytestconfig):
    tokenizer = ByteTokenizer()
    for path in sorted((pytestconfig.rootpath / "asyncrun" / "chunkers").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        end = 0
        for chunk in CodeChunker(tokenizer, ChunkOptions(size, 0))(text):
            assert not text[end : chunk.start].strip()
            assert tokenizer.count(chunk.text) <= size
            end = chunk.end
        assert not text[end:].strip()


@given(
    st.lists(
        st.sampled_from(["def f():\n", "    ", "\t", "x = 1\n", "}\n", "# c\n", "\n", "@d\n", "else:\n", "{", "é", "\r\n", "x" * 50])
    ).map("".join)
)
def test_any_text_is_cut_without_a_gap(text):
    end = 0
    for ordinal, chunk in enumerate(CodeChunker(ByteTokenizer(), ChunkOptions(24, 0))(text)):
        assert chunk.ordinal == ordinal
        assert chunk.text == text[chunk.start : chunk.end]
        assert chunk.text.strip()
        assert not text[end : chunk.start].strip()
        assert len(chunk.text.encode()) <= 24
        end = chunk.end
    assert not text[end:].strip()


def test_a_stair_of_thousands_of_steps_is_cut_too():
    chunks = cut("\n".join(" " * step + "a" for step in range(3000)), 4000)
    assert len(chunks) > 500
    assert max(len(headings or ()) for _, headings in chunks) == 40
