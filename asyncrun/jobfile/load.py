"""Reading a job file: from a path, or from a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from asyncrun.jobfile.files import load_text
from asyncrun.jobfile.loading import Loading, Options
from asyncrun.jobfile.model import JobFile


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
    return Loading(load_text(path, name), path, name, options).load()


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
    return Loading(text, path, shown or str(path), options).load()
