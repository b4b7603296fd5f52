"""Exporters: a trace in the forms that other tools read, and the port that each of them is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from asyncrun.trace.run_record import RunRecord, Span


class Exporter(Protocol):
    """Writes a recorded run for another tool.

    `spans` are ordered by id, a parent before its children, `now` is in seconds since 1970: a run without an end is told from a dead one.
    """

    def __call__(self, run: RunRecord, spans: Sequence[Span], now: float) -> str | Mapping[str, Any]:
        """Return the run as a text, or as what is written as one JSON object; numbers in it are finite."""
