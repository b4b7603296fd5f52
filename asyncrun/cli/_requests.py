"""Words and flags of a call as the request that `app` takes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from asyncrun.cli._flags_and_completion import GlobalOptions
from asyncrun.errors import UsageError
from asyncrun.grammar.file_formats import STDOUT

if TYPE_CHECKING:
    from asyncrun.app.request import Request, WrittenPath
    from asyncrun.grammar.shard import Shard
    from asyncrun.jobfile.units import Threshold
    from asyncrun.jobs.run_options import RunOptions

T = TypeVar("T")
DEFAULTS = ("asyncrun.yaml", "jobs.yaml")
"""Names of a job file that is meant where none is named."""


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


def parse_time(flag: str, text: str | None) -> float | None:
    """Return seconds of a flag such as `--max-runtime 2h`, None when it is not given. Raises UsageError."""
    from asyncrun.jobfile.units import DURATIONS, parse_duration

    return _parsed(flag, text, parse_duration, "not a time", DURATIONS)


def parse_part(flag: str, text: str | None) -> Threshold | None:
    """Return a threshold of a flag such as `--max-delete 50%`, None when it is not given. Raises UsageError."""
    from asyncrun.jobfile.units import THRESHOLDS, parse_threshold

    return _parsed(flag, text, parse_threshold, "neither a count nor a percentage", THRESHOLDS)


def parse_shard(text: str | None) -> Shard | None:
    """Return the shard of `--shard 2/4`, None when it is not given. Raises UsageError."""
    if text is None:
        return None
    from asyncrun.grammar import shard

    return _parsed("--shard", text, shard.parse_shard, "not a shard", shard.SHARDS)


def parse_names(text: str | None) -> tuple[str, ...]:
    """Return the names of a flag that takes several with commas between them.

    >>> parse_names("webhook, slack")
    ('webhook', 'slack')
    """
    return tuple(name for word in (text or "").split(",") if (name := word.strip()))


def _parsed(flag: str, text: str | None, parse: Callable[[str], T], otherwise: str, takes: str) -> T | None:
    if text is None:
        return None
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(f"{flag} {text}: {str(error) or otherwise}", hint=f"It takes {takes}.") from error


def parse_if_running(word: str) -> tuple[bool, float]:
    """Return whether to skip the run when another one goes on, and how many seconds to wait for it. Raises UsageError.

    >>> parse_if_running("wait=10s")
    (False, 10.0)
    """
    choice, _, time = word.partition("=")
    if choice not in ("fail", "skip", "wait") or (time and choice != "wait"):
        raise UsageError(f"--if-running takes fail, skip or wait[=TIME], not {word!r}", hint="See asyncrun run --help.")
    forever = float("inf")
    return choice == "skip", 0.0 if choice != "wait" else (parse_time("--if-running wait", time or None) or forever)


def check_target(options: GlobalOptions, output: str, state: Path, file: Path | None) -> None:
    """Refuse an `--output` of what lies in a state folder that names what its job files read. Blocks. Raises UsageError."""
    from asyncrun.app.overwrite_checks import check_export, job_files_beside
    from asyncrun.app.request import WrittenPath

    if output != STDOUT:
        request = build_request(options, file or state, [], written_paths=(WrittenPath("--output", output),))
        check_export(request, state, [file] if file is not None else job_files_beside(state))


def build_request(
    options: GlobalOptions,
    file: Path,
    jobs: list[str],
    variables: list[str] | None = None,
    run: RunOptions | None = None,
    *,
    text: str | None = None,
    written_paths: tuple[WrittenPath, ...] = (),
) -> Request:
    """Return the request of a call. Raises UsageError for a variable without `=`, StorageError for an unreadable `--env-file`."""
    from asyncrun.app.request import Request, read_environment
    from asyncrun.jobs.run_options import RunOptions

    pairs = [assignment.partition("=") for assignment in variables or []]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise UsageError(f"--var takes NAME=VALUE, not {name!r}")
    return Request(
        file=file,
        jobs=tuple(jobs),
        environ=read_environment(os.environ, options.env_file),
        env_file=options.env_file,
        variables={name: value for name, _, value in pairs},
        state_dir=options.state_dir,
        text=text,
        written_paths=written_paths,
        options=run or RunOptions(),
    )
