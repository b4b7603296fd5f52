"""The command line, where no signal cancels in time what is in flight: what ends all the same has ended by itself."""

from functools import partial

from asyncrun.app import run
from asyncrun.cli import main

run.handle_signals = partial(run.handle_signals, grace=3600)
main()
