"""What a plan shows: a table of jobs and notes, paragraphs where a terminal is too narrow for it, or a JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from asyncrun.escape import printable
from asyncrun.humanize import dollars, duration
from asyncrun.results import JobPlan
from asyncrun.ui.colours import break_line
from asyncrun.ui.formatting import build_table, draw_table, render_size
from asyncrun.ui.run_json import document

_UNKNOWN = "unknown"
_OFTEN_NOTHING = ("changed", "delete", "failed", "skipped")
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


def plan_document(plans: Sequence[JobPlan]) -> dict[str, Any]:
    """Return what each job would do.

    >>> plan_document([])
    {'schema': 1, 'jobs': []}
    """
    hidden = {"kind", "notes", "inputs", "steps"}
    return document(jobs=[{name: value for name, value in asdict(plan).items() if name not in hidden} for plan in plans])


def _plan_cells(plan: JobPlan) -> dict[str, str]:
    counts = {
        name: f"{getattr(plan, name):,}" for name in ("items", "new", "changed", "unchanged", "delete", "failed", "skipped", "requests")
    }
    tokens = f"{'' if plan.exact else '~'}{plan.tokens:,}" if plan.tokens else "0"
    amounts = {"tokens": tokens, "cost": _cost(plan.cost), "time": _time(plan.seconds)}
    return {"job": printable(plan.name), "kind": plan.kind, **counts, **amounts}


def _plan_table(rows: Sequence[dict[str, str]]) -> str:
    table = build_table("job", "kind", numbers=[name for name in rows[0] if name not in ("job", "kind")])
    for row in rows:
        table.add_row(*row.values())
    return draw_table(table, _WIDEST)


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
