"""What a cleaning tells."""

from __future__ import annotations

from asyncrun.ledger.holdings import Cleaning, SpaceSize
from asyncrun.records import Space
from asyncrun.ui.ledger_reports import cleaning_document, render_cleaning

SPACE = SpaceSize("f" * 32, Space("openai", "small").describe(), 1200, 1_900_000)
RUNS = ("r1", "r2", "r3", "r4")


def test_what_was_removed_is_counted_and_named() -> None:
    assert render_cleaning(Cleaning(False, RUNS, (SPACE,), 2_500_000)).splitlines() == [
        "removed 4 traces: r1, r2, r3, ...",
        "removed 1 space that no job file here uses: 1,200 vectors, 1.9 MB",
        "  model small, provider openai: 1,200 vectors, 1.9 MB",
        "the files are 2.5 MB smaller",
    ]


def test_a_dry_run_says_would_and_why_the_ledger_is_left_alone() -> None:
    told = render_cleaning(Cleaning(True, RUNS[:1], kept="what b.yaml uses is not known: \x1b[2J"))
    assert told == "would remove 1 trace: r1\nno space would be removed: what b.yaml uses is not known: \\x1b[2J"


def test_a_space_without_a_readable_description_is_named_by_its_fingerprint() -> None:
    for description in ("", "[]", "{"):
        odd = SpaceSize("f" * 32, description, 1, 100)
        assert f"  fingerprint {'f' * 32}: 1 vector, 100 bytes" in render_cleaning(Cleaning(False, (), (odd,)))
        assert cleaning_document(Cleaning(False, (), (odd,)))["spaces"][0]["space"] == {"fingerprint": "f" * 32}
