"""The page of a run: text stays text, nothing is loaded from anywhere, and all of the run is in it."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncrun.trace.page.document import page_document
from asyncrun.trace.page.html import render_page
from asyncrun.trace.run_record import RunRecord, Span

STARTED = 1_795_486_500.0
NOW = STARTED + 25
BREAKOUT = "</script><script>alert(1)</script></style><!--\"'><img src=x onerror=alert(1)>]]>$style&lt;\u2028\x1b[2J\udcff"


class Page(HTMLParser):
    """What a browser makes of a page: its elements, the text of each kind, and what it says beside scripts and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._inside: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "input"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._inside.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._inside[-1] if self._inside else "", []).append(data)

    @property
    def data(self) -> Any:
        return json.loads(self.texts["script"][0], parse_constant=pytest.fail)

    @property
    def policy(self) -> dict[str, str]:
        [found] = [
            about["content"] for tag, about in self.elements if tag == "meta" and about.get("http-equiv") == "Content-Security-Policy"
        ]
        return dict((part.strip().split(" ", 1)) for part in (found or "").split(";"))


def render_html(run: RunRecord, spans: Sequence[Span], now: float) -> str:
    return render_page(page_document(run, spans, now))


def skeleton(page: Page) -> list[tuple[str, tuple[str, ...]]]:
    """Return the elements with the names of their attributes."""
    return [(tag, tuple(about)) for tag, about in page.elements]


def trace_of(text: str) -> tuple[RunRecord, list[Span]]:
    job = {"name": text, "status": text, "reason": text, "output": text}
    failures = [{"job": text, "reason": text, "count": 3, "places": [text], "messages": [text]}]
    summary = {text: text, "jobs": [job], "hints": {text: text}, "failures": failures, "bound_by": text}
    run = RunRecord(text, STARTED, STARTED + 9, text, 1, 9.0, text, text, text, summary, 0.0, 1, {text: text}, text)
    spans = [
        Span(text, 1, None, "async_job", text, STARTED, STARTED + 9, text, {text: text}),
        Span(text, 2, 1, text, text, STARTED + 1, STARTED + 2, text, {"error.message": text, "waits.rate": 0.5}),
        Span(text, 3, 1, text, text, STARTED + 1, None, text, {}),
    ]
    return run, spans


def test_only_its_own_style_and_script_are_allowed(runs: list[RunRecord], nightly: list[Span]) -> None:
    page = Page(render_html(runs[0], nightly, NOW))

    def hash_of(text: str) -> str:
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    assert page.policy == {
        "default-src": "'none'",
        "style-src": hash_of("".join(page.texts["style"])),
        "script-src": hash_of(page.texts["script"][1]),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    first = next(index for index, (tag, _) in enumerate(page.elements) if tag in ("style", "script", "link"))
    assert any("http-equiv" in about for _, about in page.elements[:first])


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("trace", ["nightly", "failing"])
def test_nothing_points_outside_the_page(number: int, trace: str, runs: list[RunRecord], request: pytest.FixtureRequest) -> None:
    text = render_html(runs[number], request.getfixturevalue(trace), NOW)
    assert not re.search(
        r"https?://(?!www\.w3\.org/2000/svg)|[\"'(]//[a-z]|url\(|@import|\bfetch\b|XMLHttpRequest|\beval\b|innerHTML", text
    )
    page = Page(text)
    assert not {tag for tag, _ in page.elements} & {"link", "img", "iframe", "object", "embed", "base", "form", "a"}
    assert not [name for _, about in page.elements for name in about if name in ("src", "href", "style") or name.startswith("on")]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    text.encode()


def test_hostile_text_in_every_field_changes_no_element() -> None:
    plain, hostile = (Page(render_html(*trace_of(text), NOW)) for text in ("plain", BREAKOUT))
    assert skeleton(hostile) == skeleton(plain)
    assert "<script>alert(1)</script>" in "".join(hostile.texts["h1"])
    assert [text for text in hostile.data["events"]["texts"] if "onerror" in text]


@given(st.text())
def test_any_text_stays_text(text: str) -> None:
    page = Page(render_html(*trace_of(text), NOW))
    assert skeleton(page) == skeleton(Page(render_html(*trace_of("plain"), NOW)))
    assert len(page.data["events"]["rows"]) == 3


def test_what_serves_the_page_may_ask_its_own_server_for_more_and_nobody_else(runs: list[RunRecord], nightly: list[Span]) -> None:
    live = "setInterval(() => fetch('run.json'), 1000)"
    page = Page(render_page(page_document(runs[3], nightly, NOW), live=live))
    assert page.policy["connect-src"] == "'self'"
    assert page.policy["script-src"].count("sha256-") == 2
    assert page.texts["script"][2] == live


def test_no_encoding_changes_the_page(runs: list[RunRecord], hostile_spans: list[Span]) -> None:
    run = replace(runs[0], status="partial", run_id="日本語")
    text = render_html(run, hostile_spans, NOW)
    assert text.isascii()
    page = Page(text)
    assert page.texts["title"] == ["Run 日本語"]
    assert any("漢字" in name for name in page.data["events"]["texts"])


def test_the_page_without_its_data_stays_small(runs: list[RunRecord]) -> None:
    assert len(render_html(runs[0], [], NOW).encode()) < 120_000
