"""Which job file is meant when none is named."""

from __future__ import annotations

from pathlib import Path

from asyncrun.errors import UsageError

DEFAULTS = ("asyncrun.yaml", "jobs.yaml")


def job_file(words: list[str], example: str = "run jobs.yaml") -> tuple[Path, list[str]]:
    """Split the words after a command into the job file and the names of jobs.

    The first word is a file when it looks like one; without a file the folder's `asyncrun.yaml` or `jobs.yaml` is taken.
    Raises UsageError when there is none; `example` is how the command is called with one.

    >>> job_file(["nightly.yaml", "ask"])
    (PosixPath('nightly.yaml'), ['ask'])
    """
    if words and (words[0].endswith((".yaml", ".yml")) or "/" in words[0] or _is_file(words[0])):
        return Path(words[0]), words[1:]
    for name in DEFAULTS:
        if Path(name).exists():
            return Path(name), words
    named = f"{words[0]!r} is no file, and there" if words else "there"
    hint = f"Make one with `asyncrun init`, or name it: asyncrun {example}"
    raise UsageError(f"{named} is no {' or '.join(DEFAULTS)} in this folder", hint=hint)


def only_job_file(word: str | None, example: str) -> Path:
    """Return the job file of a command that takes no jobs: the word is a file, whatever it looks like. Raises as `job_file`."""
    return job_file([], example)[0] if word is None else Path(word)


def _is_file(word: str) -> bool:
    path = Path(word)  # A folder beside the job file may well have the name of a job.
    return path.exists() and not path.is_dir()
