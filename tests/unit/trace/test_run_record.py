"""Whether a run lives, told by its last sign of life and a clock that may have jumped."""

from __future__ import annotations

import pytest

from asyncrun.trace.run_record import RunRecord

HOUR = 3600.0


@pytest.mark.parametrize(
    ("now", "status"),
    [
        (1000.0, "running"),
        (1015.0, "running"),
        (1016.0, "unfinished"),
        (990.0, "running"),
        (1000.0 - HOUR, "unfinished"),
        (0.0, "unfinished"),
    ],
)
def test_a_run_without_an_end_lives_only_near_its_last_sign_of_life_whichever_way_the_clock_was_set(now: float, status: str) -> None:
    assert RunRecord("r", 900.0, None, "running", None, None, None, "1", "here", seen=1000.0).status_at(now) == status


def test_a_run_that_has_ended_keeps_its_status() -> None:
    assert RunRecord("r", 900.0, 950.0, "failed", 1, 50.0, None, "1", "here", seen=950.0).status_at(0.0) == "failed"
