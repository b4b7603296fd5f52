"""How the entries of cron and systemd are told: a table, a document, and what is to be done next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asyncrun.escape import printable
from asyncrun.ui.json_documents import document

Row = tuple[str, str, str, str]
"""Name, `cron` or `systemd`, schedule, command."""


def render_rows(rows: Sequence[Row]) -> str:
    """Return a line for each entry.

    >>> print(render_rows([("nightly", "cron", "15 2 * * *", "/opt/asyncrun run /srv/jobs.yaml")]))
    name     by    schedule    command
    nightly  cron  15 2 * * *  /opt/asyncrun run /srv/jobs.yaml
    """
    if not rows:
        return "no job file runs by itself; asyncrun cron add --help says how one does"
    shown = [("name", "by", "schedule", "command"), *(tuple(map(printable, row)) for row in rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(3)]
    return "\n".join("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in shown)


def rows_document(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the same as a JSON document."""
    return document(entries=[dict(zip(("name", "by", "schedule", "command"), row, strict=True)) for row in rows])


def render_enabling(paths: Sequence[Path]) -> str:
    """Return what makes systemd know units that were written; a timer is among them."""
    timer = next(path.name for path in paths if path.suffix == ".timer")
    written = "\n".join(f"written: {path}" for path in paths)
    return f"{written}\nnow: systemctl --user daemon-reload && systemctl --user enable --now {timer}"
