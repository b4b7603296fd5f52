"""How much the tests try: what a developer can wait for or, where `ASYNCRUN_TEST_DEEP` is set as in `.ci/run`, all that they can."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")

DEEP = bool(os.environ.get("ASYNCRUN_TEST_DEEP"))


def times(*, quick: int, deep: int) -> int:
    """Return how often a test tries what it tries."""
    return deep if DEEP else quick


def asked_for(name: str, *, quick: int, deep: int) -> int:
    """Return how often it does, where a variable of the environment may say so, too."""
    return int(os.environ.get(name) or times(quick=quick, deep=deep))


def cases(named: Mapping[str, T], *quick: str) -> dict[str, T]:
    """Return the cases of a test that are tried, by their names."""
    return {name: case for name, case in named.items() if DEEP or name in quick}


def first(tried: Sequence[T], *, quick: int = 1) -> Sequence[T]:
    """Return what a test is tried with: all of it, or the first ones, which tell the most."""
    return tried if DEEP else tried[:quick]
