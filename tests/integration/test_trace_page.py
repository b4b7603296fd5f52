"""The page of a run in a real browser: clicked through, moved through by keyboard, in light and dark, at 10 and at 100,000 spans."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from asyncrun.trace.exporters.html import render_html
from asyncrun.trace.run_record import RunRecord, Span

pytestmark = pytest.mark.needs("chromium")

STARTED = 1_795_486_500.0
RUN = RunRecord("20261124-021500-4f2a", STARTED, STARTED + 2600, "partial", 3, 2600.0, "jobs.yaml", "0.1.0", "here")
HOSTILE = "</script><script>document.title = 'broken'</script><img src=x onerror=alert(1)>"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1200,1600"),
)


@dataclass(frozen=True)
class Opened:
    """A page in the browser, with what a user sees and does."""

    driver: Any

    def open(self, path: Path) -> None:
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
        """Click on that row."""
        self._on_row(text, lambda row: row.click())

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

    def requests(self) -> list[str]:
        """Return the addresses that the page asked for."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"]


@pytest.fixture(params=["light", "dark"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        feature = {"name": "prefers-color-scheme", "value": request.param}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        page = Opened(driver)
        # The browser's own first page is not what is tested.
        driver.get("about:blank")
        page.requests()
        driver.get_log("browser")
        yield page
        assert driver.get_log("browser") == []
        asked = page.requests()
        assert asked
        assert {address for address in asked if address not in ("data:,", driver.current_url)} == set()
        back = page.find("body").value_of_css_property("background-color")
        assert ("255, 255, 255" in back) == (request.param == "light")
    finally:
        driver.quit()


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


def large() -> list[Span]:
    spans = [Span("r", 1, None, "async_job", "notes", STARTED, STARTED + 2600, "succeeded", {})]
    for at in range(99_999):
        start = STARTED + at * 0.025
        spans.append(Span("r", at + 2, 1, "embedding", "", start, start + 0.1 + at % 7 * 0.05, "succeeded", {"tokens": at}))
    return spans


def test_ten_spans(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "run.html").write_text(render_html(RUN, small(), STARTED + 3000), encoding="utf-8")
    opened.open(tmp_path / "run.html")
    assert opened.driver.title == f"Run {RUN.run_id}"
    # A click opens and closes; many that are alike are one line.
    together = opened.row("× 746")
    assert all(part in together for part in ("p50 0.05 s", "p95 0.25 s", "max 1 s", "4 failed"))
    before = len(opened.rows())
    opened.click("× 746")
    assert len(opened.rows()) == before + 7
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
    assert "waits.rate" in opened.find("#details").text
    opened.press("ARROW_LEFT", "ARROW_LEFT", "END")
    assert "unfinished" in opened.chosen()
    assert "none" not in opened.find("#tree").value_of_css_property("outline-style")
    opened.press("ARROW_UP")
    assert HOSTILE in opened.chosen()
    assert HOSTILE in opened.find("#details").text


def test_a_click_on_a_bar_selects_its_event(opened: Opened, tmp_path: Path) -> None:
    from selenium.webdriver import ActionChains

    (tmp_path / "run.html").write_text(render_html(RUN, small()[:2], STARTED + 3000), encoding="utf-8")
    opened.open(tmp_path / "run.html")
    bars = opened.find("#bars")
    across, down = bars.size["width"], bars.size["height"]
    # The job's bar is as wide as the timeline, its batch's a twentieth; it lies below.
    ActionChains(opened.driver).move_to_element_with_offset(bars, 30 - across // 2, 70 - down // 2).click().perform()
    assert "embedding" in opened.chosen()
    assert "embedding" in opened.find("#readout").text
    whole = opened.colours()
    assert len(whole) > 3
    opened.press("+", "+", "ARROW_RIGHT", "ARROW_RIGHT", "ARROW_RIGHT", at="#timeline")
    assert len(opened.colours()) < len(whole)
    opened.press("0", at="#timeline")
    assert opened.colours() == whole


def test_a_hundred_thousand_spans(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "run.html").write_text(render_html(RUN, large(), STARTED + 3000), encoding="utf-8")
    opened.open(tmp_path / "run.html")
    opened.click("× 99999")
    assert 10 < len(opened.rows()) < 200
    opened.press("END")
    assert opened.chosen_has("aria-posinset") == "99999"
    assert "99998" in opened.find("#details").text
    opened.press("PAGE_UP", "ARROW_UP", "ARROW_LEFT")
    assert "× 99999" in opened.chosen()
    opened.press("ARROW_LEFT")
    assert len(opened.rows()) == 2
    assert len(opened.colours()) > 3
    # On a narrow screen nothing but the tables moves sideways.
    opened.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    )
    assert opened.driver.execute_script("return document.documentElement.scrollWidth") <= 360
