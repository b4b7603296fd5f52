"""Every view against its golden file, at the widths that terminals have, with hostile text in every field."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC

import pytest

from asyncrun.trace.run_record import RunRecord, Span
from asyncrun.trace.views.diff import render_diff
from asyncrun.trace.views.folded_tree import render_tree
from asyncrun.trace.views.runs import render_path, render_runs, render_show
from asyncrun.trace.views.slow_and_failed import render_errors, render_slow
from asyncrun.trace.views.styled_text import StyledText, columns, stack
from asyncrun.trace.views.timeline import render_timeline
from asyncrun.trace.views.timing_summary import render_summary
from asyncrun.ui.colours import paint

NOW = 1_795_486_525.0
WIDTHS = (20, 40, 80, 120)
View = Callable[[list[RunRecord], list[Span], int], StyledText]
OF_FAILURES = ("errors", "failing", "failing-slow", "failing-timeline")
WHOLLY_HOSTILE = "hostile-"


def less(spans: list[Span]) -> list[Span]:
    """The same trace, of a run that had half of the work."""
    return [span for span in spans if span.type != "embedding" or span.id % 2]


VIEWS: dict[str, View] = {
    "tree": lambda runs, spans, width: render_tree(spans, width),
    "summary": lambda runs, spans, width: render_summary(spans, width),
    "runs": lambda runs, spans, width: render_runs(runs, width, NOW, UTC),
    "show": lambda runs, spans, width: stack(*(render_show(run, spans if run is runs[-1] else [], width, NOW) for run in runs), gap=1),
    "timeline": lambda runs, spans, width: render_timeline(spans, width),
    "slow": lambda runs, spans, width: render_slow(spans, width),
    "path": lambda runs, spans, width: render_path(spans, width),
    "errors": lambda runs, spans, width: render_errors(runs[1], spans, width),
    "diff": lambda runs, spans, width: render_diff((runs[1], less(spans)), (runs[3], spans), width, NOW),
    "failing": lambda runs, spans, width: render_show(runs[1], spans, width, NOW),
    "failing-slow": lambda runs, spans, width: render_slow(spans, width, 4),
    "failing-timeline": lambda runs, spans, width: render_timeline(spans, width),
    "trying": lambda runs, spans, width: render_show(runs[0], spans, width, NOW),
    "trying-slow": lambda runs, spans, width: render_slow(spans, width, 4),
    "trying-diff": lambda runs, spans, width: render_diff((runs[0], spans[:2]), (runs[0], spans), width, NOW),
    "hostile-runs": lambda runs, spans, width: render_runs(runs, width, NOW, UTC),
    "hostile-show": lambda runs, spans, width: render_show(runs[0], spans, width, NOW),
    "hostile-timeline": lambda runs, spans, width: render_timeline(spans, width),
    "hostile-slow": lambda runs, spans, width: render_slow(spans, width),
    "hostile-errors": lambda runs, spans, width: render_errors(runs[0], spans, width),
    "hostile-diff": lambda runs, spans, width: render_diff((runs[0], spans[:8]), (runs[1], spans), width, NOW),
}


@pytest.fixture
def spans(view: str, request: pytest.FixtureRequest) -> list[Span]:
    """The trace that a view is shown with."""
    name = "hostile_spans" if view.startswith(WHOLLY_HOSTILE) else "failing" if view in OF_FAILURES else "nightly"
    name = "trying" if view.startswith("trying") else name
    found: list[Span] = request.getfixturevalue(name)
    return found


@pytest.fixture
def shown_runs(view: str, runs: list[RunRecord], hostile_run: RunRecord) -> list[RunRecord]:
    """The runs that a view is shown with."""
    return [hostile_run, replace(runs[1], settings={})] if view.startswith(WHOLLY_HOSTILE) else runs


@pytest.mark.parametrize("colour", [False, True], ids=["plain", "colour"])
@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("view", VIEWS)
def test_view(
    view: str, width: int, colour: bool, shown_runs: list[RunRecord], spans: list[Span], golden: Callable[[str, str], None]
) -> None:
    golden(f"{view}-{width}{'-colour' if colour else ''}.txt", paint(VIEWS[view](shown_runs, spans, width), colour=colour))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("view", VIEWS)
def test_colour_adds_nothing_but_colour(view: str, width: int, shown_runs: list[RunRecord], spans: list[Span]) -> None:
    shown = VIEWS[view](shown_runs, spans, width)
    coloured = paint(shown, colour=True)
    assert re.sub("\x1b\\[(0|1|2|36|32|33|1;31)m", "", coloured) == paint(shown, colour=False) == str(shown)


@pytest.mark.parametrize("width", [1, 2, *WIDTHS])
@pytest.mark.parametrize("view", VIEWS)
def test_no_line_is_wider_than_the_terminal(view: str, width: int, shown_runs: list[RunRecord], spans: list[Span]) -> None:
    lines = str(VIEWS[view](shown_runs, spans, width)).split("\n")
    stars = 10
    assert max(map(columns, lines)) <= max(width, stars if view in ("tree", "show", "failing", "trying", "hostile-show") else 1)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("view", VIEWS)
def test_nothing_moves_the_cursor(view: str, width: int, shown_runs: list[RunRecord], spans: list[Span]) -> None:
    text = str(VIEWS[view](shown_runs, spans, width))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    text.encode()


def test_nothing_recorded_is_said() -> None:
    assert str(render_tree([], 80)) == "**********\nTrace: no events\n**********"
    assert str(render_summary([], 80)) == "No events were recorded."
    assert str(render_runs([], 80, NOW)) == "No runs are recorded yet."
    assert str(render_timeline([], 80)) == str(render_slow([], 80)) == "No events were recorded."
    assert str(render_path([], 80)) == ""
