"""Runs that must leave their batches."""

from __future__ import annotations

from collections.abc import Callable

from asyncrun.app.report import Report
from asyncrun.testing.batch_servers.books import Books

LONGEST = 4.0


def until_submitted(books: Books, run: Callable[[float], Report]) -> Report:
    """Return the first run that comes so far as to submit a batch: it gets a second for that, and more on a busy machine."""
    seconds = 1.0
    while True:
        report = run(seconds)
        assert report.exit_code == 75
        if books.created:
            return report
        seconds = min(2 * seconds, LONGEST)
