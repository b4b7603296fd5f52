"""What is shown of failed items: a line each, a table, or JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncrun.escape import LONGEST_ID, printable
from asyncrun.failure_groups import FailureGroup
from asyncrun.humanize import counted
from asyncrun.records import ItemFailure
from asyncrun.trace.views.styled_text import Style, StyledLine, StyledPart, columns, fit, line, shorten, shorten_start
from asyncrun.ui.colours import break_line
from asyncrun.ui.formatting import build_table, draw_table
from asyncrun.ui.run_json import document

_MESSAGE_LIMIT = 300
_LEAST_MESSAGE = 16
"""Columns of a message that a place is shortened for."""
_ENDLESS = 10**9
_NARROW = 60
"""Columns below which an item is a paragraph."""


def render_failure(task: str, failure: ItemFailure) -> str:
    """Return one line that names a failed item.

    >>> from asyncrun.errors import Place
    >>> render_failure("notes", ItemFailure("n7", Place("notes.jsonl", 7), "too_long", "300 tokens, 256 at most"))
    'notes: item n7 failed (too_long) at notes.jsonl:7: 300 tokens, 256 at most'
    """
    place = printable(str(failure.place))
    return (
        f"{printable(task)}: item {printable(failure.id, LONGEST_ID)} failed ({printable(failure.reason)}) at {place}: "
        f"{printable(failure.message, _MESSAGE_LIMIT)}"
    )


def render_more_failures(task: str, number: int) -> str:
    """Return one line for the failed items that were not named.

    >>> render_more_failures("notes", 3)
    'notes: 3 more items failed'
    """
    return f"{printable(task)}: {counted(number, 'more item')} failed"


def render_group(group: FailureGroup, width: int | None = None, job: str = "") -> StyledLine:
    """Return one line that says how many items failed in what way, and where the first of them stands; in at most `width` columns.

    `job` is the one that they are of, where there are several; a narrow line does without it.

    >>> from asyncrun.errors import Place
    >>> first = ItemFailure("n7", Place("notes.jsonl", 7), "bad_record", "no field 'title'; known: id, text")
    >>> "".join(part.text for part in render_group(FailureGroup(3, first)))
    "3 x no field 'title'; known: id, text, first at notes.jsonl:7"
    >>> "".join(part.text for part in render_group(FailureGroup(3, first), 44))
    "3 x no field 'title…, first at notes.jsonl:7"
    """
    name = f"{printable(job)}: " if job else ""
    what = group.first.message if group.alike else f"{group.first.reason}, in other ways"
    shown, place = printable(what, _MESSAGE_LIMIT), printable(str(group.first.place))
    word = "first at" if group.count > 1 else "at"
    tails = [f", {word} {place}"]
    if width is not None:
        name = name if columns(name) <= width // 2 else ""
        short = shorten_start(place, max(width // 3, 12))
        tails += [f", {word} {short}", f", {short}", ""]
    head = f"{group.count:,} x "
    room = [_ENDLESS if width is None else width - columns(name) - columns(head) - columns(tail) for tail in tails]
    chosen = next((number for number, size in enumerate(room) if size >= min(columns(shown), _LEAST_MESSAGE)), len(tails) - 1)
    parts = (name, StyledPart(head, Style.ODD), shorten(shown, max(room[chosen], 1)), StyledPart(tails[chosen], Style.FAINT))
    return line(*parts) if width is None else fit(width, *parts)


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
    table = build_table("job", "id", "place", "reason", "message", numbers=("attempts",))
    for row in rows:
        table.add_row(*row)
    return draw_table(table, width)


def failed_document(failures: Sequence[tuple[str, ItemFailure]]) -> dict[str, Any]:
    """Return failed items, each with the name of its job.

    >>> failed_document([])
    {'schema': 1, 'items': []}
    """
    return document(items=[{"job": job, "id": failure.id, "place": str(failure.place), **_why(failure)} for job, failure in failures])


def failure_event(job: str, failure: ItemFailure) -> dict[str, Any]:
    """Return a failed item as a run tells it while it goes on."""
    place = {"path": failure.place.file, "line": failure.place.line}
    return {"job": job, "id": failure.id, **place, **_why(failure)}


def _why(failure: ItemFailure) -> dict[str, Any]:
    return {"reason": failure.reason, "message": failure.message, "attempts": failure.attempts}
