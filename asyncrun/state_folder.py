"""Folders: the private state folder beside a job file, and how it is found again."""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from asyncrun.errors import StorageError, UnknownRunError, UsageError, os_words

STATE_FOLDER = ".asyncrun"
LEDGER = "ledger.db"
TRACES = "traces.db"
CLAIMS = "claims"
LOCKS = "locks"
ENDINGS = (".yaml", ".yml")
"""Of job files."""


def state_folder(job_file: Path, override: Path | None = None) -> Path:
    """Return the state folder that belongs to a job file; it need not exist."""
    return override if override is not None else job_file.absolute().parent / STATE_FOLDER


def is_beside(folder: Path, job_file: Path) -> bool:
    """Tell whether a state folder is the one beside a job file, and not one that was chosen. Blocks."""
    return folder.resolve() == state_folder(job_file).resolve()


def job_file_id(folder: Path, job_file: Path) -> str:
    """Return the name under which a state folder keeps what is a job file's own. Blocks.

    Beside it that is its bare name, so that the folder can be moved; a chosen folder may serve job files of one name, from many folders.
    """
    if is_beside(folder, job_file):
        return job_file.name
    home = os.fsencode(job_file.absolute().parent.resolve())
    return f"{job_file.name}.{blake2b(home, digest_size=8).hexdigest()}"


def recorded_path(folder: Path, job_file: Path) -> str:
    """Return how the traces of a state folder name a job file: as given, and in a folder that was chosen by its whole path. Blocks."""
    return str(job_file if is_beside(folder, job_file) else job_file.absolute())


def lock_file(folder: Path, job_file: Path, suffix: str = "") -> Path:
    """Return the lock of a job file in its state folder, with a suffix that of a part of it. Blocks."""
    return folder / LOCKS / f"{job_file_id(folder, job_file)}{suffix}.lock"


def open_state_folder(folder: Path) -> Path:
    """Make the state folder if it is not there: private (0700), ignored by git. Raises StorageError.

    A folder that was there before keeps its permissions: it may not be ours alone. What is put into it is private in any case.
    """
    try:
        if not folder.exists():
            # Another run may make it at the same moment.
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700, parents=True)
                write_private(folder / ".gitignore", b"*\n")
        (folder / LOCKS).mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot write the state folder {folder}: {os_words(error)}",
            hint="Make the folder writable, or choose another one with --state-dir.",
        ) from error
    return folder


def state_file_exists(path: Path) -> bool:
    """Tell whether a file of a state folder is there. Blocks. Raises StorageError when nobody but its owner may know."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StorageError(
            f"cannot look into the state folder {path.parent}: {os_words(error)}",
            hint="Look as the user who runs the jobs, or name another folder with --state-dir.",
        ) from error
    return True


def find_state_folder(start: Path) -> Path | None:
    """Return the nearest state folder upward from `start`, or None."""
    for folder in (start, *start.parents):
        if (folder / STATE_FOLDER).is_dir():
            return folder / STATE_FOLDER
    return None


def existing_state_folder(file: Path | None, state_dir: Path | None) -> Path:
    """Return the state folder that is meant: of the job file, or the nearest upward.

    Raises UnknownRunError when there is none, UsageError when the file is not there. Blocks.
    """
    if file is not None and not file.exists():
        raise UsageError(f"{file} is not there", hint="Name the job file whose runs are meant, or leave -f out.")
    if file is not None or state_dir is not None:
        return state_folder(file or Path(), state_dir)
    found = find_state_folder(Path.cwd())
    if found is None:
        raise UnknownRunError(
            "no run is recorded here: there is no .asyncrun folder in this folder or above",
            hint="Run `asyncrun run` first, or name the job file with -f.",
        )
    return found


def job_files_in(folder: Path, state: Path) -> list[Path]:
    """Return what may be a job file of a folder: all YAML, and whatever has run there with this state folder. Blocks."""
    ran = [folder / lock.stem for lock in (state / LOCKS).glob("*.lock")]
    yaml = [path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and not path.is_dir()]
    return sorted({*yaml, *(path for path in ran if path.exists())})


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner can read. Raises FileExistsError when something is in its place, also a link that leads nowhere."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, with the folders above it. Raises OSError: FileExistsError also for a link that leads nowhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
