"""Warnings of a run's parts are told as its own are, also those that are badly made."""

from __future__ import annotations

import logging

import pytest

from asyncrun.app.run_watch import capture_warnings


@pytest.mark.parametrize(
    ("words", "values", "told"),
    [
        ("%d texts are long", (2,), "2 texts are long"),
        ("%d texts are long", ("two",), "%d texts are long ('two',)"),
        ("%s and %s", ("one",), "%s and %s ('one',)"),
        ("nothing to fill in", ("one",), "nothing to fill in ('one',)"),
    ],
)
def test_a_warning_whose_words_do_not_fit_its_values_is_told_all_the_same(words: str, values: tuple[object, ...], told: str) -> None:
    heard: list[str] = []
    with capture_warnings(heard.append):
        logging.getLogger("asyncrun.plugin").warning(words, *values)
    assert heard == [told]
