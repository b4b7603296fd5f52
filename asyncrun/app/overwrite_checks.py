"""What a command writes is nothing that is read or kept: asked before the first file is opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from asyncrun.app.request import Request, WrittenPath
from asyncrun.errors import JobFileError, UsageError
from asyncrun.grammar.file_formats import STDOUT
from asyncrun.jobfile.files import is_job_file
from asyncrun.jobfile.job_file import JobFile
from asyncrun.jobfile.jobs import Job
from asyncrun.jobfile.loader import LoadOptions, load_job_file
from asyncrun.jobfile.output_checks import (
    FileLocation,
    Protected,
    find_collision,
    locate,
    output_files,
    protect_database,
    protect_files,
    protect_folder,
    protect_input,
    protect_parts,
    protect_store,
)
from asyncrun.state_folder import LEDGER, LOCKS, TRACES, job_files_in, state_folder
from asyncrun.writers.atomic import is_stream
from asyncrun.writers.interface import companions


@dataclass(frozen=True, slots=True)
class _Written:
    """Files that are written together, relative to `base`, and what they are; `job` is whose rows go there.

    Those that no flag names but the job file, as they are or for some of the rows, are `stated`.
    """

    what: str
    files: tuple[Path, ...]
    base: Path
    hint: str
    job: str | None = None
    stated: bool = False

    def locations(self) -> dict[Path, FileLocation]:
        """Return where the files lead; a stream is nothing that could be written over."""
        return {file: locate(self.base / file) for file in self.files if not is_stream(self.base / file)}


def check_written(request: Request, job_file: JobFile, jobs: Sequence[Job]) -> None:
    """Find out whether the outputs of the selected jobs and the files that flags name are free to be written. Blocks.

    What the job file states alone was checked as it was read, so without such a flag there is nothing to look at. Its own output is free
    for a job, also where a flag names it. Raises UsageError.
    """
    options = request.options
    changed = options.input or options.output or options.is_partial or options.metrics_file
    if not (request.written_paths or request.state_dir or request.env_file or changed):
        return
    around = [*_protect_state(request), *_protect_call(request)]
    rest = [*around, *(_protect_metrics(job_file) if options.metrics_file is None else ())]  # Else that takes their place.
    if request.text is None:
        rest.append(protect_files("the job file", [locate(request.file)]))
    kept = [*rest, *_protect_job_file(job_file)]
    stated = [*rest, *_protect_job_file(job_file, of_any_kind=False)]
    own = {job.name: _protect_output(job, job_file.root) for job in job_file.jobs}
    for written in _written(request, job_file, jobs):
        locations = written.locations()
        free = written.job is not None and any(map(own[written.job].holds, locations.values()))
        _refuse(locations, around if free else stated if written.stated else kept, written.hint)
        named = protect_files(written.what, locations.values())
        around, stated, kept = [*around, named], [*stated, named], [*kept, named]


def check_export(request: Request, state: Path, job_files: Sequence[Path]) -> None:
    """Find out whether the files that flags name are free to be written, beside job files that need not be readable. Blocks.

    Raises UsageError.
    """
    kept = [*_protect_state(replace(request, state_dir=state)), *_protect_call(request)]
    reading = LoadOptions(variables=request.variables, environ=request.environ, check_inputs=False, resolve=False, need_keys=False)
    for path in job_files:
        kept.append(protect_files("the job file" if path == request.file else "a job file", [locate(path)]))
        try:
            job_file = load_job_file(path, reading)
            kept += [*_protect_job_file(job_file), *_protect_metrics(job_file)]
        except JobFileError:
            continue  # What it names cannot be told, and no other command runs it either.
    for written in map(_of_flag, request.written_paths):
        _refuse(written.locations(), kept, written.hint)


def job_files_beside(state: Path) -> list[Path]:
    """Return the job files beside a state folder and in the working directory. Blocks."""
    found: set[Path] = set()
    for folder in (state.absolute().parent, Path.cwd()):
        with suppress(OSError):
            found |= {path for path in job_files_in(folder, state) if _may_be_job_file(path)}
    return sorted(found)


def _may_be_job_file(path: Path) -> bool:
    try:
        return is_job_file(path)
    except JobFileError:
        return True  # One with mistakes, or that cannot be read, must stay all the same.


def _refuse(locations: Mapping[Path, FileLocation], kept: Sequence[Protected], hint: str) -> None:
    for file, location in locations.items():
        if what := find_collision([location], kept):
            raise UsageError(f"{file} is {what}", hint=hint)


def _written(request: Request, job_file: JobFile, jobs: Sequence[Job]) -> Iterator[_Written]:
    """Yield what is written, outputs first."""
    redirected = (
        [WrittenPath("--output", request.options.output, request.jobs[0])]
        if request.options.output is not None and not request.options.is_partial
        else []
    )
    figures = [] if request.options.metrics_file is None else [WrittenPath("--metrics-file", request.options.metrics_file)]
    written_paths = [*redirected, *figures, *request.written_paths]
    for job in jobs:
        files = output_files(getattr(job, "output", None), Path())
        if files and job.name not in [target.job for target in written_paths]:
            yield _Written(f"the output of the job {job.name}", files, job_file.root, "Choose another path.", job.name, stated=True)
    yield from (_of_flag(target) for target in written_paths if target.path != STDOUT)


def _of_flag(target: WrittenPath) -> _Written:
    path, hint = Path(target.path), f"Choose another {target.flag}."
    if target.job is None:
        return _Written(f"what {target.flag} names, too", (path,), Path(), hint)
    return _Written(f"the output of the job {target.job}", (path, *companions(path)), Path(), hint, target.job)


def _protect_state(request: Request) -> Iterator[Protected]:
    """Yield the protections of the state folder, and of the one beside the job file where another one was chosen."""
    homes = [locate(folder).path for folder in (request.file.absolute().parent, Path.cwd())]
    for folder in {state_folder(request.file), state_folder(request.file, request.state_dir)}:
        if any(home.is_relative_to(locate(folder).path) for home in homes):
            # A chosen folder that holds the job file, or that one works in: not all that is there is state.
            yield protect_database("the ledger", folder / LEDGER)
            yield protect_database("the traces", folder / TRACES)
            yield protect_folder("in the state folder", folder / LOCKS)
        else:
            yield protect_folder("in the state folder", folder)


def _protect_call(request: Request) -> Iterator[Protected]:
    if request.env_file is not None:
        yield protect_files("the env file", [locate(request.env_file)])
    if request.options.input not in (None, STDOUT):
        yield protect_files(f"an input of the job {request.jobs[0]}", [locate(Path(str(request.options.input)))])


def _protect_job_file(job_file: JobFile, *, of_any_kind: bool = True) -> Iterator[Protected]:
    yield protect_files("a key file of the job file", [locate(path) for path in job_file.key_files])
    for job in job_file.jobs:
        yield protect_input(f"an input of the job {job.name}", job.input, job_file.root, of_any_kind=of_any_kind)
        yield from protect_parts(job, job.name, job_file.root)
        yield _protect_output(job, job_file.root)
    for name, store in job_file.stores.items():
        yield from protect_store(f"the store {name}", store, job_file.root)


def _protect_metrics(job_file: JobFile) -> Iterator[Protected]:
    if job_file.metrics is not None:
        yield protect_files("the metrics of the job file", [locate(job_file.root / job_file.metrics)])


def _protect_output(job: Job, root: Path) -> Protected:
    files = output_files(getattr(job, "output", None), root)
    return protect_files(f"the output of the job {job.name}", [locate(path) for path in files])
