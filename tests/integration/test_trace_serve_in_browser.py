"""`asyncrun trace serve` in a real browser: a run that begins, goes on and is killed while it is looked at, and a list of 10,000 runs."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.server import FakeServer
from asyncrun.trace.store import TraceStore
from tests.browser import chromium

pytestmark = pytest.mark.needs("chromium")

ASYNCRUN = (sys.executable, "-m", "asyncrun")


class Browser:
    """The list in the browser, as a user sees it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def text(self, selector: str) -> str:
        script = "return document.querySelector(arguments[0])?.innerText ?? ''"
        return str(self.driver.execute_script(script, selector))

    def until(self, look: Callable[[], Any]) -> Any:
        from selenium.webdriver.support.wait import WebDriverWait

        return WebDriverWait(self.driver, 60, poll_frequency=0.05).until(lambda _: look())

    def click(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def choose(self, words: str) -> None:
        from selenium.webdriver.support.select import Select

        Select(self.driver.find_element("css selector", "#files")).select_by_visible_text(words)

    def emulate(self, *, width: int, theme: str) -> None:
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})

    def background(self) -> str:
        return str(self.driver.execute_script("return getComputedStyle(document.body).backgroundColor"))

    def overflow(self) -> int:
        return int(self.driver.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth"))

    def asked(self) -> set[str]:
        """Return the hosts that were asked for anything."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        addresses = [found["params"]["request"]["url"] for found in messages if found["method"] == "Network.requestWillBeSent"]
        return {address.split("/")[2] for address in addresses if address.startswith("http")}


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def browser(driver: Any) -> Iterator[Browser]:
    driver.get("about:blank")
    driver.get_log("browser")
    shown = Browser(driver)
    shown.asked()
    yield shown
    assert driver.get_log("browser") == []
    assert len(shown.asked()) == 1
    driver.get("about:blank")


@contextmanager
def serving(folder: Path, browser: Browser) -> Iterator[str]:
    """Serve the folder until the browser has left: a page that still asks would tell of a server that is gone."""
    words = [*ASYNCRUN, "trace", "serve", "--port", "0", "--quiet", "--state-dir", str(folder / ".asyncrun")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield server.stdout.readline().strip()
            browser.driver.get("about:blank")
        finally:
            server.kill()


def test_a_run_is_followed_from_its_beginning_to_its_sudden_end(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text("".join(f'{{"id": "{number}", "text": "text {number}"}}\n' for number in range(2000)))
    with FakeServer(latency=0.1).in_thread() as server, serving(tmp_path, browser) as address:
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": 5}}
        job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "workers": 2, "embedder": embedder}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
        browser.driver.get(address)
        browser.until(lambda: "No runs are recorded yet" in browser.text("#none"))
        words = [*ASYNCRUN, "run", "--quiet"]
        with subprocess.Popen(words, cwd=tmp_path, env=os.environ | {"OPENAI_API_KEY": "k"}) as run:
            first = browser.until(lambda: (found := browser.text(".progress")).endswith(" of 2,000") and found)
            assert browser.text(".badge") == "running"
            browser.until(lambda: browser.text(".progress") not in ("", first))
            browser.click("#runs tbody a")
            verdict = browser.until(lambda: (found := browser.text("#verdict")).startswith("Running for") and found)
            browser.until(lambda: browser.text("#verdict") != verdict)
            run.kill()
        with closing(sqlite3.connect(tmp_path / ".asyncrun" / "traces.db")) as store, store:
            store.execute("UPDATE runs SET seen = seen - 60, started = started - 60")
        browser.until(lambda: browser.text("#verdict").startswith("No end is recorded"))
        browser.click("header a")
        browser.until(lambda: browser.text(".badge") == "unfinished")
        assert " of 2,000" in browser.text(".progress")


def test_ten_thousand_runs_are_shown_in_parts(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / ".asyncrun").mkdir()
    TraceStore(tmp_path / ".asyncrun" / "traces.db").close()
    with closing(sqlite3.connect(tmp_path / ".asyncrun" / "traces.db")) as store, store:
        store.execute(
            """WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 9999)
            INSERT INTO runs (run_id, started, ended, status, exit_code, seconds, job_file, version, host, summary, seen, lost)
            SELECT printf('r%05d', n), n, n + 5, 'succeeded', 0, 5.0, iif(n % 4, 'often.yaml', 'a <b>&amp; "rare".yaml'), '1', 'h',
            CAST('{"items": 1200, "cost": 0.25}' AS BLOB), n, 0 FROM numbers"""
        )
    with serving(tmp_path, browser) as address:
        browser.emulate(width=390, theme="dark")
        browser.driver.get(address)
        browser.until(lambda: browser.text("#place") == "1–50 of 10,000")
        assert browser.text("#runs tbody th") == "r09999"
        assert len(browser.driver.find_elements("css selector", "#runs tbody tr")) == 50
        assert (browser.overflow(), browser.background()) == (0, "rgb(19, 22, 26)")
        browser.emulate(width=1200, theme="light")
        assert browser.background() == "rgb(255, 255, 255)"
        browser.click("#older")
        browser.until(lambda: browser.text("#place") == "51–100 of 10,000")
        browser.choose('a <b>&amp; "rare".yaml (2,500)')
        browser.until(lambda: browser.text("#place") == "1–50 of 2,500")
        assert browser.text("#runs tbody th") == "r09996"
        browser.driver.refresh()
        browser.until(lambda: browser.text("#place") == "1–50 of 2,500")
        browser.click("#runs tbody a")
        browser.until(lambda: browser.text("#verdict"))
        assert browser.text("header a") == "All runs"
