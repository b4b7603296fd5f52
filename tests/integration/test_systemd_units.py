"""systemd itself takes our units, and starts them when cron would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from asyncrun.schedule.expression import parse_schedule
from asyncrun.schedule.systemd import build_units, calendar_lines

pytestmark = pytest.mark.needs("systemd")
BASE = datetime(2027, 12, 28, 23, 58, tzinfo=UTC)
STARTS = 12


@pytest.mark.parametrize("schedule", ["15 2 * * *", "0 0 13 * 5", "@weekly"])
@pytest.mark.parametrize("jitter", [None, 600.0])
def test_the_units_are_sound(tmp_path: Path, schedule: str, jitter: float | None) -> None:
    words = [sys.executable, "run", '/srv/50% of $HOME/it\'s "all".yaml', "--quiet"]
    files = build_units("nightly", parse_schedule(schedule), words, jitter=jitter).files
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    paths = [str(tmp_path / name) for name in files]
    command, environ = ["systemd-analyze", "verify", "--user", *paths], bare() | {"XDG_RUNTIME_DIR": str(tmp_path)}
    verified = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize(
    "schedule",
    [
        "15 2 * * *",
        "*/20 8-10 * 1,7 *",
        "0 0 * * fri-sun",
        "30 6 * * 7",
        "0 0 13 * 5",
        "0 0 */10 * 5",
        "0 0 13 * */2",
        "5 4 29 2 *",
        "@hourly",
        "@monthly",
        "@yearly",
    ],
)
def test_a_timer_starts_when_cron_would(schedule: str) -> None:
    starts: set[datetime] = set()
    for line in calendar_lines(parse_schedule(schedule)):
        command = ["systemd-analyze", "calendar", f"--iterations={STARTS}", f"--base-time={BASE:%Y-%m-%d %H:%M:%S} UTC", f"{line} UTC"]
        shown = subprocess.run(command, capture_output=True, text=True, check=True, env=bare()).stdout
        found = re.findall(r"^ *(?:Next elapse|Iteration #\d+): \w+ (\S+ \S+) UTC$", shown, re.MULTILINE)
        assert len(found) == STARTS
        starts.update(datetime.strptime(each, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) for each in found)
    assert sorted(starts)[:STARTS] == cron_starts(schedule, STARTS)


def bare() -> dict[str, str]:
    """Return the environment with the time zone that the starts are compared in."""
    return {**os.environ, "TZ": "UTC", "LC_ALL": "C"}


def cron_starts(schedule: str, count: int) -> list[datetime]:
    """Return the next starts by the words of crontab(5): the two fields for days are joined by "or" when neither begins with a star."""
    words = {"@hourly": "0 * * * *", "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *"}.get(schedule, schedule).split()
    names = {"fri-sun": "5,6,0", "7": "0"}
    minutes, hours, days, months, weekdays = (
        {value for value in range(60) if any(matches(part, value, low) for part in names.get(word, word).split(","))}
        for word, low in zip(words, (0, 0, 1, 1, 0), strict=True)
    )
    either = not words[2].startswith("*") and not words[4].startswith("*")
    found = []
    day = BASE.replace(hour=0, minute=0)
    while len(found) < count:
        on_day, on_weekday = day.day in days, day.isoweekday() % 7 in weekdays
        if day.month in months and ((on_day or on_weekday) if either else (on_day and on_weekday)):
            times = [
                day.replace(hour=hour, minute=minute) for hour in range(24) if hour in hours for minute in range(60) if minute in minutes
            ]
            found += [time for time in times if time > BASE]
        day += timedelta(days=1)
    return found[:count]


def matches(part: str, value: int, low: int) -> bool:
    span, _, step = part.partition("/")
    first, _, last = span.partition("-")
    start, end = (low, 59) if span == "*" else (int(first), int(last or first))
    return start <= value <= end and (value - start) % int(step or 1) == 0
