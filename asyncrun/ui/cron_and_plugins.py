"""Lists of what is there: the entries of cron and systemd, and the installed parts by the distribution that brings them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from asyncrun.escape import printable
from asyncrun.registry import Offer
from asyncrun.ui.run_json import document

CronRow = tuple[str, str, str, str]
"""Name, `cron` or `systemd`, schedule, command."""


def render_cron_entries(rows: Sequence[CronRow]) -> str:
    """Return a line for each entry.

    >>> print(render_cron_entries([("nightly", "cron", "15 2 * * *", "/opt/asyncrun run /srv/jobs.yaml")]))
    name     by    schedule    command
    nightly  cron  15 2 * * *  /opt/asyncrun run /srv/jobs.yaml
    """
    if not rows:
        return "no job file runs by itself; asyncrun cron add --help says how one does"
    shown = [("name", "by", "schedule", "command"), *(tuple(map(printable, row)) for row in rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(3)]
    return "\n".join("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in shown)


def cron_document(rows: Sequence[CronRow]) -> dict[str, Any]:
    """Return the same as a JSON document."""
    return document(entries=[dict(zip(("name", "by", "schedule", "command"), row, strict=True)) for row in rows])


def render_enabling(paths: Sequence[Path]) -> str:
    """Return what makes systemd know units that were written; a timer is among them."""
    timer = next(path.name for path in paths if path.suffix == ".timer")
    written = "\n".join(f"written: {path}" for path in paths)
    return f"{written}\nnow: systemctl --user daemon-reload && systemctl --user enable --now {timer}"


def render_plugins(offers: Iterable[Offer]) -> str:
    """Return the names of all parts by distribution and port; one that needs an extra has it in brackets, one not used says why below."""
    lines: list[str] = []
    for distribution, own in groupby(sorted(offers, key=_order), lambda offer: f"{offer.part.distribution} {offer.version}".rstrip()):
        lines += [distribution]
        parts = list(own)
        for port, group in groupby(parts, lambda offer: offer.port):
            names = (f"{offer.name} [{offer.part.extra}]" if offer.part.extra else offer.name for offer in group)
            lines.append(f"  {port:<10} {', '.join(names)}")
        lines += [f"  not used: {offer.port} {offer.name}: {printable(offer.problem)}" for offer in parts if offer.problem]
    return "\n".join(lines)


def plugins_document(offers: Iterable[Offer]) -> dict[str, Any]:
    """Return the same as a JSON document."""
    parts = [
        {
            "port": offer.port,
            "name": offer.name,
            "distribution": offer.part.distribution,
            "version": offer.version,
            "target": offer.part.target,
            "extra": offer.part.extra,
            "problem": offer.problem,
        }
        for offer in sorted(offers, key=_order)
    ]
    return document(parts=parts)


def _order(offer: Offer) -> tuple[bool, str, str, str]:
    return offer.part.distribution != "asyncrun", offer.part.distribution, offer.port, offer.name
