"""The figures of a run, written for Prometheus and sent to a collector when it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from asyncrun.errors import AsyncrunError, UsageError
from asyncrun.jobfile.job_file import JobFile
from asyncrun.jobs.run_options import RunOptions
from asyncrun.metrics import RunEnd, render_prometheus, run_metrics
from asyncrun.results import RunResult
from asyncrun.writers.atomic import AtomicFile, is_stream

LONGEST_FILE = 64_000_000
"""Bytes of a former file that are looked at: it may be anything."""


@dataclass(frozen=True, slots=True)
class MetricsFile:
    """The file of a job file's figures."""

    path: Path
    job_file: JobFile

    async def write(self, ended: RunResult | Exception, now: float, warn: Callable[[str], object]) -> None:
        """Replace the file; `now` is in seconds since 1970. When that fails, `warn` is told, and the run ends as it had ended."""
        try:
            await asyncio.to_thread(self._replace, ended, now)
        except AsyncrunError as error:
            warn(f"the metrics are not written: {error}")

    def _replace(self, ended: RunResult | Exception, now: float) -> None:
        former = b""
        with suppress(OSError), self.path.open("rb") as file:
            former = file.read(LONGEST_FILE)
        text = render_prometheus(run_metrics(run_end(self.job_file, ended, now), former.decode(errors="replace")))
        made = AtomicFile(self.path)
        try:
            made.write(text.encode())
            made.commit()
        finally:
            made.abort()


def metrics_file(options: RunOptions, job_file: JobFile) -> MetricsFile | None:
    """Return where the figures of a run go, None for nowhere: those of some of the items are news only where asked for.

    Blocks. Raises UsageError for what cannot be replaced.
    """
    if options.metrics_file is not None:
        path = Path(options.metrics_file).absolute()
        if options.metrics_file == "-" or is_stream(path):
            raise UsageError("--metrics-file takes a file, which is replaced as a whole", hint="Name one, such as run.prom.")
    elif job_file.metrics is not None and not options.is_partial:
        path = job_file.absolute(job_file.metrics)
    else:
        return None
    return MetricsFile(path, job_file)


def run_end(job_file: JobFile, ended: RunResult | Exception, now: float) -> RunEnd:
    """Return what is measured of a run that has ended with a result, or by an error. Blocks."""
    path, names = str(job_file.path.absolute()), [job.name for job in job_file.jobs]
    if isinstance(ended, RunResult):
        return RunEnd(path, names, now, ended.exit_code, ended.seconds, ended.jobs)
    return RunEnd(path, names, now, ended.exit_code if isinstance(ended, AsyncrunError) else AsyncrunError.exit_code)
