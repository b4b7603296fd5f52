"""A driver that is killed leaves no worker process: not one that waits, none that keeps its interpreter busy, none that is stopped."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import PATIENCE, ROOT
from tests.depth import DEEP

BUSY = str(ROOT / "tests" / "programs" / "keep_workers_busy.py")


def state_of(number: int) -> str:
    """Return the letter that the system has for what a process does: Z for one that has ended, T for one that is stopped."""
    try:
        stat = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return "Z"
    return stat.rpartition(")")[2].split()[0]


def wait_until(reached: Callable[[], bool], sentence: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < deadline, sentence
        time.sleep(0.01)


def test_no_worker_outlives_a_driver_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, BUSY, str(tmp_path)], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        workers = json.loads(driver.stdout.readline())
        # A Ctrl-C at the terminal is for the driver.
        assert len(set(map(os.getpgid, workers)) - {os.getpgid(driver.pid)}) == 3
        os.kill(workers[0], signal.SIGSTOP)
        wait_until(lambda: state_of(workers[0]) == "T", "it does not stop")
        assert "Z" not in map(state_of, workers)
        driver.kill()
    wait_until(lambda: set(map(state_of, workers)) == {"Z"}, "a worker lives on")


@pytest.mark.skipif(sys.platform != "linux", reason="a signal of the kernel ends it")
@pytest.mark.skipif(not DEEP, reason="a dozen processes: ASYNCRUN_TEST_DEEP=1")
def test_a_worker_that_is_stopped_ends_with_its_driver_without_the_help_of_a_terminal() -> None:
    ours, theirs = socket.socketpair()
    main = [sys.executable, "-c", "from asyncrun.executors.process_worker import main; main()", str(theirs.fileno())]
    with ours, theirs, subprocess.Popen(main, stdin=subprocess.PIPE, pass_fds=[theirs.fileno()], process_group=0) as worker:
        assert worker.stdin is not None
        assert ours.recv(1), "it is not ready"
        worker.send_signal(signal.SIGSTOP)
        wait_until(lambda: state_of(worker.pid) == "T", "it does not stop")
        worker.stdin.close()
        try:
            wait_until(lambda: state_of(worker.pid) == "Z", "it lives on")
        finally:
            worker.kill()
