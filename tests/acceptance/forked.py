"""Runs commands, each in a process of its own with streams of its own; what they all import is imported once, before they are forked.

Reads `[{"words": [...], "folder": ..., "stdout": WHERE, "stderr": WHERE}]` from standard input, where WHERE is a file's path, `closed`,
`full` (a disk) or `gone` (a reader), and writes the exit codes as a JSON list.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from typing import Any, NoReturn

from asyncrun.cli import main

AT_ONCE = 3


def run_all(cases: list[dict[str, Any]]) -> list[int] | None:
    """Return the exit codes in order; in the process of a case, return None: what follows is the command."""
    running: dict[int, int] = {}
    codes = [-1] * len(cases)
    for number, case in enumerate(cases):
        if len(running) == AT_ONCE:
            _wait(running, codes)
        pid = os.fork()
        if not pid:
            _become(case)
            return None
        running[pid] = number
    while running:
        _wait(running, codes)
    return codes


def _wait(running: dict[int, int], codes: list[int]) -> None:
    pid, status = os.wait()
    codes[running.pop(pid)] = os.waitstatus_to_exitcode(status)


def _become(case: dict[str, Any]) -> None:
    os.chdir(case["folder"])
    os.environ["XDG_CONFIG_HOME"] = case["folder"]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["asyncrun", *case["words"]]
    sys.stdout = _stream(1, case["stdout"])
    sys.stderr = _stream(2, case["stderr"], errors="backslashreplace", buffering=1)


def _stream(number: int, where: str, **options: Any) -> Any:
    """Return a standard stream as the interpreter makes it at its start: none in the place of a closed descriptor."""
    if where == "closed":
        os.close(number)
        return None
    if where == "gone":
        reader, descriptor = os.pipe()
        os.close(reader)
    else:
        descriptor = os.open("/dev/full" if where == "full" else where, os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(descriptor, number)
    os.close(descriptor)
    return open(number, "w", encoding="utf-8", closefd=False, **options)


def _end(code: object) -> NoReturn:
    """End as the interpreter does, which flushes both streams, without its taking down all that was imported."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            code = 120
    os._exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    import httpx_aiohttp  # noqa: F401

    import asyncrun.app.clean
    import asyncrun.app.doctor
    import asyncrun.app.ledger_transfer
    import asyncrun.app.recorded_runs
    import asyncrun.app.run
    import asyncrun.cli._app
    import asyncrun.http  # noqa: F401

    gc.freeze()
    if (codes := run_all(json.load(sys.stdin))) is None:
        try:
            main()
        except SystemExit as ending:
            _end(ending.code)
        _end(0)
    print(json.dumps(codes))
