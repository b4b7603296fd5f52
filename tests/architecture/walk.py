"""Runs `asyncrun run jobs.yaml` in this process and writes what was called, in the order of first calls, as JSON to the file that is named.

Usage: walk.py FILE. `calls` are [file below asyncrun/, qualified name]; `wire` are the files that stand around a request as it leaves,
from the outside.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from types import FrameType

import asyncrun

HOUSE = f"{Path(asyncrun.__file__).parent}/"
LEAVING = ("aiohttp/client.py", "_request")


class Walk:
    """What a profiler saw."""

    def __init__(self) -> None:
        self.calls: dict[tuple[str, str], None] = {}
        self.wire: list[str] = []

    def saw(self, frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event != "call":
            return
        if code.co_filename.startswith(HOUSE):
            self.calls.setdefault((code.co_filename.removeprefix(HOUSE), code.co_qualname))
        elif code.co_filename.endswith(LEAVING[0]) and code.co_name == LEAVING[1] and not self.wire:
            self.wire = around(frame)


def around(frame: FrameType | None) -> list[str]:
    files: dict[str, None] = {}
    while frame is not None:
        if frame.f_code.co_filename.startswith(HOUSE):
            files.setdefault(frame.f_code.co_filename.removeprefix(HOUSE))
        frame = frame.f_back
    return list(files)[::-1]


def main() -> None:
    walk, code = Walk(), 0
    from asyncrun.cli import main as run

    threading.setprofile(walk.saw)
    sys.setprofile(walk.saw)
    target, sys.argv = Path(sys.argv[1]), ["asyncrun", "run", "jobs.yaml"]
    try:
        run()
    except SystemExit as ending:
        code = int(ending.code or 0)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    target.write_text(json.dumps({"calls": list(walk.calls), "wire": walk.wire, "code": code}))


if __name__ == "__main__":
    main()
