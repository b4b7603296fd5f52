"""Progress in a log file: the plain lines, each with its time, after those of the runs before."""

from __future__ import annotations

import io
import queue
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO, cast

from asyncrun.clock import Clock
from asyncrun.errors import OutputError, os_words
from asyncrun.results import RunResult
from asyncrun.ui.plain_lines import PlainProgress


class LogProgress(PlainProgress):
    """Appends lines to a file. Raises OutputError when it cannot be opened."""

    def __init__(self, path: Path, clock: Clock) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise OutputError(f"cannot open the log {path}: {os_words(error)}", hint="Choose another --log-file.") from error
        self._lines = _Stamped(self._file, clock)
        super().__init__(cast(TextIO, self._lines), clock)

    def run_started(self, run_id: str, tasks: Sequence[str]) -> None:
        """Name the run and its tasks."""
        super().run_started(run_id, tasks)
        self._out.line(f"run {run_id}: {', '.join(tasks)}")

    def run_finished(self, result: RunResult) -> None:
        """Say how the run ended."""
        self._out.line(f"run {result.run_id} {result.status.value}, exit code {result.exit_code}")

    def close(self) -> None:
        """Close the file; may be called twice."""
        super().close()
        self._lines.end()
        self._file.close()


class _Stamped(io.TextIOBase):
    """Puts the time (UTC) before every line, and writes from a thread: the loop must not wait for the disk."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream, self._clock, self._begins = stream, clock, True
        self._waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="asyncrun-log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        for line in text.splitlines(keepends=True):
            stamp = datetime.fromtimestamp(self._clock.now(), UTC).isoformat(timespec="seconds") if self._begins else ""
            self._waiting.put(f"{stamp} {line}" if stamp else line)
            self._begins = line.endswith("\n")
        return len(text)

    def end(self) -> None:
        """Write what waits and end the thread; may be called twice."""
        self._waiting.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (text := self._waiting.get()) is not None:
            # A log is a courtesy: a full disk must not end the run.
            with suppress(OSError):
                self._stream.write(text)
