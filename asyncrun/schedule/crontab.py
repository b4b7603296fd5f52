"""The user's crontab: its text, in which lines of ours carry a mark at their end and nothing else is ever touched, and the program.

The text may hold anything (comments, settings, CRLF, bytes that are no UTF-8 as surrogates, no newline at the end). It is read and
replaced by the program `crontab` alone, since its file belongs to cron.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from asyncrun.errors import StorageError, UsageError, os_words
from asyncrun.schedule.expression import Schedule

MARK = "# asyncrun:"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
MAX_COMMAND = 999
"""Characters of a command in Vixie cron (MAX_COMMAND in its cron.h, the end of the string counted)."""
_LINE = re.compile(rf"(@[a-z]+|[0-9*][^\s]*(?: [0-9*][^\s]*){{4}}) (.*) {MARK}({NAME.pattern})")
_SETTING = re.compile(r"""\s*(["']?)([A-Za-z_][A-Za-z0-9_]*)\1\s*=\s*(.*?)\s*""")
PROGRAM_TIMEOUT = 30.0
"""Seconds that one call of the program may take."""
_NONE = ("no crontab for", "can't open", "cannot open your crontab")
"""How programs say that there is no crontab yet: Vixie's, cronie's and macOS's; busybox's; Solaris's."""
_SHOWN = {ord("\r"): "\\r", ord("\b"): "\\b"}
"""What Debian's `crontab -l` shows instead of two characters (tried with cron 3.0pl1-197); `crontab -e` hands out the file as it is."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of ours: its name, its schedule and its command for the shell, as a person would type it."""

    name: str
    schedule: str
    command: str


def build_entry(name: str, schedule: Schedule, words: Sequence[str], *, jitter: float | None = None, python: str = "python3") -> Entry:
    """Return the entry that runs the words of a command line, after a sleep of a random time up to `jitter` seconds.

    cron has no sleep of its own, and sh no random number: the sleep is a line of Python, as certbot's cron file has one of Perl.

    >>> from asyncrun.schedule.expression import parse_schedule
    >>> build_entry("nightly", parse_schedule("@daily"), ["/opt/a b/asyncrun", "run"]).command
    "'/opt/a b/asyncrun' run"

    Raises ValueError for a name or a command that a crontab cannot hold.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a line: letters, digits, '_', '.' and '-', 60 at most")
    command = shlex.join(words)
    if jitter is not None:
        command = f"{shlex.join([python, '-c', f'import random, time; time.sleep(random.uniform(0, {jitter:g}))'])} && {command}"
    if re.search(r"[\x00-\x1f\x7f]", command):
        raise ValueError("a crontab cannot hold a command with a control character in it")
    if "\\" in command:
        # Before "%" it would end the escape instead of being one, and crons differ in what they make of two.
        raise ValueError("a crontab cannot hold a command with a backslash in it")
    entry = Entry(name, schedule.text, command)
    if len(_written(entry).encode("utf-8", "surrogateescape")) > MAX_COMMAND:
        raise ValueError(f"the command is longer than the {MAX_COMMAND} bytes that cron takes")
    return entry


def render_line(entry: Entry) -> str:
    r"""Return the line of an entry, without its end; `%` is escaped, which to cron would be a line break.

    >>> render_line(Entry("nightly", "15 2 * * *", "echo 5%"))
    '15 2 * * * echo 5\\% # asyncrun:nightly'
    """
    return f"{entry.schedule} {_written(entry)}"


def find_entries(text: str) -> list[Entry]:
    """Return the entries of ours, in the order of the text; one that is commented out is none."""
    return [entry for line in _lines(text) if (entry := _parse_line(line)) is not None]


def add_entry(text: str, entry: Entry) -> str:
    r"""Return the text with one more line, at its end.

    When the last line does not end, ours goes before it: only so is what was there the same again, to the byte, once ours is removed.

    >>> add_entry("MAILTO=me\n", Entry("nightly", "@daily", "true"))
    'MAILTO=me\n@daily true # asyncrun:nightly\n'
    """
    ended = text.rfind("\n") + 1
    return f"{text[:ended]}{render_line(entry)}\n{text[ended:]}"


def remove_entry(text: str, name: str) -> str:
    """Return the text without the lines of that name."""
    return "".join(line for line in _lines(text) if (entry := _parse_line(line)) is None or entry.name != name)


def find_settings(text: str) -> dict[str, str]:
    r"""Return the variables that a crontab sets for its commands, such as PATH.

    >>> find_settings("MAILTO = 'me'\n# A=1\n* * * * * B=2 true\n")
    {'MAILTO': 'me'}
    """
    found = {}
    for line in _lines(text):
        match = _SETTING.fullmatch(line)
        if match:
            value = match[3]
            quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
            found[match[2]] = value[1:-1] if quoted else value
    return found


def _written(entry: Entry) -> str:
    return f"{entry.command} {MARK}{entry.name}".replace("%", r"\%")


def _parse_line(line: str) -> Entry | None:
    match = _LINE.fullmatch(line.rstrip("\r\n"))
    return Entry(match[3], match[1], match[2].replace(r"\%", "%")) if match else None


def _lines(text: str) -> Iterator[str]:
    """Yield the lines with their ends; unlike `splitlines`, nothing but a newline ends one."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


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
        return subprocess.run([program, argument], input=given, capture_output=True, timeout=PROGRAM_TIMEOUT, check=False, env=environ)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise StorageError(f"crontab did not answer within {PROGRAM_TIMEOUT:g} s", hint="Look whether it waits: crontab -l") from error
    except OSError as error:
        raise StorageError(f"crontab cannot be started: {os_words(error)}", hint=f"Look at {program}.") from error
