"""A failure that is known: when it holds for what is asked again, and that the ledger gives back what it was given."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from asyncrun.errors import Place, Reason
from asyncrun.ledger.checksums import is_whole, with_sum
from asyncrun.ledger.job_records import KnownFailure, read_failure
from asyncrun.records import ItemFailure, text_key

KEY = text_key("a text")
KNOWN = KnownFailure(ItemFailure("7", Place("a.jsonl", 3), "refused", "no", 2), "space", KEY)


def test_it_holds_for_the_same_text_in_the_same_space_alone() -> None:
    assert KNOWN.holds_for(KEY, "space")
    assert not KNOWN.holds_for(text_key("another"), "space")
    assert not KNOWN.holds_for(KEY, "another")


def test_what_may_have_been_the_endpoints_fault_is_asked_again() -> None:
    assert not replace(KNOWN, in_doubt=True).holds_for(KEY, "space")
    assert not replace(KNOWN, failure=replace(KNOWN.failure, reason="server_error")).holds_for(KEY, "space")


@pytest.mark.parametrize("in_doubt", [False, True])
@pytest.mark.parametrize(
    "key", [KEY, bytes(16), b"?" + bytes(15), b"8199be6f0c2d4a55" * 2], ids=["text", "record", "mark of doubt", "document"]
)
def test_it_is_read_as_it_was_written(key: bytes, *, in_doubt: bool) -> None:
    known = replace(KNOWN, key=key, in_doubt=in_doubt and len(key) == 16)
    assert read_failure(known.row("job")) == known


def test_a_failure_in_doubt_stands_in_the_file_as_it_always_did() -> None:
    """A ledger of an earlier version is read, and an earlier version reads this one."""
    assert replace(KNOWN, in_doubt=True).row("job")[3] == b"?" + KEY


def test_a_reason_that_is_no_plain_text_is_kept_like_one() -> None:
    known = replace(KNOWN, failure=replace(KNOWN.failure, reason=Reason.BAD_TEXT))
    row = with_sum(*known.row("job"))
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE kept (a, b, c, d, e, f, g, h, i, j)")
        connection.execute("INSERT INTO kept VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        assert is_whole(connection.execute("SELECT * FROM kept").fetchone())
