"""What jobs write: each output in a place of its own, and none over what a job reads or keeps, by whatever name of the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncrun.errors import StorageError
from asyncrun.escape import printable
from asyncrun.grammar.file_formats import OUTPUTS, STDIN, STDOUT, ids_path
from asyncrun.grammar.globs import is_glob
from asyncrun.jobfile.entries import JobEntry
from asyncrun.jobfile.files import real
from asyncrun.jobfile.input_checks import find_glob, input_matcher, is_of_any_kind, parse_excluded
from asyncrun.jobfile.input_output import InputConfig, OutputConfig
from asyncrun.jobfile.jobs import Job, setting_of
from asyncrun.jobfile.mistakes import Findings
from asyncrun.jobfile.sections import StoreConfig
from asyncrun.jobfile.unavailable import Names
from asyncrun.state_folder import state_folder

SQLITE_COMPANIONS = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps beside a database."""
OWN_INPUT = "an input of this job: an input cannot be an output"


@dataclass(frozen=True, slots=True)
class FileLocation:
    """Where a path leads: without symbolic links and `..`, and the file there (device and inode; None: nothing) with its hard links."""

    path: Path
    file: tuple[int, int] | None = None
    links: int = 0


@dataclass(frozen=True, slots=True)
class Protected:
    """Files that must not be written over: `what` completes "PATH is ...", `holds` tells whether a location is one of them."""

    what: str
    holds: Callable[[FileLocation], bool]


def check_format(entry: JobEntry, names: Names, findings: Findings) -> None:
    """The format of an output is known, and holds what its job writes."""
    output: OutputConfig | None = setting_of(entry.job, "output")
    if output is None:
        return
    stated, where = entry.path("output", "format"), entry.path("output")
    if output.format == "npy" and entry.model.declared and not entry.model.rows_hold_vectors and entry.job is not None:
        message = f"an .npy file holds embeddings, and the rows of a {entry.job.kind} have none"
        findings.add(where, message, ", ".join([*(ending for ending in OUTPUTS if ending != ".npy"), "'-'"]))
    elif output.format == "npy" and output.columns is not None:
        findings.add(entry.path("output", "columns"), "an .npy file holds embeddings and ids, without a choice of columns", "no columns")
    if output.path == STDOUT and output.format != "jsonl":
        findings.add(stated, f"standard output takes jsonl, not{findings.quoted(stated)}", "jsonl, or a path to a file")
    elif findings.node(stated) is not None:
        names.check("writers", "output format", output.format, stated, findings)
    elif output.format:
        names.check("writers", "output format", output.format, where, findings)
    elif not findings.knows(where):
        built = [ending for ending, name in OUTPUTS.items() if name in names.built("writers")]
        findings.add(where, "the ending of the path names no format", f"{', '.join(built)}, '-', or a mapping with path and format")


def check_outputs(entries: Sequence[JobEntry], root: Path, stays: Sequence[Protected], findings: Findings) -> None:
    """Every output is written by one job, at most one goes to stdout, and none is what the job reads or what must stay for others."""
    written: list[Protected] = []
    stdout: JobEntry | None = None
    for entry in entries:
        output: OutputConfig | None = setting_of(entry.job, "output")
        if entry.job is None or output is None:
            continue
        where, files = entry.path("output"), [locate(path) for path in output_files(output, root)]
        if not files and stdout is not None:
            findings.add(where, f"the job {stdout.shown!r} writes to stdout already", "an output of its own")
        elif not files:
            stdout = entry
        elif what := find_collision(files, written):
            findings.add(where, what, "an output of its own")
        elif not findings.knows(where) and (what := find_collision(files, [_protect_from_own(OWN_INPUT, entry.job, root), *stays])):
            findings.add(where, f"the output is {what}", "another path")
        written.append(protect_files(f"the job {entry.shown!r} writes this output too", files))


def check_metrics(path: str | None, entries: Sequence[JobEntry], root: Path, stays: Sequence[Protected], findings: Findings) -> None:
    """The file of the figures is written by nobody else, and is nothing that a job reads or that must stay."""
    if path is None:
        return
    jobs = [(printable(entry.shown, 60), entry.job) for entry in entries if entry.job is not None]
    kept = [*stays, *(_protect_from_own(f"an input of the job {shown}", job, root) for shown, job in jobs)]
    outputs = ((shown, output_files(setting_of(job, "output"), root)) for shown, job in jobs)
    kept += (protect_files(f"the output of the job {shown}", [locate(file) for file in files]) for shown, files in outputs)
    if path == STDOUT:
        findings.add(("metrics",), "figures are written to a file, which is replaced as a whole", "a path, such as run.prom")
    elif what := find_collision([locate(root / path)], kept):
        findings.add(("metrics",), f"the file is {what}", "another path")


def what_stays(entries: Sequence[JobEntry], root: Path, job_file: Path, key_files: Collection[str]) -> list[Protected]:
    """Return what no job may write over. Blocks."""
    parts = (each for entry in entries if entry.job is not None for each in protect_parts(entry.job, printable(entry.shown, 60), root))
    return [
        protect_files("the job file", [locate(job_file)]),
        protect_files("a key file of the job file", [locate(root / path) for path in key_files]),
        protect_folder("in the state folder", state_folder(job_file)),
        *parts,
    ]


def written_files(entries: Sequence[JobEntry], root: Path) -> frozenset[Path]:
    """Return the files that jobs write."""
    return frozenset(path for entry in entries if (path := rows_file(entry.job, root)) is not None)


def rows_file(job: Job | None, root: Path) -> Path | None:
    """Return the file that a job writes, None for stdout or a store."""
    output: OutputConfig | None = setting_of(job, "output")
    return None if output is None or output.path == STDOUT else real(root / output.path)


def protect_input(what: str, given: InputConfig, root: Path, *, of_any_kind: bool = True) -> Protected:
    """Return the protection of an input: its files, and what its globs would take if it were there. Blocks.

    A glob for files of any kind, such as `**/*`, leaves out what the job file itself writes: without `of_any_kind` it protects nothing.
    """
    covers, excluded = input_matcher(given, root, is_of_any_kind if not of_any_kind else lambda _: False), parse_excluded(given, root)
    locations = (locate(root / path) for path in given.paths if path != STDIN)
    named = protect_files(what, [location for location in locations if not excluded(str(location.path))])

    def holds(location: FileLocation) -> bool:
        if covers(location.path) or named.holds(location):
            return True
        # Only a file with several names can be one that a glob finds elsewhere: all of them are looked at only then.
        others = map(locate, _found(given, root)) if location.links > 1 else ()
        return any(other.file == location.file and other.path != location.path for other in others)

    return Protected(what, holds)


def _protect_from_own(what: str, job: Job, root: Path) -> Protected:
    return protect_input(what, job.input, root, of_any_kind=False)


def protect_parts(job: Job, shown: str, root: Path) -> Iterator[Protected]:
    """Yield the protections of what a job reads beside its input, and of its store. Blocks."""
    files = files_beside(job).items()
    yield from (protect_files(f"the {word} of the job {shown}", [locate(root / path)]) for word, path in files if path)
    if job.declared or "store" in job.model_fields_set:
        store: StoreConfig | None = getattr(job, "store", None)
        if store is not None:
            yield from protect_store(f"the store of the job {shown}", store, root)


def files_beside(job: Job) -> dict[str, str | None]:
    """Return the files that a job reads beside its input, by what they are."""
    files = dict(job.files)
    for word in ("embedder", "llm"):
        tokenizer = getattr(getattr(job, word, None), "tokenizer", None)
        files[f"{word}'s tokenizer"] = tokenizer if tokenizer and tokenizer.endswith(".json") else None
    return files


def protect_store(what: str, store: StoreConfig, root: Path) -> Iterator[Protected]:
    """Yield the protection of a store's file or folder; a store behind an address has none. Blocks."""
    if store.is_database_file:
        yield protect_database(what, root / store.path)
    elif "path" in store.model_fields_set:
        yield protect_folder(what, root / store.path)


def output_files(output: OutputConfig | None, root: Path) -> tuple[Path, ...]:
    """Return the files that an output writes, none for stdout: an .npy file has its ids beside it.

    >>> [path.name for path in output_files(OutputConfig.model_validate("notes.npy"), Path("out"))]
    ['notes.npy', 'notes.ids.txt']
    """
    if output is None or output.path == STDOUT:
        return ()
    path = root / output.path
    return (path, ids_path(path)) if output.format == "npy" else (path,)


def _found(given: InputConfig, root: Path) -> Iterator[Path]:
    """Yield the files that the globs of an input find; a folder that cannot be listed has none."""
    excluded = parse_excluded(given, root)
    for text in given.paths:
        glob = find_glob(text, real(root)) if is_glob(text) else None
        try:
            yield from (Path(glob.folder, inside) for inside, is_input in glob.walk(excluded) if is_input) if glob else ()
        except (OSError, StorageError):
            continue


def locate(path: Path) -> FileLocation:
    """Return where a path leads; it need not be there. Blocks."""
    real = Path(os.path.realpath(path))
    try:
        found = real.stat()
    except (OSError, ValueError):
        return FileLocation(real)
    return FileLocation(real, (found.st_dev, found.st_ino), found.st_nlink)


def find_collision(locations: Iterable[FileLocation], protected: Sequence[Protected]) -> str | None:
    """Return what the first location is that is protected, None when none is.

    >>> find_collision([locate(Path("a/../jobs.yaml"))], [protect_files("the job file", [locate(Path("jobs.yaml"))])])
    'the job file'
    """
    return next((each.what for location in locations for each in protected if each.holds(location)), None)


def protect_files(what: str, locations: Collection[FileLocation]) -> Protected:
    """Return the protection of single files."""
    paths = {location.path for location in locations}
    files = {location.file for location in locations if location.file is not None}
    return Protected(what, lambda location: location.path in paths or location.file in files)


def protect_database(what: str, path: Path) -> Protected:
    """Return the protection of a SQLite database with the files beside it. Blocks."""
    real = locate(path).path
    return protect_files(what, [locate(real.with_name(real.name + ending)) for ending in ("", *SQLITE_COMPANIONS)])


def protect_folder(what: str, folder: Path) -> Protected:
    """Return the protection of a folder and all below it. Blocks."""
    real = locate(folder).path

    def holds(location: FileLocation) -> bool:
        if location.path.is_relative_to(real):
            return True
        # Only a file with several names can be below the folder, too.
        return location.links > 1 and any(locate(path).file == location.file for path in real.rglob("*"))

    return Protected(what, holds)
