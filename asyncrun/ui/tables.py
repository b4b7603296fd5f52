"""The tables of a plan and of failed items; where a terminal is too narrow for them, paragraphs."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from asyncrun.escape import printable
from asyncrun.humanize import counted, dollars, duration
from asyncrun.records import ItemFailure
from asyncrun.results import JobPlan
from asyncrun.ui.colours import break_line
from asyncrun.ui.formatting import render_failure, render_size

if TYPE_CHECKING:
    from rich.table import Table

_UNKNOWN = "unknown"
_OFTEN_NOTHING = ("changed", "delete", "failed", "skipped")
_NARROW = 60
_WIDEST = 10_000
"""Columns of a table that is drawn as wide as it is."""


def render_plan(plans: Sequence[JobPlan], width: int) -> str:
    """Return what each job would do, `~` before an estimate, and the notes below.

    It is a table; where `width` does not hold it, one without the columns that say nothing, or else a paragraph for each job.

    >>> print(render_plan([], 80))
    no jobs
    """
    if not plans:
        return "no jobs"
    rows = [_plan_cells(plan) for plan in plans]
    telling = {name for name in rows[0] if name not in _OFTEN_NOTHING or any(row[name] != "0" for row in rows)}
    tables = (_plan_table([{name: row[name] for name in row if name in names} for row in rows]) for names in (rows[0].keys(), telling))
    shown = next((table for table in tables if _columns(table) <= width), None)
    notes = [f"{printable(plan.name)}: {printable(note)}" for plan in plans for note in (*plan.notes, *_disk(plan))]
    return "\n".join([shown or "\n".join(break_line(_plan_sentence(row), width) for row in rows), *notes])


def render_failed(failures: Sequence[tuple[str, ItemFailure]], width: int | None) -> str:
    """Return the table of failed items, each with the name of its job; nothing is cut off, long cells go on in the next line.

    A table that would be mostly such lines is a paragraph for each item instead. Without a width, as for a program, an item is one line
    with tabs between its cells, and there is no heading.

    >>> print(render_failed([], 80))
    no failed items
    """
    if not failures:
        return "no failed items"
    if width is not None and width < _NARROW:
        items = ((job, failure, counted(failure.attempts, "attempt")) for job, failure in failures)
        return "\n".join(break_line(f"{render_failure(job, failure)} ({attempts})", width) for job, failure, attempts in items)
    rows = [
        [printable(cell) for cell in (job, each.id, str(each.place), each.reason, each.message, str(each.attempts))]
        for job, each in failures
    ]
    if width is None:
        return "\n".join("\t".join(cell.replace("\t", r"\t") for cell in row) for row in rows)
    table = _table("job", "id", "place", "reason", "message", numbers=("attempts",))
    for row in rows:
        table.add_row(*row)
    return _rendered(table, width)


def _plan_cells(plan: JobPlan) -> dict[str, str]:
    counts = {
        name: f"{getattr(plan, name):,}" for name in ("items", "new", "changed", "unchanged", "delete", "failed", "skipped", "requests")
    }
    tokens = f"{'' if plan.exact else '~'}{plan.tokens:,}" if plan.tokens else "0"
    amounts = {"tokens": tokens, "cost": _cost(plan.cost), "time": _time(plan.seconds)}
    return {"job": printable(plan.name), "kind": plan.kind, **counts, **amounts}


def _plan_table(rows: Sequence[dict[str, str]]) -> str:
    table = _table("job", "kind", numbers=[name for name in rows[0] if name not in ("job", "kind")])
    for row in rows:
        table.add_row(*row.values())
    return _rendered(table, _WIDEST)


def _plan_sentence(row: dict[str, str]) -> str:
    told = {name: text for name, text in row.items() if name not in _OFTEN_NOTHING or text != "0"}
    job, kind = told.pop("job"), told.pop("kind")
    return f"{job} ({kind}): {', '.join(f'{name} {text}' for name, text in told.items())}"


def _columns(text: str) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, text.split("\n")))


def _disk(plan: JobPlan) -> tuple[str, ...]:
    return (f"needs about {render_size(plan.disk)} of disk",) if plan.disk else ()


def _cost(cost: float | None) -> str:
    return _UNKNOWN if cost is None else f"~{dollars(cost)}"


def _time(seconds: float | None) -> str:
    return _UNKNOWN if seconds is None else f"~{duration(seconds)}"


def _table(*words: str, numbers: Sequence[str]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in words:
        table.add_column(name.upper(), overflow="fold")
    for name in numbers:
        table.add_column(name.upper(), justify="right", no_wrap=True)
    return table


def _rendered(table: Table, width: int) -> str:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, color_system=None, force_terminal=False, markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n"))
