"""What makes the items of a job new, said before they are sent: which setting has changed, what it costs, and what is kept aside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from asyncrun.kinds.context import JobContext
from asyncrun.ledger.notes import last_space, vectors_in
from asyncrun.plural import counted, dollars
from asyncrun.records import Space


def news(context: JobContext, space: Space, new: int, cost: float | None) -> tuple[str, ...]:
    """Return sentences about a job whose space is another one than when it last finished, none otherwise. Blocks."""
    if not new:
        return ()
    if context.generation.since:
        return (f"refresh: {counted(new, 'item')} to be made again{_money(cost)}",)
    before = last_space(context.ledger, context.failures)
    now = json.loads(space.describe())
    if before is None or before == now:
        return ()
    kept = vectors_in(context.ledger, before)
    aside = (f"{counted(kept, 'row')} from other settings kept aside",) if kept else ()
    return (f"{changes(before, now)}: {counted(new, 'item')}{_money(cost)}", *aside)


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return which settings of a space have changed.

    >>> changes({"provider": "openai", "model": "small"}, {"provider": "openai", "model": "large", "dimensions": 8})
    'dimensions none -> 8, model small -> large'
    """
    words = [
        f"{name.replace('name', 'space')} {_shown(before.get(name))} -> {_shown(now.get(name))}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    return ", ".join(words)


def _shown(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def _money(cost: float | None) -> str:
    return ", cost unknown" if cost is None else f", {dollars(cost)}"
