"""Runs the job of a folder undisturbed, and those of other folders each killed at one more of the writes of its ledger."""

import json
import os
import signal
import sqlite3
import sys
import warnings
from pathlib import Path

from asyncrun.cli import main

warnings.simplefilter("ignore")  # of a fork, that there were threads before
connect = sqlite3.connect


class Kill:
    """At which commit this process is killed, and how many there were."""

    at = commits = 0


def count(statement):
    if statement == "COMMIT":
        Kill.commits += 1
        if Kill.commits == Kill.at:
            os.kill(os.getpid(), signal.SIGKILL)


def counting(path, *args, **options):
    connection = connect(path, *args, **options)
    if Path(path).name == "ledger.db":
        connection.set_trace_callback(count)
    return connection


def run(folder):
    os.chdir(folder)
    sys.argv = ["asyncrun", "run", "--quiet"]
    try:
        main()
    except SystemExit as ending:
        return ending.code or 0
    return 0


def forked(folder, kill_at):
    child = os.fork()
    if not child:
        Kill.commits, Kill.at = 0, kill_at
        os._exit(run(folder))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


sqlite3.connect = counting
undisturbed, folders = sys.argv[1], Path(sys.argv[2])
assert run(undisturbed) == 0
number, killed = 0, True
while killed:  # until there are not so many writes
    number += 1
    first, second = forked(folders / str(number), number), forked(folders / str(number), 0)
    print(json.dumps([first, second]), flush=True)
    killed = first == -signal.SIGKILL
