"""Every view against its golden file, at the widths that terminals have, with hostile text in every field."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from asyncrun.trace.records import RunRecord, Span
from asyncrun.trace.views.diff import render_diff
from asyncrun.trace.views.errors import render_errors
from asyncrun.trace.views.path import render_path
from asyncrun.trace.views.runs import render_runs
from asyncrun.trace.views.show import render_show
from asyncrun.trace.views.slow import render_slow
from asyncrun.trace.views.summary import render_summary
from asyncrun.trace.views.text import columns
from asyncrun.trace.views.timeline import render_timeline
from asyncrun.trace.views.tree import render_tree

NOW = 1_795_486_525.0
WIDTHS = (20, 40, 80, 120)
View = Callable[[list[RunRecord], list[Span], int], str]
OF_FAILURES = ("errors", "failing", "failing-slow", "failing-timeline")


def less(spans: list[Span]) -> list[Span]:
    """The same trace, of a run that had half of the work."""
    return [span for span in spans if span.type != "embedding" or span.id % 2]


VIEWS: dict[str, View] = {
    "tree": lambda runs, spans, width: render_tree(spans, width),
    "summary": lambda runs, spans, width: render_summary(spans, width),
    "runs": lambda runs, spans, width: render_runs(runs, width, NOW),
    "show": lambda runs, spans, width: "\n\n".join(render_show(run, spans if run is runs[-1] else [], width, NOW) for run in runs),
    "timeline": lambda runs, spans, width: render_timeline(spans, width),
    "slow": lambda runs, spans, width: render_slow(spans, width),
    "path": lambda runs, spans, width: render_path(spans, width),
    "errors": lambda runs, spans, width: render_errors(runs[1], spans, width),
    "diff": lambda runs, spans, width: render_diff((runs[1], less(spans)), (runs[3], spans), width, NOW),
    "failing": lambda runs, spans, width: render_show(runs[1], spans, width, NOW),
    "failing-slow": lambda runs, spans, width: render_slow(spans, width, 4),
    "failing-timeline": lambda runs, spans, width: render_timeline(spans, width),
}


@pytest.fixture
def spans(view: str, request: pytest.FixtureRequest) -> list[Span]:
    """The trace that a view is shown with."""
    return request.getfixturevalue("failing" if view in OF_FAILURES else "nightly")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("view", VIEWS)
def test_view(view: str, width: int, runs: list[RunRecord], spans: list[Span], golden: Callable[[str, str], None]) -> None:
    golden(f"{view}-{width}.txt", VIEWS[view](runs, spans, width))


@pytest.mark.parametrize("width", [1, 2, *WIDTHS])
@pytest.mark.parametrize("view", VIEWS)
def test_no_line_is_wider_than_the_terminal(view: str, width: int, runs: list[RunRecord], spans: list[Span]) -> None:
    lines = VIEWS[view](runs, spans, width).split("\n")
    stars = 10
    assert max(map(columns, lines)) <= max(width, stars if view in ("tree", "show", "failing") else 1)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("view", VIEWS)
def test_nothing_moves_the_cursor(view: str, width: int, runs: list[RunRecord], spans: list[Span]) -> None:
    text = VIEWS[view](runs, spans, width)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)
    text.encode()


def test_nothing_recorded_is_said() -> None:
    assert render_tree([], 80) == "**********\nTrace: no events\n**********"
    assert render_summary([], 80) == "No events were recorded."
    assert render_runs([], 80, NOW) == "No runs are recorded yet."
    assert render_timeline([], 80) == render_slow([], 80) == "No events were recorded."
    assert render_path([], 80) == ""
