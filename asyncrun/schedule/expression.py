"""Schedules as cron reads them: five fields, or a word such as @daily; every part is checked."""

from __future__ import annotations

import re
from dataclasses import dataclass

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""The most days of each month."""
REBOOT = "@reboot"
WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d{1,4}))?")


@dataclass(frozen=True, slots=True)
class Field:
    """One of the five: which values it has, and whether it begins with a star, which to cron means that it does not choose days."""

    name: str
    low: int
    high: int
    values: frozenset[int]
    starred: bool

    @property
    def whole(self) -> bool:
        """Whether every value is in it."""
        return len(self.values) == self.high - self.low + 1


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule, as a crontab takes it everywhere (`text`), and its fields: minute, hour, day of month, month, day of week from 0, Sunday.

    `@reboot` has no fields.
    """

    text: str
    fields: tuple[Field, ...]


def parse_schedule(text: str) -> Schedule:
    """Return a schedule; names of months and days become numbers, since crontab(5) allows them in no range and no list.

    >>> parse_schedule("15  2 * * mon-fri").text
    '15 2 * * 1-5'

    Raises ValueError, which names the field.
    """
    words = text.split()
    if len(words) == 1 and words[0].startswith("@"):
        return _parse_word(words[0].lower())
    if len(words) != 5:
        raise ValueError(
            f"a schedule has 5 fields (minute, hour, day of month, month, day of week) or is a word such as @daily, not {len(words)}"
        )
    ranges = (
        ("minute", 0, 59, ()),
        ("hour", 0, 23, ()),
        ("day of month", 1, 31, ()),
        ("month", 1, 12, MONTHS),
        ("day of week", 0, 7, DAYS),
    )
    parsed = [_parse_field(word, *each) for word, each in zip(words, ranges, strict=True)]
    fields = tuple(field for field, _ in parsed)
    _check_days(fields)
    return Schedule(" ".join(written for _, written in parsed), fields)


def _parse_word(word: str) -> Schedule:
    if word == REBOOT:
        return Schedule(word, ())
    if word not in WORDS:
        raise ValueError(f"no word is {word!r}; there are {', '.join(sorted([*WORDS, REBOOT]))}")
    return Schedule(word, parse_schedule(WORDS[word]).fields)


def _parse_field(text: str, name: str, low: int, high: int, names: tuple[str, ...]) -> tuple[Field, str]:
    """Return a field, and how it is written without names."""
    values: set[int] = set()
    written = []
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{name}: {part!r} is no number, range, step or '*'")
        star, first, last, step = match.groups()
        if star:
            start, end, word = low, 6 if high == 7 else high, "*"
        else:
            start = _number(first, name, low, high, names)
            end = start if last is None else _number(last, name, low, high, names)
            # "fri-sun" is what people write; to cron the Sunday after Friday is 7.
            end = 7 if high == 7 and last is not None and end == 0 < start else end
            word = f"{start}" if last is None else f"{start}-{end}"
        if end < start:
            raise ValueError(f"{name}: the range {part!r} runs backwards")
        if step is not None and not star and last is None:
            raise ValueError(f"{name}: the step of {part!r} needs a range, such as {start}-{high}/{step}")
        if step is not None and not 1 <= int(step) <= end - start:
            raise ValueError(f"{name}: the step of {part!r} is not in 1 to {max(end - start, 1)}")
        values.update(range(start, end + 1, int(step or 1)))
        written.append(word + (f"/{int(step)}" if step else ""))
    if high == 7:
        values, high = {value % 7 for value in values}, 6
    return Field(name, low, high, frozenset(values), text.startswith("*")), ",".join(written)


def _number(word: str, name: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if word.lower() in names:
        return names.index(word.lower()) + low
    if not (word.isascii() and word.isdecimal()):
        allowed = f", {names[0]} to {names[-1]}" if names else ""
        raise ValueError(f"{name}: {word!r} is not a number from {low} to {high}{allowed}")
    if len(word) > 4 or not low <= int(word) <= high:
        raise ValueError(f"{name}: {word} is not in {low} to {high}")
    return int(word)


def _check_days(fields: tuple[Field, ...]) -> None:
    """A day that no chosen month has never comes."""
    _, _, day, month, weekday = fields
    if weekday.starred and min(day.values) > max(MONTH_DAYS[value - 1] for value in month.values):
        raise ValueError(f"day of month: {min(day.values)} never comes in the months that are named")
