"""The timeline: a lane for each job, as high as it had events going on at once."""

from __future__ import annotations

from collections.abc import Sequence

from asyncrun.humanize import duration
from asyncrun.trace.run_record import UNFINISHED, Span
from asyncrun.trace.span_tree import SpanNode, build_forest, lanes_of
from asyncrun.trace.used_concurrency import concurrency_of, mean_levels, stretches_of
from asyncrun.trace.views.styled_text import Style, StyledPart, StyledText, Word, columns, fit, one_line, pad, style_of

BARS = "▁▂▃▄▅▆▇█"
IDLE = "·"
NARROWEST_BAR = 10
WIDEST_LABEL = 24


def render_timeline(spans: Sequence[Span], width: int) -> StyledText:
    """Return a line for each job with what it did over time, no line wider than `width`.

    A column is a stretch of time; its bar is as high as there were events open at once in the job, on average, and `·` stands for
    none. All lanes have the same scale.
    """
    forest = build_forest(spans, details=False)
    if not forest:
        return StyledText((fit(width, "No events were recorded."),))
    lanes = lanes_of(forest)
    start, end = min(node.span.start for node in forest), max(node.end for node in forest)
    labels = {name: one_line(name) for name in lanes}
    tails = {name: _tail(heads) for name, heads in lanes.items()}
    label = min(max(map(columns, labels.values())), WIDEST_LABEL, max(width // 4, 1))
    tail = max(map(len, tails.values()))
    if width - label - tail - 2 < NARROWEST_BAR:
        tail = -1
    size = max(width - label - tail - 2, 1)
    levels = {name: _levels(heads, start, end, size) for name, heads in lanes.items()}
    top = max((level for row in levels.values() for level in row), default=0.0)
    scale = f"{duration(end - start)}; a column is {duration((end - start) / size)}, {BARS[-1]} is {_number(top)} at once"
    lines: list[list[Word]] = [[StyledPart(scale, Style.TITLE)], [" " * (label + 1) + _ruler(end - start, size).rstrip()]]
    for name, heads in lanes.items():
        bars = "".join(_mark(level, top, inside) for level, inside in zip(levels[name], _inside(heads, start, end, size), strict=True))
        end_of_line = f" {tails[name]}" if tail > 0 else ""
        lines.append([f"{pad(labels[name], label)} ", StyledPart(bars if end_of_line else bars.rstrip(), Style.BAR), *_ending(end_of_line)])
    return StyledText(tuple(fit(width, *words) for words in lines))


def _ending(words: str) -> list[Word]:
    told = words.removesuffix(UNFINISHED)
    return [told, StyledPart(UNFINISHED, style_of(UNFINISHED))] if told != words else [words]


def _levels(heads: Sequence[SpanNode], start: float, end: float, size: int) -> list[float]:
    return mean_levels(stretches_of(heads), start, end, size)


def _inside(heads: Sequence[SpanNode], start: float, end: float, size: int) -> list[bool]:
    part = (end - start) / size
    if part <= 0:
        return [True] * size
    marks = [False] * size
    for head in heads:
        first = min(int((head.span.start - start) / part), size - 1)
        last = min(int((head.end - start) / part), size - 1)
        marks[first : last + 1] = [True] * (last + 1 - first)
    return marks


def _mark(level: float, top: float, inside: bool) -> str:
    # A column that is touched by less than a hundredth of an event says more as idle than as a bar.
    if level > top / 100:
        return BARS[min(int(level / top * len(BARS)), len(BARS) - 1)]
    return IDLE if inside else " "


def _tail(heads: Sequence[SpanNode]) -> str:
    used = concurrency_of(heads)
    words = f"most {_number(used.most)}, mean {_number(used.mean)}"
    return f"{words}, {UNFINISHED}" if any(head.span.end is None for head in heads) else words


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 99.5 or abs(value - round(value)) < 0.05 else f"{value:.1f}"


def _ruler(total: float, size: int) -> str:
    """Return marks of the time at round numbers, the first at the left end."""
    step = _step(total / max(size / 12, 1))
    row = [" "] * size
    moment = 0.0
    while total > 0 and moment <= total:
        place, text = int(moment / total * size), f"|{moment:g}"
        if place + len(text) <= size:
            row[place : place + len(text)] = text
        moment += step
    return "".join(row)


def _step(least: float) -> float:
    """Return the smallest of 1, 2 or 5 times a power of ten that is not below `least`."""
    power = 1e-6
    while power * 10 <= least:
        power *= 10
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
