"""What has come of a run that Python has asked for: how its jobs ended, their rows and vectors, their failures, and the run's trace."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from asyncrun import registry
from asyncrun.app.recorded_runs import export_page, read_trace
from asyncrun.app.request import Request
from asyncrun.app.run import RunReport
from asyncrun.errors import (
    AsyncrunError,
    AuthError,
    BudgetError,
    JobFailedError,
    OutputError,
    Place,
    StorageError,
    TryLaterError,
    UsageError,
)
from asyncrun.grammar.file_formats import ids_path, parse_ids
from asyncrun.humanize import did_you_mean
from asyncrun.ledger.job_records import known_failures
from asyncrun.ledger.ledger import Ledger
from asyncrun.readers.interface import BadRecord
from asyncrun.records import ItemFailure
from asyncrun.results import JobResult, Status
from asyncrun.short_help import ShortHelp
from asyncrun.state_folder import LEDGER, job_file_id, state_file_exists
from asyncrun.trace.views.run_end import render_end
from asyncrun.usage import Usage

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_ROWS_AT_ONCE = 4096
"""Rows that become a part of an Arrow table together."""
WIDTH = 100
"""Columns of a trace as text."""
_ERRORS: Mapping[int, type[AsyncrunError]] = {
    error.exit_code: error for error in (JobFailedError, UsageError, BudgetError, OutputError, StorageError, TryLaterError, AuthError)
}


@dataclass(frozen=True, slots=True, repr=False)
class Report(metaclass=ShortHelp):
    """How a run ended, and what it has made; in a notebook it shows itself as the page of its trace.

    Rows are read from the outputs as they are now: a later run of the same jobs replaces them. Those of a job without one are the report's.

    >>> import asyncrun, tempfile
    >>> job = {"name": "two", "kind": "embed", "input": {"items": ["one", ""]}, "output": "two.jsonl"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = asyncrun.run({"jobs": [job]}, folder=folder)
    ...     report.exit_code, [row["id"] for row in report.rows()], [failure.reason for failure in report.failures()]
    (3, ['items#1'], ['empty'])
    """

    ran: RunReport = field(repr=False)
    request: Request = field(repr=False)

    def __repr__(self) -> str:
        return f"<Report of {self.run_id}: {', '.join(f'{name} {job.status}' for name, job in self.jobs.items()) or self.status}>"

    @property
    def run_id(self) -> str:
        """Return the id of the run, which `asyncrun trace` takes."""
        return self.ran.result.run_id

    @property
    def status(self) -> Status:
        """Return how the run ended."""
        return self.ran.result.status

    @property
    def exit_code(self) -> int:
        """Return what `asyncrun run` would have ended with; 0: every item has its row."""
        return self.ran.result.exit_code

    @property
    def seconds(self) -> float:
        """Return how long the run took."""
        return self.ran.result.seconds

    @property
    def usage(self) -> Usage:
        """Return the requests, tokens and cost of all jobs together."""
        return self.ran.result.usage

    @property
    def jobs(self) -> Mapping[str, JobResult]:
        """Return how each job ended, by its name, in the order of the run."""
        return {job.name: job for job in self.ran.result.jobs}

    def check(self) -> None:
        """Raise the error of the first job that has not reached its end; items that have failed are no error of a job.

        Its class follows from the exit code: AuthError (77), TryLaterError (75), StorageError (74), OutputError (73), BudgetError (4),
        UsageError (2), JobFailedError (1).
        """
        for name, job in self.jobs.items():
            if (error := _ERRORS.get(job.exit_code)) is not None:
                raise error(f"job {name}: {job.reason}", hint=job.hint)

    def rows(self, job: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the rows of a job, the only one where none is named, in input order; an embedding is an array of float32.

        Raises UsageError for a job that is not there or has no output, StorageError when that cannot be read.
        """
        import numpy as np

        path, form = self._output(job)
        if form == "npy":
            # Mapped, not read: a row is copied when its turn comes.
            vectors = _load_array(path, mmap_mode="r")
            try:
                yield from ({"id": name, "embedding": np.array(vector)} for name, vector in zip(_read_ids(path), vectors, strict=True))
            except ValueError as error:
                raise StorageError(f"{ids_path(path)} does not have an id for each row of {path}") from error
            return
        for record in registry.load("readers", form)(path, str(path)):
            if isinstance(record, BadRecord):
                raise StorageError(record.message, place=record.place)
            row = dict(record.fields)
            if (embedding := row.get("embedding")) is not None:
                row["embedding"] = _read_embedding(embedding, record.place)
            yield row

    def array(self, job: str | None = None) -> np.ndarray:
        """Return the embeddings of a job's rows as an array of float32 with a row for each: (rows, dimensions), (0, 0) without any.

        Raises as `rows`, and UsageError where the rows have no embeddings.
        """
        import numpy as np

        path, form = self._output(job)
        if form == "npy":
            return _load_array(path)
        # One growing buffer: a list of a million arrays takes several times the room of their numbers.
        numbers, rows, size = bytearray(), 0, 0
        for rows, row in enumerate(self.rows(job), 1):
            if not isinstance(embedding := row.get("embedding"), np.ndarray):
                raise UsageError(f"the rows of {path} have no embedding", hint="Ask for its rows().")
            if rows == 1:
                size = len(embedding)
            elif len(embedding) != size:
                raise StorageError(f"{path} has embeddings of {size} and of {len(embedding)} numbers")
            numbers += embedding.tobytes()
        return np.frombuffer(numbers, dtype=np.float32).reshape(rows, size)

    def table(self, job: str | None = None) -> pa.Table:
        """Return the rows of a job as an Arrow table (extra `parquet`). Raises as `rows`, and MissingExtraError."""
        if (missing := registry.missing_extra("writers", "parquet")) is not None:
            raise missing
        import pyarrow as pa
        import pyarrow.parquet as pq

        path, form = self._output(job)
        if form == "parquet":
            return pq.read_table(path)
        rows = self.rows(job)
        parts = list(iter(lambda: pa.Table.from_pylist(list(islice(rows, _ROWS_AT_ONCE))), pa.table({})))
        return pa.concat_tables(parts, promote_options="permissive") if parts else pa.table({})

    def failures(self, job: str | None = None) -> list[ItemFailure]:
        """Return the items of a job, or of all, that have no row, each with its reason and place, as the ledger has them now.

        Raises UsageError for an unknown job, StorageError when the state folder is gone.
        """
        if job is not None:
            self._check_name(job)
        state, names = self.ran.state, self.jobs if job is None else [job]
        if not state_file_exists(state / LEDGER):
            raise StorageError(f"the state folder {state} of the run is gone", hint="Run the jobs again.")
        ledger, file = Ledger(state / LEDGER), job_file_id(state, self.request.file)
        try:
            return [known.failure for name in names for known in known_failures(ledger, f"{file}/{name}").values()]
        finally:
            ledger.close()

    def trace(self) -> str:
        """Return the trace map and the timing summary, as `asyncrun run` prints them. Raises UnknownRunError, StorageError."""
        return str(render_end(*read_trace(self.ran.state, self.run_id), WIDTH))

    def html(self) -> str:
        """Return the trace as a page that stands alone, as `asyncrun trace html` writes it. Raises UnknownRunError, StorageError."""
        return export_page(self.ran.state, self.run_id)[1]

    def _repr_html_(self) -> str:
        # A frame: the page has styles and a policy of its own, and a notebook has others.
        page, style = html.escape(self.html()), "width: 100%; height: 30em; border: 0"
        return f'<iframe srcdoc="{page}" title="Trace {self.run_id}" style="{style}"></iframe>'

    def _check_name(self, job: str) -> None:
        if job not in self.jobs:
            raise UsageError(f"the run has no job {job!r}; it has {', '.join(self.jobs)}{did_you_mean(job, list(self.jobs))}")

    def _output(self, job: str | None) -> tuple[Path, str]:
        if job is not None:
            self._check_name(job)
        made = {name: output for name, output in self.ran.outputs.items() if job in (None, name)}
        if not made:
            raise UsageError(f"{'the run' if job is None else f'the job {job}'} has no rows")
        if len(made) > 1:
            raise UsageError(f"several jobs have rows: {', '.join(made)}", hint="Name one.")
        return next(iter(made.values()))


def _load_array(path: Path, mmap_mode: Literal["r"] | None = None) -> np.ndarray:
    import numpy as np

    try:
        loaded: np.ndarray = np.load(path, mmap_mode=mmap_mode)
    except (OSError, ValueError) as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
    if loaded.ndim != 2 or loaded.dtype.kind != "f":
        raise StorageError(f"{path} has no rows of numbers but {loaded.dtype} of the shape {loaded.shape}")
    return loaded


def _read_embedding(embedding: Any, place: Place) -> np.ndarray:
    import numpy as np

    try:
        # In CSV it is written as JSON.
        numbers = np.array(json.loads(embedding) if isinstance(embedding, str) else embedding, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise StorageError("the embedding is no list of numbers", place=place) from error
    if numbers.ndim != 1:
        raise StorageError("the embedding is no list of numbers", place=place)
    return numbers


def _read_ids(path: Path) -> Iterator[str]:
    """Yield the ids of an array's rows, line by line."""
    try:
        with ids_path(path).open(encoding="utf-8") as lines:
            for line in lines:
                yield from parse_ids(line)
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{ids_path(path)} cannot be read: {error}") from error
