"""The program `crontab`: the only way to a user's crontab, since its file belongs to cron."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from asyncrun.errors import StorageError, UsageError, os_words
from asyncrun.schedule.crontab import find_entries

TIMEOUT = 30.0
"""Seconds that one call may take."""
_NONE = ("no crontab for", "can't open", "cannot open your crontab")
"""How programs say that there is no crontab yet: Vixie's, cronie's and macOS's; busybox's; Solaris's."""

_SHOWN = {ord("\r"): "\\r", ord("\b"): "\\b"}
"""What Debian's `crontab -l` shows instead of two characters (tried with cron 3.0pl1-197); `crontab -e` hands out the file as it is."""


def read_crontab() -> str:
    """Return the user's crontab, empty when there is none; bytes that are no UTF-8 come as surrogates.

    Raises UsageError when there is no such program, StorageError when it refuses.
    """
    done = _call("-l")
    if done.returncode == 0:
        listed = done.stdout.decode("utf-8", "surrogateescape")
        return _read_exactly(listed) if any(shown in listed for shown in _SHOWN.values()) else listed
    words = done.stderr.decode("utf-8", "replace").strip()
    if any(none in words for none in _NONE):
        return ""
    raise StorageError(f"crontab -l failed: {words or f'exit code {done.returncode}'}", hint="Ask crontab itself: crontab -l")


def write_crontab(text: str) -> None:
    """Replace the user's crontab and look whether it holds our entries. Raises as `read_crontab`."""
    done = _call("-", text.encode("utf-8", "surrogateescape"))
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip()
        raise StorageError(f"crontab refused the change: {words or f'exit code {done.returncode}'}", hint="The crontab is as it was.")
    if find_entries(read_crontab()) != find_entries(text):
        raise StorageError("the crontab was changed by someone else at the same time", hint="Look at it with crontab -l, and try again.")


def _read_exactly(listed: str) -> str:
    """Return the crontab as an editor gets it, where its listing may stand for another text. Raises StorageError when both do not fit."""
    with TemporaryDirectory() as folder:
        copy, editor = Path(folder) / "copy", Path(folder) / "editor"
        editor.write_text(f'#!/bin/sh\nexec cat "$1" >{shlex.quote(str(copy))}\n')
        editor.chmod(0o700)
        _call("-e", environ={"EDITOR": str(editor), "VISUAL": str(editor)})
        text = copy.read_bytes().decode("utf-8", "surrogateescape") if copy.exists() else None
    if text is None or listed not in (text, text.translate(_SHOWN)):
        raise StorageError(
            "crontab -l shows \\r or \\b, and what stands there cannot be told: nothing is changed",
            hint="Put the line there yourself: asyncrun cron print, then crontab -e.",
        )
    return text


def _call(argument: str, given: bytes = b"", environ: Mapping[str, str] = {}) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("crontab")
    if program is None:
        raise UsageError("there is no program crontab here", hint="Install cron, or use --systemd.")
    # The words by which it says that there is no crontab are told apart below.
    environ = {**os.environ, "LC_ALL": "C", **environ}
    try:
        return subprocess.run([program, argument], input=given, capture_output=True, timeout=TIMEOUT, check=False, env=environ)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise StorageError(f"crontab did not answer within {TIMEOUT:g} s", hint="Look whether it waits: crontab -l") from error
    except OSError as error:
        raise StorageError(f"crontab cannot be started: {os_words(error)}", hint=f"Look at {program}.") from error
