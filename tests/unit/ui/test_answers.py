"""Answers are shown as a person reads them, whatever stands in a document."""

from __future__ import annotations

import pytest

from asyncrun.ui.answers import render_answers

HIT = {"doc_id": "tea.md", "text": "# Tea\n\nTea is made of leaves."}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"hits": [HIT], "answer": None}, "  tea.md: Tea Tea is made of leaves."),
        ({"hits": [{**HIT, "metadata": {"page": 3}}], "answer": None}, "  tea.md, page 3: Tea Tea is made of leaves."),
        ({"hits": [HIT], "answer": "Of\nleaves."}, "  Of leaves."),
        ({"hits": []}, "  nothing found"),
        ({"hits": [{"doc_id": "a\x1b[2J", "text": "b\u202ec"}]}, "  a\\x1b[2J: b\\u202ec"),
    ],
)
def test_a_question_stands_above_what_was_found(row: dict[str, object], said: str) -> None:
    assert str(render_answers([{"query": "what is tea?", **row}], 80)).splitlines() == ["what is tea?", said]


def test_what_is_too_long_is_cut() -> None:
    lines = str(render_answers([{"query": "why " * 40, "hits": [HIT], "answer": None}], 20)).splitlines()
    assert lines == ["why why why why why…", "  tea.md: Tea Tea i…"]
