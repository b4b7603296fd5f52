"""Reading a job file: from a path, from a text, or no more than the names of its jobs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asyncrun.errors import JobFileError
from asyncrun.jobfile.files import load_text
from asyncrun.jobfile.job_file import JobFile
from asyncrun.jobfile.loader import JobFileLoader, LoadOptions
from asyncrun.jobfile.mistakes import Findings, with_lines
from asyncrun.jobfile.yaml_parser import compose
from asyncrun.jobfile.yaml_tree import Listing, Scalar, Table, child
from asyncrun.jobfile.yaml_tree import Path as Steps


def load_job_file(path: Path, options: LoadOptions) -> JobFile:
    """Read a job file; its path stands in every mistake as it is given.

    Raises JobFileError with every mistake, UsageError for a job that is not in the file.
    """
    return parse_job_file(load_text(path), path, options)


def raise_mistakes(path: Path, found: Sequence[tuple[Steps, str]]) -> None:
    """Raise JobFileError for what was found of a job file that has no mistakes of its own: where each stands, and what it is."""
    text = load_text(path)
    root, _ = compose(text, str(path))
    findings = Findings(str(path), root or Table({}, 1, 1))
    for steps, message in found:
        findings.add(steps, message)
    try:
        findings.raise_all(lambda gap: True)
    except JobFileError as error:
        raise JobFileError(with_lines(error.mistakes, text)) from None


def is_job_file(path: Path) -> bool:
    """Tell whether a YAML file is a job file, or one of another program; one that is no YAML counts as a job file with mistakes.

    Raises JobFileError when it is no readable text.
    """
    root, mistakes = compose(load_text(path), str(path))
    return bool(mistakes) or child(root, "jobs") is not None


def parse_job_file(text: str, path: Path, options: LoadOptions) -> JobFile:
    """Read a job file's text as if it stood at `path`; else as `load_job_file`.

    >>> text = "jobs: [{name: notes, kind: embed, input: notes.jsonl, output: vectors.jsonl}]"
    >>> parse_job_file(text, Path("jobs.yaml"), LoadOptions(check_inputs=False)).jobs[0].name
    'notes'
    """
    try:
        return JobFileLoader(text, path, options).load()
    except JobFileError as error:
        raise JobFileError(with_lines(error.mistakes, text)) from None


def job_names(path: Path) -> list[str]:
    """Return the names, in the file's order; what is no name is left out. Raises JobFileError when the file cannot be read as YAML."""
    root, _ = compose(load_text(path), str(path))
    jobs = child(root, "jobs") if root is not None else None
    names = (child(item, "name") for item in jobs.items) if isinstance(jobs, Listing) else ()
    return [name.text for name in names if isinstance(name, Scalar)]
