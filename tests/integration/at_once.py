"""Runs a command line in this process whenever it is told to, so that several such processes run theirs at the same instant.

Reads orders from standard input, JSON lines of `at` (a time of the machine's monotonic clock), `folder` and `words`. Answers each with a
JSON line: what a command that failed said on standard error, and "" for one that did not. The first line is "", once all is imported.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper

from asyncrun.cli import main


def run(at: float, folder: str, words: list[str]) -> str:
    """Run a command line in a folder, at a time; return what went wrong."""
    os.chdir(folder)
    sys.argv = ["asyncrun", *words]
    said = TextIOWrapper(BytesIO())
    while time.monotonic() < at:
        pass
    with redirect_stdout(TextIOWrapper(BytesIO())), redirect_stderr(said):
        try:
            main()
        except SystemExit as ending:
            said.seek(0)
            return f"exit {ending.code}: {said.read()}" if ending.code else ""
    return ""


if __name__ == "__main__":
    print(json.dumps(""), flush=True)
    for order in sys.stdin:
        print(json.dumps(run(**json.loads(order))), flush=True)
