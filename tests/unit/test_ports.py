"""Several progresses as one: whatever there is to be told, each of them is told it."""

from __future__ import annotations

import pytest

from asyncrun.ports import CombinedProgress, Progress

METHODS = [name for name in vars(Progress) if not name.startswith("_")]


@pytest.mark.parametrize("method", METHODS)
def test_every_call_reaches_each_member_in_order(method: str) -> None:
    told: list[tuple[object, ...]] = []

    def member(number: int) -> Progress:
        def tell(_: Progress, *what: object) -> None:
            told.append((number, *what))

        return type("Member", (Progress,), {method: tell})()

    getattr(CombinedProgress(member(1), member(2)), method)("task", "more")
    assert told == [(1, "task", "more"), (2, "task", "more")]
