"""Jobs run from Python: a job file, the text of one, or jobs made of keywords; what has come of them is a report."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from asyncrun.aio.bridge import asyncio_run
from asyncrun.app.report import Report
from asyncrun.app.request import Request, RowsFolder
from asyncrun.app.run import arun_jobs_of
from asyncrun.errors import JobFileError
from asyncrun.jobfile.jobs import ROWS_OF_REPORT, Job, job_model, needs_output
from asyncrun.jobfile.objects import as_job_file, text_of, without_places
from asyncrun.jobs.run_options import RunOptions
from asyncrun.ports import Progress
from asyncrun.ui.cell_output import new_cell_output
from asyncrun.ui.progress_choice import open_progress

if TYPE_CHECKING:
    from asyncrun.callbacks.base import CallbackManager

logger = logging.getLogger(__name__)

Jobs: TypeAlias = str | Path | Job | Mapping[str, Any] | Iterable[Job | Mapping[str, Any]]
"""A job file: its path, its text (of more than one line), its mapping; or a job, or several, as objects or as the mappings of entries."""
COLLECT_AFTER = 10_000
"""New objects that Python looks for cycles after, as long as `run` has the program: with its 700 that takes a tenth of a run."""


class LoggedWarnings(Progress):
    """Shows nothing; what a person should read is logged when the run has ended, for until then it gets whatever is logged."""

    def __init__(self) -> None:
        self._messages: list[str] = []

    def warn(self, message: str) -> None:
        """Keep a sentence."""
        self._messages.append(message)

    def close(self) -> None:
        """Log what was kept."""
        while self._messages:
            logger.warning("%s", self._messages.pop(0))


def run(
    jobs: Jobs,
    *names: str,
    options: RunOptions | None = None,
    variables: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: str | Path | None = None,
    state_dir: str | Path | None = None,
    show_progress: bool = False,
    callback_manager: CallbackManager | None = None,
) -> Report:
    """Run jobs to their end, also where an event loop is running, and return what has come of them.

    Args:
        jobs: the path of a job file, or its text or mapping; or jobs, made of the keywords that an entry of a job file has.
        names: which jobs; those that they need run, too. Without a name all run.
        options: what the flags of `asyncrun run` say.
        variables: values of `${...}`, before those of `environ`.
        environ: the environment, with the keys of providers; None: that of the process.
        folder: where the relative paths of a text or of jobs start, and where their state folder is; None: the working directory.
        state_dir: another state folder.
        show_progress: shows bars on a terminal and plain lines elsewhere, on stderr; in a notebook bars that move in their place, and at
            the end the trace map with its timing summary. Without it warnings, as of a ledger that was damaged, go to `logging`.
        callback_manager: its handlers are told of the events of the run.

    A job that fails raises nothing: `Report.status` and `Report.exit_code` tell it. What is wrong before the first request is raised:
    JobFileError with every mistake, LockedError where another run of the same jobs goes on, StorageError and others of `asyncrun.errors`.
    What is finished is in the state folder: the same call sends nothing twice. A job without `output` leaves no file: its rows and vectors
    are those of the report, and gone with it, while the state folder keeps the vectors.

    Until it returns, Python's collector looks for cycles after 10,000 new objects, unless it was set to more, or switched off.

    >>> import tempfile
    >>> from asyncrun.jobs import EmbedJob
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = run(EmbedJob(name="two", input={"items": ["one", "two"]}, output="two.npy"), folder=folder)
    ...     report.array().shape
    (2, 384)
    """
    with _seldom_collected():
        return asyncio_run(
            arun(
                jobs,
                *names,
                options=options,
                variables=variables,
                environ=environ,
                folder=folder,
                state_dir=state_dir,
                show_progress=show_progress,
                callback_manager=callback_manager,
            )
        )


@contextmanager
def _seldom_collected() -> Iterator[None]:
    before = gc.get_threshold()
    if not 0 < before[0] < COLLECT_AFTER:
        yield
        return
    gc.set_threshold(COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


async def arun(
    jobs: Jobs,
    *names: str,
    options: RunOptions | None = None,
    variables: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    folder: str | Path | None = None,
    state_dir: str | Path | None = None,
    show_progress: bool = False,
    callback_manager: CallbackManager | None = None,
) -> Report:
    """Run jobs on the running event loop; the arguments are those of `run`.

    Cancelled, it ends the requests in flight, keeps what is finished, and raises CancelledError.

    >>> import asyncio, tempfile
    >>> from asyncrun.jobs import EmbedJob
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     job = EmbedJob(name="two", input={"items": ["one", "two"]}, output="two.npy")
    ...     asyncio.run(arun(job, folder=folder)).array().shape
    (2, 384)
    """
    request = await asyncio.to_thread(_request, jobs, Path(folder or "."), variables or {})
    request = replace(
        request,
        jobs=names,
        environ=dict(os.environ if environ is None else environ),
        state_dir=None if state_dir is None else Path(state_dir),
        options=options or RunOptions(),
    )
    try:
        return await arun_request(request, show_progress=show_progress, callback_manager=callback_manager)
    except JobFileError as error:
        if request.text is None or request.text is jobs:
            raise
        raise without_places(error) from None


async def arun_request(request: Request, *, show_progress: bool = False, callback_manager: CallbackManager | None = None) -> Report:
    """Run what a request asks for. Raises as `run`, mistakes with the places that they have in the request's text."""
    progress = open_progress() if show_progress else LoggedWarnings()
    ran = await arun_jobs_of(request, progress, () if callback_manager is None else tuple(callback_manager.handlers))
    # A report may be pickled: it holds no keys, and nothing that belongs to this process.
    options = replace(request.options, executor=None)
    report = Report(ran, replace(request, environ={}, variables={}, options=options))
    if show_progress and (output := new_cell_output()) is not None:
        output.show(text=await asyncio.to_thread(report.trace))
    return report


def _request(jobs: Jobs, folder: Path, variables: Mapping[str, str]) -> Request:
    """Return which job file is meant: a path, or a text that has its own name for the same text. Blocks."""
    if isinstance(jobs, Path) or (isinstance(jobs, str) and "\n" not in jobs):
        return Request(Path(jobs), variables=variables)
    if isinstance(jobs, str):
        return Request(folder / _name_of(jobs), variables=variables, text=jobs)
    listed = [jobs] if isinstance(jobs, Job) or (isinstance(jobs, Mapping) and "kind" in jobs) else jobs
    described = as_job_file(listed)
    text, own_rows = (described.text, None) if isinstance(listed, Mapping) else _with_own_rows(described.text)
    variables = {**variables, **described.variables}
    return Request(folder / _name_of(described.text), variables=variables, text=text, rows_folder=own_rows)


def _name_of(text: str) -> str:
    return f"python-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:8]}"


def _with_own_rows(text: str) -> tuple[str, RowsFolder | None]:
    """Return jobs with a file in a folder of the report for those whose rows have none, and that folder."""
    data, own_rows = json.loads(text), None
    for number, entry in enumerate(data["jobs"]):
        if not isinstance(entry, dict):
            continue
        kind, output = entry.get("kind"), entry.get("output", {"path": ROWS_OF_REPORT})
        if output == {"path": ROWS_OF_REPORT} and isinstance(kind, str) and needs_output(job_model(kind)):
            own_rows = own_rows or RowsFolder()
            entry["output"] = {"path": f"{own_rows.path}/{number}.jsonl".replace("$", "$$")}
    return (text_of(data), own_rows) if own_rows else (text, None)
