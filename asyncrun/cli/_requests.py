"""Flags as the request that `app` takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncrun.cli._options import Options
from asyncrun.errors import UsageError

if TYPE_CHECKING:
    from asyncrun.app.request import Request


def build_request(options: Options, file: Path, jobs: list[str], variables: list[str] | None = None, **more: Any) -> Request:
    """Return the request of a call. Raises UsageError for a variable without `=`, StorageError for an unreadable `--env-file`."""
    from asyncrun.app.request import Request, read_environment

    pairs = [assignment.partition("=") for assignment in variables or []]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise UsageError(f"--var takes NAME=VALUE, not {name!r}")
    return Request(
        file=file,
        jobs=tuple(jobs),
        environ=read_environment(os.environ, options.env_file),
        variables={name: value for name, _, value in pairs},
        state_dir=options.state_dir,
        **more,
    )
