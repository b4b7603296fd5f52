"""The command line, where whoever holds a folder is waited for without end; a file tells that it waits."""

import time
from pathlib import Path
from types import SimpleNamespace

from asyncrun import process_locks
from asyncrun.app import run
from asyncrun.cli import main


def look():
    Path("waiting").touch()
    return 0.0


process_locks.time = SimpleNamespace(monotonic=look, sleep=time.sleep)
run.LOCK_TIMEOUT = 3600
main()
