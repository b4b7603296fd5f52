"""The progress of one call: a bar found by name, told ten times a second at most, and done without when it cannot be drawn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Self

from asyncrun import registry
from asyncrun.callbacks.base_handler import describe_error
from asyncrun.ports import Progress
from asyncrun.results import Counts

logger = logging.getLogger(__name__)

INTERVAL = 0.1
"""Seconds between two calls of the progress at least, whatever the number of jobs."""


class Bar:
    """Counts the jobs of one call. Whatever the progress raises switches it off and is reported once.

    Use it on a running event loop, with `with`.
    """

    def __init__(self, name: str, total: int | None, progress: Progress) -> None:
        self._name = name
        self._progress = progress
        self._pending = 0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        try:
            progress.task_started(name, total)
        except Exception as error:
            self._switch_off(error)

    def step(self) -> None:
        """Count one more job."""
        self._pending += 1
        if self._timer is None:
            self._timer = self._loop.call_later(INTERVAL, self._draw)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Tell the rest and leave the screen as it should be; a call that has not finished is not told as one that went well."""
        if self._timer is not None:
            self._timer.cancel()
            self._draw()
        try:
            if kind is None:
                self._progress.task_finished(self._name, None)
            self._progress.close()
        except Exception as error:
            self._switch_off(error)

    def _draw(self) -> None:
        self._timer = None
        count, self._pending = self._pending, 0
        try:
            self._progress.advance(self._name, Counts(items=count, ok=count))
        except Exception as error:
            self._switch_off(error)

    def _switch_off(self, error: Exception) -> None:
        _report(error)
        broken, self._progress = self._progress, Progress()
        # It may own the last lines of the screen.
        with contextlib.suppress(Exception):
            broken.close()


async def open_bar(name: str, total: int | None) -> Bar:
    """Return the bar that is installed under the name `bar`, or one that shows nothing when that cannot be had."""
    progress: Progress = Progress()
    try:
        # By name, because what draws stands floors above; in threads, because it is imported on use, from files.
        open_progress = await asyncio.to_thread(registry.load, "progress", "bar")
        progress = await asyncio.to_thread(open_progress)
    except Exception as error:
        _report(error)
    return Bar(name, total, progress)


def _report(error: Exception) -> None:
    logger.warning("progress is switched off: it raised %s", describe_error(error))
