"""What is said of a job before its items are sent: which setting has made them new, what it costs, and which files are not among them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from asyncrun.humanize import counted, dollars
from asyncrun.jobs.context import JobContext
from asyncrun.ledger.job_records import last_space
from asyncrun.ledger.spaces import vectors_in
from asyncrun.readers.distinct_items import DistinctSource
from asyncrun.records import Space

NAMED_FILES = 3


def change_notes(context: JobContext, space: Space, new: int, cost: float | None) -> tuple[str, ...]:
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


def unread_files(source: DistinctSource) -> tuple[str, ...]:
    """Return a sentence about the files that a glob matched and that are not read, none when there are none."""
    files = source.skipped_files
    if not files:
        return ()
    named = ", ".join(files[:NAMED_FILES]) + (", ..." if len(files) > NAMED_FILES else "")
    return (f"{counted(len(files), 'file')} passed over, hidden or of a type that nothing reads: {named}",)


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
