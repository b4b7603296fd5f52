"""What the tests of ui share: a clock that stands still, and results to show."""

from __future__ import annotations

import pytest

from asyncrun.errors import Place
from asyncrun.records import ItemFailure


class HandClock:
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def failure() -> ItemFailure:
    return ItemFailure("n7", Place("notes.jsonl", 7), "too_long", "300 tokens, 256 at most", attempts=2)
