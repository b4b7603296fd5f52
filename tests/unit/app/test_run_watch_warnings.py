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


@pytest.mark.parametrize("first_to_end", [0, 1])
def test_after_runs_that_overlapped_others_hear_warnings_again(first_to_end: int) -> None:
    logger = logging.getLogger("asyncrun")
    heard: list[list[str]] = [[], []]
    runs = [capture_warnings(each.append) for each in heard]
    for run in runs:
        run.__enter__()
    runs[first_to_end].__exit__(None, None, None)
    logger.warning("one goes on")
    assert (logger.propagate, heard[1 - first_to_end]) == (False, ["one goes on"])
    runs[1 - first_to_end].__exit__(None, None, None)
    assert logger.propagate
