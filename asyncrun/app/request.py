"""What a command asks of the app, and the environment that it is asked in."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from weakref import finalize

from asyncrun.errors import Place, StorageError, UsageError, os_words
from asyncrun.jobs.run_options import RunOptions

SECRET_NAMES = re.compile(r"(?i)(key|token|secret|password|passwd|credentials?)$")
"""Names of variables whose values never reach an output."""


@dataclass(frozen=True, slots=True)
class WrittenPath:
    """A path that a flag names to be written, `-` for standard output; `job` is whose rows go there, None for anything else."""

    flag: str
    path: str
    job: str | None = None


class RowsFolder:
    """A folder for rows that nobody wants as a file; it is gone with what holds this, at the latest when the program ends."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="asyncrun-rows-"))
        finalize(self, _remove_unless_forked, self.path, os.getpid())


def _remove_unless_forked(folder: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Request:
    """One call: which jobs of which file, in which environment, with which options.

    With `text` it is that of the job file, and no file is read. `written_paths` are what the call writes besides; `env_file` is where a
    part of `environ` comes from, `rows_folder` where those rows go that have no output.
    """

    file: Path
    jobs: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    state_dir: Path | None = None
    env_file: Path | None = None
    text: str | None = field(default=None, repr=False)
    written_paths: tuple[WrittenPath, ...] = ()
    options: RunOptions = field(default_factory=RunOptions)
    rows_folder: RowsFolder | None = field(default=None, repr=False, compare=False)


def read_environment(environ: Mapping[str, str], env_file: Path | None) -> dict[str, str]:
    """Return the environment over the variables of an env file: lines `NAME=VALUE`, `#` begins a comment line, quotes around a value go.

    Raises StorageError when the file cannot be read, UsageError for another line or a file that others can read.
    """
    if env_file is None:
        return dict(environ)
    try:
        text = env_file.read_text(encoding="utf-8")
        mode = env_file.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read the env file {env_file}: {os_words(error)}", hint="Check the path of --env-file.") from error
    if mode & 0o077:
        raise UsageError(f"the env file {env_file} can be read by others", hint=f"It may hold keys: chmod 600 {env_file}")
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not name or name.startswith("#"):
            continue
        if not equals:
            raise UsageError("a line without NAME=VALUE", place=Place(str(env_file), number), hint="Correct the env file.")
        found[name.strip()] = _unquoted(value.strip())
    return {**found, **environ}


def environment_secrets(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the values of variables whose names say that they are secrets.

    >>> environment_secrets({"OPENAI_API_KEY": "sk-1234567", "HOME": "/home/me", "GOOGLE_APPLICATION_CREDENTIALS": "/etc/google.json"})
    frozenset({'sk-1234567'})

    The path of a file is none: parts of it are those of any path.
    """
    secrets = (value for name, value in environ.items() if len(value) >= 8 and SECRET_NAMES.search(name))
    return frozenset(value for value in secrets if not _is_path(value))


def _is_path(value: str) -> bool:
    return value.startswith("/") and Path(*Path(value).parts[:2]).is_dir()


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"" else value
