"""The page of a run in a real browser: clicked through, moved through by keyboard, in light and dark, at 10 and at 100,000 spans."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from asyncrun.trace.page.document import Earlier, page_document
from asyncrun.trace.page.html import render_page
from asyncrun.trace.run_record import RunRecord, Span
from tests.browser import chromium

pytestmark = pytest.mark.needs("chromium")

STARTED = 1_795_486_500.0
HOSTILE = "</script><script>document.title = 'broken'</script><img src=x onerror=alert(1)>"
SUMMARY = {
    **{"items": 4300, "ok": 4284, "failed": 16, "cached": 0, "requests": 226, "tokens": 180_059, "cost": 0.0036, "bound_by": "concurrency"},
    "jobs": [{"name": "notes", "status": "partial", "items": 4300, "failed": 16}],
    "failures": [{"job": "notes", "reason": "too_long", "count": 16, "places": ["notes.jsonl:5"], "messages": [HOSTILE]}],
}
RUN = RunRecord(
    *("20261124-021500-4f2a", STARTED, STARTED + 2600, "partial", 3, 2600.0, "jobs.yaml", "0.1.0", "here"),
    *(SUMMARY, STARTED + 2600),
)


@dataclass(frozen=True)
class Opened:
    """A page in the browser, with what a user sees and does."""

    driver: Any

    def show(self, path: Path, spans: list[Span], earlier: Earlier | None = None) -> None:
        path.write_text(render_page(page_document(RUN, spans, STARTED + 3000, earlier or Earlier())), encoding="utf-8")
        self.driver.get(path.as_uri())

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def rows(self) -> list[Any]:
        return list(self.driver.find_elements("css selector", "[role=treeitem]"))

    def row(self, text: str) -> str:
        """Return the whole text of the row that has a text."""
        return str(self._on_row(text, lambda row: row.text))

    def row_has(self, text: str, attribute: str) -> str:
        """Return an attribute of that row."""
        return str(self._on_row(text, lambda row: row.get_attribute(attribute)))

    def click(self, text: str) -> None:
        """Click on the arrow of that row."""
        self._on_row(text, lambda row: row.find_element("css selector", ".twist").click())

    def _on_row(self, text: str, do: Callable[[Any], Any]) -> Any:
        return self._drawn(lambda: next((do(row) or True for row in self.rows() if text in row.text), None))

    def chosen(self) -> str:
        """Return the text of the row that a screen reader would read out."""
        return str(self._drawn(lambda: self._chosen().text))

    def chosen_has(self, attribute: str) -> str:
        """Return an attribute of that row."""
        return str(self._drawn(lambda: self._chosen().get_attribute(attribute)))

    def _chosen(self) -> Any:
        return self.find("#" + self.find("#tree").get_attribute("aria-activedescendant"))

    def _drawn(self, look: Callable[[], Any]) -> Any:
        """Return what is seen: on a busy machine rows are still being drawn anew while they are looked at."""
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.wait import WebDriverWait

        return WebDriverWait(self.driver, 30, ignored_exceptions=[StaleElementReferenceException]).until(lambda _: look())

    def press(self, *keys: str, at: str = "#tree") -> None:
        from selenium.webdriver.common.keys import Keys

        self.find(at).send_keys(*(getattr(Keys, key) if key.isupper() else key for key in keys))

    def click_bar(self, across: int, down: int) -> None:
        """Click in the timeline, so many pixels from its corner."""
        from selenium.webdriver import ActionChains

        bars = self.find("#bars")
        size = bars.size
        place = (across - size["width"] // 2, down - size["height"] // 2)
        ActionChains(self.driver).move_to_element_with_offset(bars, *place).click().perform()

    def colours(self) -> set[tuple[int, ...]]:
        """Return the colours in the timeline, once it is drawn."""
        script = """
            const done = arguments[0];
            requestAnimationFrame(() => requestAnimationFrame(() => {
              const bars = document.getElementById("bars");
              const copy = new OffscreenCanvas(bars.width, bars.height).getContext("2d", { willReadFrequently: true });
              copy.drawImage(bars, 0, 0);
              const points = copy.getImageData(0, 0, bars.width, bars.height).data;
              const found = new Set();
              for (let at = 0; at < points.length; at += 4) if (points[at + 3] === 255) found.add(points.slice(at, at + 3).join());
              done([...found]);
            }));"""
        return {tuple(map(int, colour.split(","))) for colour in self.driver.execute_async_script(script)}

    def drawn_after(self) -> float:
        """Return the milliseconds from the page's beginning to the first picture of its timeline."""
        return float(self._drawn(lambda: self.driver.execute_script("return performance.getEntriesByName('drawn')[0]?.startTime")))

    def width_at(self, width: int) -> int:
        """Return how wide the page is in a window of a width."""
        size = {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        found = self.driver.execute_script("return document.documentElement.scrollWidth")
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        return int(found)

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since the last time."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"]


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def opened(driver: Any) -> Iterator[Opened]:
    page = Opened(driver)
    # What was before, the browser's own first page for one, is not what is tested.
    driver.get("about:blank")
    page.requests()
    driver.get_log("browser")
    yield page
    assert driver.get_log("browser") == []
    asked = page.requests()
    assert asked
    assert {address for address in asked if address not in ("data:,", driver.current_url)} == set()


def small() -> list[Span]:
    notes = Span("r", 1, None, "async_job", "notes", STARTED, STARTED + 20, "succeeded", {"tokens": 12})
    folded = {"count": 740, "failed": 4, "seconds": 40.0, "own": 40.0, "min": 0.01, "max": 0.5, "p50": 0.05, "p95": 0.25}
    alike = {f"folded.{name}": value for name, value in folded.items()}
    batches = [Span("r", 2 + at, 1, "embedding", "", STARTED + at, STARTED + at + 1, "succeeded", {"waits.rate": 0.5}) for at in range(6)]
    return [
        notes,
        *batches,
        Span("r", 8, 1, "embedding", "", STARTED + 7, STARTED + 19, "succeeded", alike),
        Span("r", 9, None, "async_job", HOSTILE, STARTED + 5, STARTED + 9, "failed", {HOSTILE: HOSTILE}),
        Span("r", 10, 9, "retrieve", "docs", STARTED + 6, None, "running", {}),
    ]


def nested() -> list[Span]:
    """One batch of a job: a wait, an attempt that failed, and one that did not."""
    refused = {"error.type": "throttle", "error.message": "slow down", "http.response.status_code": 429}
    return [
        Span("r", 1, None, "async_job", "notes", STARTED, STARTED + 20, "succeeded"),
        Span("r", 2, 1, "embedding", "", STARTED, STARTED + 18, "succeeded", {"waits.rate": 6.0, "waits.request": 12.0}),
        Span("r", 3, 2, "wait", "rate", STARTED, STARTED + 6, "succeeded", {"waits.rate": 6.0}),
        Span("r", 4, 2, "attempt", "throttle", STARTED + 6, STARTED + 12, "failed", refused),
        Span("r", 5, 2, "attempt", "", STARTED + 12, STARTED + 18, "succeeded"),
    ]


def large() -> list[Span]:
    spans = [Span("r", 1, None, "async_job", "notes", STARTED, STARTED + 2600, "succeeded", {})]
    for at in range(99_999):
        start = STARTED + at * 0.025
        spans.append(Span("r", at + 2, 1, "embedding", "", start, start + 0.1 + at % 7 * 0.05, "succeeded", {"tokens": at}))
    return spans


def test_the_tree_by_mouse_and_by_keyboard(opened: Opened, tmp_path: Path) -> None:
    opened.show(tmp_path / "run.html", small())
    assert opened.driver.title == f"Run {RUN.run_id}"
    # A click opens and closes; many that are alike are one line, and folded ones say so.
    together = opened.row("× 746")
    assert all(part in together for part in ("p50 0.05 s", "46 s", "4 failed"))
    before = len(opened.rows())
    opened.click("× 746")
    assert len(opened.rows()) == before + 7
    assert "740 more, as one" in opened.row("more, as one")
    assert opened.row_has("× 746", "aria-expanded") == "true"
    opened.click("× 746")
    assert len(opened.rows()) == before
    # The same by keyboard.
    opened.press("HOME")
    assert "notes" in opened.chosen()
    opened.press("ARROW_LEFT")
    assert opened.chosen_has("aria-expanded") == "false"
    opened.press("ARROW_RIGHT", "ARROW_RIGHT", "ENTER", "ARROW_DOWN")
    assert opened.chosen_has("aria-level") == "3"
    assert "rate limit 0.5 s" in opened.find("#details").text
    opened.press("END")
    assert "unfinished" in opened.chosen()
    assert "none" not in opened.find("#tree").value_of_css_property("outline-style")
    opened.press("ARROW_UP")
    assert HOSTILE in opened.chosen()
    assert HOSTILE in opened.find("#details").text


def test_a_click_shows_what_happened_inside_of_a_batch(opened: Opened, tmp_path: Path) -> None:
    opened.show(tmp_path / "run.html", nested())
    wide = opened.find("#bars").size["width"]
    # Attempts and waits lie in the middle of their batch's bar, below the lane of the critical path and the name of the job.
    middle = 22 + 24 + 14 + 8 + 24 + 8
    opened.click_bar(round(wide * 0.45), middle)
    assert "attempt" in opened.chosen()
    said = opened.find("#details").text
    assert "429 throttle: slow down" in said
    assert opened.find("#details nav").text == "async_job notes › embedding ›"
    opened.click_bar(round(wide * 0.15), middle)
    assert "wait" in opened.chosen()
    whole = opened.colours()
    # From event to event by keyboard, and closer by a drag.
    opened.press("ARROW_DOWN", at="#timeline")
    assert "throttle attempt" in opened.chosen()
    opened.press("+", "+", "ARROW_RIGHT", "ARROW_RIGHT", "ARROW_RIGHT", at="#timeline")
    assert opened.colours() != whole
    opened.press("0", "ARROW_UP", at="#timeline")
    assert opened.colours() == whole
    opened.find("#next-failed").click()
    assert "throttle" in opened.chosen()
    assert opened.find("#chosen").get_attribute("textContent") == "attempt throttle, failed, 6 s"
    opened.find("#details .close").click()
    assert "Choose an event" in opened.find("#details").text
    opened.press("slow down", "ENTER", at="#find")
    assert (opened.find("#found").text, "throttle" in opened.chosen()) == ("1 of 1", True)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_report_in_light_and_dark_on_paper_and_on_a_phone(opened: Opened, tmp_path: Path, theme: str) -> None:
    opened.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})
    # Of another version, or damaged.
    strange = replace(RUN, run_id=HOSTILE, summary={"items": "x", "cost": [], "jobs": [{"name": None, "seconds": "x", "ok": {}}]})
    opened.show(tmp_path / "run.html", small(), Earlier([strange, replace(RUN, run_id="before")], small(), lambda run_id: f"{run_id}.html"))
    assert opened.find("h1").text == "4,284 of 4,300 items done, 16 failed in 43m 20s"
    assert ("255, 255, 255" in opened.find("body").value_of_css_property("background-color")) == (theme == "light")
    assert [title.text for title in opened.driver.find_elements("css selector", "h2") if title.is_displayed()] == [
        *("Why it ended so", "What failed", "Critical path", "Timeline", "Events", "Jobs, and what they waited for", "Event types"),
        "Earlier runs of this job file",
    ]
    failed = opened.find("#failures tbody tr").text
    assert all(part in failed for part in ("too_long", "16", "notes.jsonl:5", HOSTILE))
    assert opened.find("#earlier a").get_attribute("href") == (tmp_path / "before.html").as_uri()
    assert len(opened.driver.find_elements("css selector", "#charts svg")) == 3
    # What the page says of itself to a screen reader has a name for each.
    tree = opened.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    nameless = [node["role"]["value"] for node in tree if not node.get("ignored") and not node.get("name", {}).get("value")]
    assert not set(nameless) & {"button", "link", "tree", "image", "region", "table", "heading", "img", "treeitem"}
    assert opened.width_at(390) <= 390
    # On paper it is light, and whole.
    opened.driver.execute_script('dispatchEvent(new Event("beforeprint"))')
    assert "255, 255, 255" in opened.find("body").value_of_css_property("background-color")
    opened.driver.execute_script('dispatchEvent(new Event("afterprint"))')
    assert ("255, 255, 255" in opened.find("body").value_of_css_property("background-color")) == (theme == "light")


def test_a_newer_document_of_the_run_is_shown_in_the_place_of_the_old_one(opened: Opened, tmp_path: Path) -> None:
    opened.show(tmp_path / "run.html", nested())
    opened.press("END", "ARROW_UP", "ARROW_UP", "ARROW_UP")
    opened.press("ARROW_LEFT")
    assert "embedding" in opened.chosen()
    later = [*nested(), Span("r", 6, 1, "embedding", "", STARTED + 18, None, "running")]
    document = json.loads(json.dumps(page_document(RUN, later, STARTED + 3000)))
    opened.driver.execute_script('document.dispatchEvent(new CustomEvent("run-document", {detail: arguments[0]}))', document)
    # What was closed is closed, what was chosen is chosen.
    assert len(opened.rows()) == 3
    assert "embedding" in opened.chosen()
    assert "unfinished" in opened.row("unfinished")
    # Also when it has become one of many.
    many = [Span("r", 7 + at, 1, "embedding", "", STARTED + 18 + at, STARTED + 19 + at, "succeeded") for at in range(8)]
    document = json.loads(json.dumps(page_document(RUN, [*later, *many], STARTED + 3000)))
    opened.driver.execute_script('document.dispatchEvent(new CustomEvent("run-document", {detail: arguments[0]}))', document)
    assert "× 10" in opened.row("× 10")
    assert opened.find("#details h3").text == "embedding"


def test_a_hundred_thousand_spans(opened: Opened, tmp_path: Path) -> None:
    opened.show(tmp_path / "run.html", large())
    # The first picture within a second, or on a machine that has other work in one of three tries.
    for _ in range(2):
        if opened.drawn_after() < 1000:
            break
        opened.driver.refresh()
    assert opened.drawn_after() < 1000
    opened.click("× 99999")
    assert 10 < len(opened.rows()) < 200
    opened.press("END")
    assert opened.chosen_has("aria-posinset") == "99999"
    assert "99,998" in opened.find("#details").text
    opened.press("PAGE_UP", "ARROW_UP", "ARROW_LEFT")
    assert "× 99999" in opened.chosen()
    opened.press("ARROW_LEFT")
    assert len(opened.rows()) == 2
    assert len(opened.colours()) > 3
    # On a narrow screen nothing moves sideways.
    assert opened.width_at(360) <= 360
