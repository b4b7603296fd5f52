"""Two runs compared: what got slower, and why."""

from __future__ import annotations

from collections.abc import Sequence

from asyncrun.humanize import duration
from asyncrun.trace.run_comparison import Change, SettingChange, changes_between, measure_jobs, measure_run, settings_between
from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.views.styled_text import Style, StyledLine, StyledPart, StyledText, fit, line, one_line, shorten, style_of, utc_time
from asyncrun.trace.views.table import Column, render_table

Recorded = tuple[RunRecord, Sequence[Span]]

MOST_SETTINGS = 20
LONGEST_NAME = 40


def render_diff(before: Recorded, after: Recorded, width: int, now: float) -> StyledText:
    """Return what changed from the run `before` to the run `after`, no line wider than `width`.

    First the jobs that took longer or less long, each with its reasons: the work, then the rate, the waits, the time of a batch,
    retries and concurrency. Then all numbers of the runs, then the settings that are not the same.
    """
    total = changes_between(measure_run(before[1]), measure_run(after[1]))
    lines = [
        _head("A", before[0], now),
        _head("B", after[0], now),
        line(StyledPart(_verdict(total), Style.TITLE)),
        (),
        *_jobs(before[1], after[1]),
    ]
    if total:
        lines += [(), *_table(total, width)]
    settings = settings_between(before[0], after[0])
    if settings:
        lines += [(), *_settings(settings, width)]
    return StyledText(tuple(fit(width, *words) for words in lines))


def _head(letter: str, run: RunRecord, now: float) -> StyledLine:
    took = "" if run.seconds is None else f" in {duration(run.seconds)}"
    lost = ", partial trace" if run.lost else ""
    status = StyledPart(one_line(run.status_at(now)), style_of(run.status_at(now)))
    return line(f"{letter}  {one_line(run.run_id)}: ", status, f"{took}{lost}, started {utc_time(run.started)}")


def _verdict(changes: Sequence[Change]) -> str:
    if not changes:
        return "Neither has events to compare."
    time = changes[0]
    difference = time.after - time.before
    if not time.noticeable:
        return f"B took as long as A, within {duration(max(abs(difference), 0.001))}."
    return f"B took {duration(abs(difference))} {'longer' if difference > 0 else 'less'} than A{_percent(time)}."


def _jobs(before: Sequence[Span], after: Sequence[Span]) -> list[StyledLine]:
    ours, theirs = measure_jobs(before), measure_jobs(after)
    both = [(changes_between(ours[name], theirs[name]), name) for name in ours if name in theirs]
    both.sort(key=lambda pair: -(pair[0][0].after - pair[0][0].before if pair[0] else 0.0))
    lines: list[StyledLine] = []
    for changes, name in both:
        lines += _job(_name(name), changes)
    lines += [line(f"{_name(name)}: only in A, {duration(job.seconds)}") for name, job in ours.items() if name not in theirs]
    return lines + [line(f"{_name(name)}: only in B, {duration(job.seconds)}") for name, job in theirs.items() if name not in ours]


def _name(job: str) -> str:
    return shorten(one_line(job), LONGEST_NAME)


def _job(name: str, changes: Sequence[Change]) -> list[StyledLine]:
    time = changes[0] if changes and changes[0].group == "time" else Change("time", "seconds", 0.0, 0.0, "s")
    if not time.noticeable:
        return [line(f"{name}: {_written(time, time.before)} -> {_written(time, time.after)}, no change")]
    groups: dict[str, list[str]] = {}
    for change in changes[1:]:
        if change.noticeable:
            groups.setdefault(change.group, []).append(_words(change))
    share = StyledPart(_percent(time), Style.BAD if time.after > time.before else Style.GOOD)
    head = line(f"{name}: {_written(time, time.before)} -> {_written(time, time.after)}", share)
    if not groups:
        return [head, line("  nothing that is measured explains it")]
    return [head, *(line(f"  {group}: {', '.join(words)}") for group, words in groups.items())]


def _words(change: Change) -> str:
    label = "" if change.name == change.group else f"{change.name} "
    return f"{label}{_written(change, change.before)} -> {_written(change, change.after)}{_percent(change)}"


def _table(changes: Sequence[Change], width: int) -> list[StyledLine]:
    layout = [Column("the runs as a whole", "<", 8), Column("A"), Column("B"), Column("change")]
    rows = []
    for change in changes:
        label = change.name if change.group in (change.name, "time") else f"{change.group}: {change.name}"
        signed = _percent(change).strip(" ()") if change.noticeable else "="
        rows.append([label, _written(change, change.before), _written(change, change.after), signed or "new"])
    return render_table(layout, rows, width)


def _settings(found: Sequence[SettingChange], width: int) -> list[StyledLine]:
    layout = [Column("setting", "<", 8), Column("A", "<", 6), Column("B", "<", 6)]
    shown = found[:MOST_SETTINGS]
    rows = [[shorten(one_line(setting.name), LONGEST_NAME), setting.before or "-", setting.after or "-"] for setting in shown]
    more = [line(f"and {len(found) - MOST_SETTINGS} more")] if len(found) > MOST_SETTINGS else []
    return [*render_table(layout, rows, width), *more]


def _percent(change: Change) -> str:
    return "" if change.share is None else f" ({change.share:+.0%})"


def _written(change: Change, value: float) -> str:
    if change.unit == "s":
        return duration(value)
    return (f"{value:,.0f}" if value == round(value) or value >= 100 else f"{value:,.1f}") + change.unit
