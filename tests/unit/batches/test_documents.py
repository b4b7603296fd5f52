"""What providers say of a batch is understood in every form that was seen."""

from __future__ import annotations

import pytest

from asyncrun.batches.documents import files_in, moment_of, number_of, reasons_in, state_of, tag_in
from asyncrun.batches.interface import BatchState

TAG = "0123456789abcdefghij"


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("validating", BatchState.WAITING),
        ("Validating", BatchState.WAITING),
        ("in_progress", BatchState.WAITING),
        ("finalizing", BatchState.WAITING),
        ("QUEUED", BatchState.WAITING),
        ("RUNNING", BatchState.WAITING),
        ("BATCH_STATE_PENDING", BatchState.WAITING),
        ("JOB_STATE_RUNNING", BatchState.WAITING),
        ("cancelling", BatchState.CANCELLING),
        ("canceling", BatchState.CANCELLING),
        ("CANCELLATION_REQUESTED", BatchState.CANCELLING),
        ("completed", BatchState.ENDED),
        ("partially_completed", BatchState.ENDED),
        ("SUCCESS", BatchState.ENDED),
        ("ended", BatchState.ENDED),
        ("JOB_STATE_SUCCEEDED", BatchState.ENDED),
        ("expired", BatchState.EXPIRED),
        ("TIMEOUT_EXCEEDED", BatchState.EXPIRED),
        ("BATCH_STATE_EXPIRED", BatchState.EXPIRED),
        ("CANCELLED", BatchState.CANCELLED),
        ("JOB_STATE_CANCELLED", BatchState.CANCELLED),
        ("failed", BatchState.FAILED),
        ("BATCH_STATE_FAILED", BatchState.FAILED),
        ("reticulating", BatchState.UNKNOWN),
        ("", BatchState.UNKNOWN),
        (None, BatchState.UNKNOWN),
        (7, BatchState.UNKNOWN),
    ],
)
def test_every_word_for_a_state_is_known_and_another_one_is_waited_for(word: object, state: BatchState) -> None:
    assert state_of(word) is state
    assert state.over == (state in (BatchState.ENDED, BatchState.EXPIRED, BatchState.CANCELLED, BatchState.FAILED))


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (1711471533, 1711471533.0),
        ("2024-03-26T16:45:33Z", 1711471533.0),
        ("2024-03-26T16:45:33", 1711471533.0),
        ("2024-03-26T17:45:33+01:00", 1711471533.0),
        ("2024-03-26T16:45:33.123456789Z", 1711471533.123456),
        (0, None),
        (True, None),
        (None, None),
        ("", None),
        ("yesterday", None),
    ],
)
def test_a_moment_is_told_in_seconds_or_as_a_date(value: object, moment: float | None) -> None:
    assert moment_of(value) == moment


@pytest.mark.parametrize(
    ("value", "number"), [(3, 3), ("3", 3), (0, 0), (None, None), (-1, None), (True, None), ("many", None), (1.5, None)]
)
def test_a_number_may_be_a_text_or_missing(value: object, number: int | None) -> None:
    assert number_of(value) == number


def test_a_file_that_is_null_or_empty_is_none() -> None:
    document = {"input_file_id": "file-1", "output_file_id": None, "error_file_id": ""}
    assert files_in(document, "input_file_id", "output_file_id", "error_file_id", "another") == ("file-1",)


def test_only_names_of_ours_have_a_tag() -> None:
    assert tag_in(f"asyncrun-{TAG}") == tag_in(f"asyncrun-{TAG}.jsonl") == TAG
    for name in ("nightly", f"asyncrun-{TAG}x", f"asyncrun-{TAG[:-1]}", None, 7, f"asyncrun-{TAG.upper()}"):
        assert tag_in(name) is None


@pytest.mark.parametrize(
    ("errors", "sentence"),
    [
        ({"object": "list", "data": [{"code": "empty_file", "message": "It is empty.", "line": None}]}, "It is empty. (empty_file)"),
        ([{"message": "No such model", "count": 12}], "No such model (12 times)"),
        ({"code": 3, "message": "Bad line"}, "Bad line (3)"),
        ([{"message": "a"}, {"message": "a"}, {"message": "b"}, {"message": "c"}], "a; b"),
        ("as a text", "as a text"),
        ([], ""),
        (None, ""),
        ({}, ""),
    ],
)
def test_why_a_batch_has_failed_is_one_sentence(errors: object, sentence: str) -> None:
    assert reasons_in(errors) == sentence
