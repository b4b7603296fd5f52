"""Draws docs/pictures/page-*.webp: the page of a run as Chromium shows it, in three widths, light and dark.

Run: python scripts/page_pictures.py

It needs chromium and chromedriver, and the package selenium. The run is a real one, of four jobs against the fake server, with items that
fail, a rate limit and a server that stumbles; another one comes before it, to be compared with.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import asyncrun
from asyncrun.testing import FakeServer, Quota, fault

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
WIDTHS = (390, 800, 1400)
HIGHEST = 2000
"""Pixels of a picture; the page goes on."""
WORDS = ("river", "stone", "quiet", "lamp", "window", "harbour", "signal", "copper", "engine", "meadow", "letter", "winter", "bridge")
JOBS = """\
defaults: {max_failures: 5%}
embedders:
  fake:
    provider: openai
    model: fake-small
    base_url: ADDRESS
    batch: {max_items: 32}
    limits: {concurrency: 4}
    price_per_million_tokens: 0.02
stores:
  docs: {type: sqlite, path: index.db}
jobs:
  - {name: embed-notes, kind: embed, input: notes.jsonl, embedder: fake, output: out/notes.jsonl}
  - {name: embed-tickets, kind: embed, input: tickets.jsonl, embedder: fake, output: out/tickets.jsonl}
  - {name: ingest-docs, kind: ingest, input: docs.jsonl, chunk: {by: sentence, size: 64}, store: docs, collection: docs, embedder: fake}
  - {name: ask, kind: query, needs: [ingest-docs], input: questions.jsonl, store: docs, collection: docs, embedder: fake, output: h.jsonl}
"""


def main() -> None:
    """Run the jobs twice, and take the pictures of the second run."""
    chance = random.Random(1)  # noqa: S311 - the same inputs each time
    server = FakeServer(
        dimensions=64,
        latency=lambda _: chance.uniform(0.02, 0.3),
        quota=Quota(requests=40, seconds=2.0),
        max_input_tokens=1500,
        faults=[fault("bad_gateway", times=5, after=90), fault("reset", times=2, after=120)],
    )
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name), server.in_thread():
        folder, file = Path(name), "jobs.yaml"
        (folder / file).write_text(JOBS.replace("ADDRESS", server.base_url), encoding="utf-8")
        write_inputs(folder, chance, notes=800)
        asyncrun.run(file)
        write_inputs(folder, chance, notes=2400)
        page = folder / "run.html"
        page.write_text(asyncrun.run(file).html(), encoding="utf-8")
        take_pictures(page)


def write_inputs(folder: Path, chance: random.Random, *, notes: int) -> None:
    """Write the inputs of the jobs, some of their items without a text, and some too long."""

    def text(words: int) -> str:
        return " ".join(chance.choices(WORDS, k=words))

    def write(name: str, records: list[dict[str, Any]]) -> None:
        (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")

    write("notes.jsonl", [{"title": text(3)} if at % 300 == 7 else {"text": text(20)} for at in range(notes)])
    write("tickets.jsonl", [{"text": text(2000 if at % 350 == 4 else 12)} for at in range(notes // 2)])
    write("docs.jsonl", [{"id": f"d{at}", "text": ". ".join(text(30) for _ in range(8))} for at in range(notes // 40)])
    write("questions.jsonl", [{"text": f"{text(5)}?"} for _ in range(40)])


def take_pictures(page: Path) -> None:
    """Show a page in each width and theme, an attempt that failed chosen in it, and write what is seen."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    # Named, so that nothing is looked for elsewhere.
    options.binary_location = shutil.which("chromium") or ""
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver") or ""))
    try:
        for width in WIDTHS:
            for theme in ("light", "dark"):
                size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
                driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
                driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})
                driver.get(page.as_uri())
                if width > 1000:
                    driver.find_element("css selector", "#next-failed").click()
                driver.execute_async_script("scrollTo(0, 0); requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
                high = min(int(driver.execute_script("return document.documentElement.scrollHeight")), HIGHEST)
                clip = {"x": 0, "y": 0, "width": width, "height": high, "scale": 1}
                told = {"format": "webp", "quality": 50, "clip": clip, "captureBeyondViewport": True}
                picture = driver.execute_cdp_cmd("Page.captureScreenshot", told)["data"]
                (FOLDER / f"page-{width}-{theme}.webp").write_bytes(base64.b64decode(picture))
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
