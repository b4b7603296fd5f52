"""Units of systemd: a service that runs a job file once, the timer that starts it, and the folder of a user where both stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from asyncrun.errors import OutputError, StorageError, os_words
from asyncrun.schedule.crontab import Entry
from asyncrun.schedule.expression import DAYS, Field, Schedule

PREFIX = "asyncrun-"
WRITTEN = "# Written by `asyncrun cron add`"
_HEAD = f"{WRITTEN}; `asyncrun cron remove {{name}}` deletes it.\n"
_SERVICE = """\
[Unit]
Description=asyncrun: {name}

[Service]
Type=oneshot
ExecStart={command}
# Run again later (another run, a quota, an outage, --max-runtime): the next start goes on from there.
SuccessExitStatus=75
# A stop is for the command: what its worker processes have under way is finished first.
KillMode=mixed
"""
_TIMER = """\
[Unit]
Description=asyncrun: when {name} runs

[Timer]
{when}
{delay}Persistent=true

[Install]
WantedBy=timers.target
"""


@dataclass(frozen=True, slots=True)
class Units:
    """The two files of an entry, by name; `service` and `timer` are their texts."""

    name: str
    service: str
    timer: str

    @property
    def files(self) -> dict[str, str]:
        """Return the texts by file name."""
        return {f"{PREFIX}{self.name}.service": self.service, f"{PREFIX}{self.name}.timer": self.timer}


def build_units(name: str, schedule: Schedule, words: Sequence[str], *, jitter: float | None = None) -> Units:
    """Return the units that run the words of a command line, up to `jitter` seconds late.

    Raises ValueError for a schedule that no calendar has.
    """
    head = _HEAD.format(name=name)
    when = "\n".join(f"OnCalendar={line}" for line in calendar_lines(schedule))
    delay = "" if jitter is None else f"RandomizedDelaySec={jitter:g}\n"
    command = " ".join([_quoted(words[0]), *(_quoted(word).replace("$", "$$") for word in words[1:])])
    service = head + _SERVICE.format(name=name, command=command)
    return Units(name, service, head + _TIMER.format(name=name, when=when, delay=delay))


def calendar_lines(schedule: Schedule) -> list[str]:
    """Return the values of OnCalendar that mean the same; several are joined by "or".

    >>> from asyncrun.schedule.expression import parse_schedule
    >>> calendar_lines(parse_schedule("15 2 * * mon-fri"))
    ['Mon,Tue,Wed,Thu,Fri *-*-* 02:15:00']
    >>> calendar_lines(parse_schedule("0 */6 13 * fri"))
    ['*-*-13 00,06,12,18:00:00', 'Fri *-*-* 00,06,12,18:00:00']

    Raises ValueError for @reboot.
    """
    if not schedule.fields:
        raise ValueError(f"{schedule.text} is no time of a calendar: use the crontab for it")
    minute, hour, day, month, weekday = schedule.fields
    time = f"{_listed(hour)}:{_listed(minute)}:00"
    days = "" if weekday.whole else ",".join(DAYS[value].title() for value in sorted(weekday.values, key=lambda value: value or 7)) + " "
    # Two fields that choose days, neither with a star: cron runs when one of them fits (crontab(5)); systemd when both do.
    if not day.starred and not weekday.starred:
        return [f"*-{_listed(month)}-{_listed(day)} {time}", f"{days}*-{_listed(month)}-* {time}"]
    return [f"{days}*-{_listed(month)}-{_listed(day)} {time}"]


def _listed(field: Field) -> str:
    return "*" if field.whole else ",".join(f"{value:02}" for value in sorted(field.values))


def _quoted(word: str) -> str:
    """Return a word of ExecStart, in which `%` is not a specifier (systemd.service(5), "Command lines").

    Raises ValueError for a control character.
    """
    if not word.isprintable():
        raise ValueError("a unit cannot hold a command with a control character in it")
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    plain = word and all(letter.isalnum() or letter in "-_./=:,@+%" for letter in word)
    return escaped if plain else f'"{escaped}"'


def home(environ: Mapping[str, str]) -> Path:
    """Return the user's home."""
    return Path(environ.get("HOME") or Path.home())


def units_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder (systemd.unit(5)): $XDG_CONFIG_HOME/systemd/user, by default under ~/.config."""
    above = environ.get("XDG_CONFIG_HOME") or str(home(environ) / ".config")
    return Path(above) / "systemd" / "user"


def write_units(folder: Path, units: Units) -> list[Path]:
    """Write both files and return their paths. Raises OutputError."""
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in units.files.items():
            path = folder / name
            path.write_text(text, encoding="utf-8")
            paths.append(path)
    except OSError as error:
        raise OutputError(f"cannot write units to {folder}: {os_words(error)}", hint="Make the folder writable.") from error
    return paths


def read_units(folder: Path) -> list[Entry]:
    """Return the timers of ours, by name, with their calendar lines and what their services run. Raises StorageError."""
    entries = []
    try:
        for timer in sorted(folder.glob(f"{PREFIX}*.timer")):
            text = timer.read_text(encoding="utf-8", errors="replace")
            if text.startswith(WRITTEN):
                service = timer.with_suffix(".service")
                command = _values(service.read_text(encoding="utf-8", errors="replace"), "ExecStart") if service.exists() else []
                entries.append(Entry(timer.stem.removeprefix(PREFIX), "; ".join(_values(text, "OnCalendar")), " ".join(command)))
    except OSError as error:
        raise StorageError(f"cannot read the units of {folder}: {os_words(error)}", hint="Make the folder readable.") from error
    return entries


def remove_units(folder: Path, name: str) -> list[Path]:
    """Delete both files of an entry of ours, and the link by which it was enabled; return the paths. Raises StorageError."""
    link = folder / "timers.target.wants" / f"{PREFIX}{name}.timer"
    paths = [folder / f"{PREFIX}{name}.timer", folder / f"{PREFIX}{name}.service"]
    try:
        for path in [*([link] if link.is_symlink() else []), *paths]:
            with suppress(FileNotFoundError):
                path.unlink()
    except OSError as error:
        raise StorageError(f"cannot remove the units of {folder}: {os_words(error)}", hint="Make the folder writable.") from error
    return paths


def _values(text: str, key: str) -> list[str]:
    return [line.removeprefix(f"{key}=") for line in text.splitlines() if line.startswith(f"{key}=")]
