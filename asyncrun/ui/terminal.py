"""The foot of a terminal: a picture that one thread redraws, and messages that scroll away above it."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live


class Screen:
    """Draws what `picture` returns every so many seconds, whatever happens in between.

    Messages wait for the next drawing; while nothing is drawn they are written at once. Any thread may call it.
    """

    def __init__(self, console: Console, picture: Callable[[], RenderableType], *, every: float, redirect: bool) -> None:
        self._console = console
        self._every = every
        self._live = Live(
            console=console,
            get_renderable=picture,
            auto_refresh=False,
            transient=True,
            # What others print to the same terminal scrolls above the picture too. A stdout that is a file is left alone.
            redirect_stderr=redirect,
            redirect_stdout=redirect and sys.stdout is not None and sys.stdout.isatty(),
        )
        self._messages: deque[RenderableType] = deque()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to draw; does nothing when it has begun or ended."""
        if self._thread is None and not self._ended.is_set():
            self._live.start()
            thread = threading.Thread(target=self._draw_until_ended, name="asyncrun-progress", daemon=True)
            thread.start()  # which fails where the system gives no more threads
            self._thread = thread

    def say(self, message: RenderableType) -> None:
        """Show a message above the picture."""
        self._messages.append(message)
        if self._thread is None:
            self._write_messages()

    def close(self) -> None:
        """Wipe the picture, keep the messages, give the terminal back; may be called twice."""
        self._ended.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
            self._live.stop()
        self._write_messages()

    def _draw_until_ended(self) -> None:
        while not self._ended.is_set():
            with self._console:  # one write for messages and picture
                self._write_messages()
                self._live.refresh()
            self._ended.wait(self._every)

    def _write_messages(self) -> None:
        lines: list[RenderableType] = []
        while self._messages:
            lines.append(self._messages.popleft())
        if lines:
            self._console.print(Group(*lines), soft_wrap=False)
