"""The command line: one file a command; the only package that knows Typer."""

from __future__ import annotations

import gc
import os
import sys

_INTERRUPTED = 130
_COLLECT_AFTER = 10_000
"""New objects that Python looks for cycles after: with its 700 that takes a tenth of the start, in which nothing is left behind."""


def main() -> None:
    """Run the command line and exit with its code."""
    _open_closed_streams()
    gc.set_threshold(_COLLECT_AFTER)
    # Where a plugin of pydantic is looked for, the metadata of every installed distribution is read, once more.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")
    if sys.argv[1:] == ["--version"] and _print_version():
        return
    try:
        from asyncrun.cli._app import run_command_line

        code = run_command_line()
    except KeyboardInterrupt:
        code = _INTERRUPTED
    if code == _INTERRUPTED:  # also Typer's answer to Ctrl-C
        _print_interrupted()
    if "ray" in sys.modules:
        _end_at_once(code)
    sys.exit(code)


def _end_at_once(code: int) -> None:
    """End the process without the end of its C++: threads that Ray leaves behind, where its head is gone, change the exit code then."""
    import atexit
    from contextlib import suppress

    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    atexit._run_exitfuncs()
    os._exit(code)


def _print_interrupted() -> None:
    """Say that Ctrl-C has ended the command. Another one, while a busy thread is waited for, ends the process without a traceback."""
    import signal
    from contextlib import suppress

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with suppress(OSError):
        sys.stderr.write("asyncrun: stopped early: SIGINT\n")
        sys.stderr.flush()


def _print_version() -> bool:
    """Answer the commonest question of a script without loading anything. Returns False when the stream does not take it."""
    from asyncrun import __version__

    try:
        sys.stdout.write(f"asyncrun {__version__}\n")
        sys.stdout.flush()
    except OSError:
        return False
    return True


def _open_closed_streams() -> None:
    """Put the null device in the place of standard streams that the caller has closed (`2>&-`)."""
    # First of all: otherwise the next file to be opened, such as the ledger, would get the stream's descriptor and what is written to it.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123  # for as long as the process lives
