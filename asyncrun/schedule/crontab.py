"""Crontabs, text in and text out: lines of ours carry a mark at their end, and nothing else of the text is ever touched.

What goes in and out may hold anything (comments, settings, CRLF, bytes that are no UTF-8 as surrogates, no newline at the end).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from asyncrun.schedule.expression import Schedule

MARK = "# asyncrun:"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
MAX_COMMAND = 999
"""Characters of a command in Vixie cron (MAX_COMMAND in its cron.h, the end of the string counted)."""
_LINE = re.compile(rf"(@[a-z]+|[0-9*][^\s]*(?: [0-9*][^\s]*){{4}}) (.*) {MARK}({NAME.pattern})")
_SETTING = re.compile(r"""\s*(["']?)([A-Za-z_][A-Za-z0-9_]*)\1\s*=\s*(.*?)\s*""")


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
