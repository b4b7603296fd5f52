"""Warnings that a run's parts give through Python's logging: told as all its other warnings are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def overhear(tell: Callable[[str], object]) -> Iterator[None]:
    """Hand warnings to `tell`, which may be called in any thread; nobody else gets them meanwhile."""
    logger, handler = logging.getLogger("asyncrun"), _Handler(tell)
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = before
        logger.removeHandler(handler)


class _Handler(logging.Handler):
    def __init__(self, tell: Callable[[str], object]) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(_words(record))


def _words(record: logging.LogRecord) -> str:
    """Return a record's message, or its parts where they do not fit together: whoever warns must not fail by it."""
    try:
        return record.getMessage()
    except Exception:
        return f"{record.msg} {record.args}"
