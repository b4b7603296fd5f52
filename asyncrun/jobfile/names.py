"""The names of a job file's jobs as they stand there, read without checking the rest."""

from __future__ import annotations

from pathlib import Path

from asyncrun.jobfile.compose import compose
from asyncrun.jobfile.files import load_text
from asyncrun.jobfile.tree import Listing, Scalar, child


def job_names(path: Path) -> list[str]:
    """Return the names, in the file's order; what is no name is left out. Raises JobFileError when the file cannot be read as YAML."""
    root, _ = compose(load_text(path), str(path))
    jobs = child(root, "jobs") if root is not None else None
    names = (child(item, "name") for item in jobs.items) if isinstance(jobs, Listing) else ()
    return [name.text for name in names if isinstance(name, Scalar)]
