"""The command line, where pings are tried once, and waited for as many seconds as the first word says."""

import sys

import asyncrun.app.run_pings
import asyncrun.notify.pings
from asyncrun.cli import main

asyncrun.notify.pings.PING_TIMEOUT, asyncrun.app.run_pings.TRIES = float(sys.argv.pop(1)), 1
main()
