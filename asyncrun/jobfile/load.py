"""Reading a job file: from a path, or from a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from asyncrun.errors import JobFileError
from asyncrun.jobfile.compose import compose
from asyncrun.jobfile.excerpt import with_lines
from asyncrun.jobfile.files import load_text
from asyncrun.jobfile.loading import Loading, Options
from asyncrun.jobfile.model import JobFile
from asyncrun.jobfile.tree import child


def load_job_file(
    path: Path,
    *,
    shown: str | None = None,
    variables: Mapping[str, str] = {},
    environ: Mapping[str, str],
    jobs: Sequence[str] = (),
    check_inputs: bool = True,
    resolve: bool = True,
    need_keys: bool = True,
) -> JobFile:
    """Read a job file.

    Args:
        path: the file.
        shown: its name as the user typed it; it stands in every mistake.
        variables: values that come before those of the environment.
        environ: the environment.
        jobs: names of the jobs that will run, none for all; variables, keys and inputs are demanded for what they reach.
        check_inputs: whether inputs must be there.
        resolve: whether variables must have a value.
        need_keys: whether variables of keys and headers must have one, and key files are read.

    Raises JobFileError with every mistake, UsageError for a job that is not in the file.
    """
    name = shown or str(path)
    options = Options(variables, environ, tuple(jobs), check_inputs, resolve, need_keys)
    return _load(load_text(path, name), path, name, options)


def is_job_file(path: Path) -> bool:
    """Tell whether a YAML file is a job file, or one of another program; one that is no YAML counts as a job file with mistakes.

    Raises JobFileError when it is no readable text.
    """
    root, mistakes = compose(load_text(path, str(path)), str(path))
    return bool(mistakes) or child(root, "jobs") is not None


def parse_job_file(
    text: str,
    *,
    path: Path = Path("jobs.yaml"),
    shown: str | None = None,
    variables: Mapping[str, str] = {},
    environ: Mapping[str, str] = {},
    jobs: Sequence[str] = (),
    check_inputs: bool = True,
    resolve: bool = True,
    need_keys: bool = True,
) -> JobFile:
    """Read a job file's text as if it stood at `path`; else as `load_job_file`.

    >>> text = "jobs: [{name: notes, kind: embed, input: notes.jsonl, output: vectors.jsonl}]"
    >>> parse_job_file(text, check_inputs=False).jobs[0].name
    'notes'
    """
    options = Options(variables, environ, tuple(jobs), check_inputs, resolve, need_keys)
    return _load(text, path, shown or str(path), options)


def _load(text: str, path: Path, shown: str, options: Options) -> JobFile:
    try:
        return Loading(text, path, shown, options).load()
    except JobFileError as error:
        raise JobFileError(with_lines(error.mistakes, text)) from None
