"""Ids of events: a prefix per process and a counter, because a random id an event (2 us) would cost more than the event."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count


def _sequence() -> Iterator[str]:
    prefix = os.urandom(6).hex()
    return map(f"{prefix}-%d".__mod__, count(1))


_ids = _sequence()


def new_id() -> str:
    """Return a string that no other event has, in this process or another.

    >>> new_id() == new_id()
    False
    """
    return next(_ids)


def _after_fork() -> None:
    global _ids  # noqa: PLW0603 - a forked child would go on with its parent's prefix and numbers
    _ids = _sequence()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
