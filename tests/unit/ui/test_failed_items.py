from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from asyncrun.errors import Place
from asyncrun.records import ItemFailure
from asyncrun.ui.failed_items import render_failed, render_failure


@given(st.text(), st.text(), st.text())
def test_a_failure_is_one_line_without_controls_whatever_the_data_hold(task: str, ident: str, message: str) -> None:
    line = render_failure(task, ItemFailure(ident, Place(ident, 3), "refused", message))
    controls = [char for char in line if unicodedata.category(char) in ("Cc", "Cs") and char != "\t"]
    assert controls == []
    assert len(line.splitlines()) == 1


def test_an_id_is_not_shown_without_end() -> None:
    assert len(render_failure("a", ItemFailure("n" * 2_000_000, Place("f"), "refused", "x"))) < 300


def test_the_words_of_a_server_are_not_shown_without_end() -> None:
    assert len(render_failure("a", ItemFailure("n", Place("f"), "refused", "x" * 10_000))) < 400


def test_failed_items_are_shown_whole_however_narrow_the_screen() -> None:
    failure = ItemFailure("notes/a-rather-long-identifier-of-an-item.md", Place("notes.jsonl", 7), "refused", "said [no]\x07", 3)
    text = render_failed([("notes", failure)], 60)
    assert max(map(len, text.splitlines())) <= 60
    assert "…" not in text
    wide = render_failed([("notes", failure)], 200).splitlines()[1]
    assert wide.split() == ["notes", failure.id, "notes.jsonl:7", "refused", "said", "[no]\\x07", "3"]


def test_a_narrow_terminal_has_a_paragraph_for_each_failed_item() -> None:
    failure = ItemFailure("n7", Place("notes.jsonl", 7), "server_error", "the server is on fire", attempts=1)
    text = render_failed([("notes", failure)], 40)
    assert max(map(len, text.splitlines())) <= 40
    assert " ".join(text.split()) == "notes: item n7 failed (server_error) at notes.jsonl:7: the server is on fire (1 attempt)"
