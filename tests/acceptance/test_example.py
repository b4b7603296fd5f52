"""The example answers from this project's own pages, costs nothing the second time, and is what the README and the page on traces show."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from asyncrun.callbacks import CBEventType

from .conftest import ROOT, load_script


class Example(NamedTuple):
    """A folder where the example has run, and how its first run is shown."""

    folder: Path
    shown: str
    trace: str
    timeline: str


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    script, folder = load_script("readme_example"), tmp_path_factory.mktemp("example")
    shown = script.run_example(folder)
    return Example(folder, shown, script.trace(folder), script.asyncrun(folder, "trace", "timeline"))


def test_the_example_finds_the_right_pages(example: Example) -> None:
    answers = [json.loads(line) for line in (example.folder / "out/answers.jsonl").read_text().splitlines()]
    best = [row["hits"][0]["doc_id"] for row in answers]
    assert best == [
        "resume-after-a-crash.md",
        "exit-codes.md",
        "reading-a-trace.md",
        "every-night.md",
    ]


def test_the_answers_of_the_example_are_shown(example: Example) -> None:
    lines = example.shown.splitlines()
    assert lines[0] == "how do I resume after a crash?"
    assert lines[1].startswith("  resume-after-a-crash.md: Resume after a crash ")
    assert lines[8] == ""


def test_the_second_run_of_the_example_sends_nothing_and_leaves_what_is_there(example: Example) -> None:
    written = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (example.folder / "out").iterdir()}
    command = [sys.executable, "-m", "asyncrun", "run", "jobs.example.yaml", "--json"]
    ran = subprocess.run(command, cwd=example.folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    second = json.loads(ran.stdout.splitlines()[-1])
    assert second["status"] == "succeeded"
    assert (second["requests"], second["cached"]) == (0, second["ok"])
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (example.folder / "out").iterdir()} == written


@pytest.fixture(scope="module")
def shown() -> dict[str, list[str]]:
    """The blocks of the pages by their markers."""
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/traces.md"))
    found = re.findall(r"<!-- (\w+) -->\n```text\n(.*?)\n```\n<!-- /\1 -->", text, re.DOTALL)
    return {marker: block.splitlines() for marker, block in found}


def labels(lines: list[str]) -> set[str]:
    """What stands at the beginnings of lines, without numbers, waits and whichever events were long enough to be named."""
    starts = {re.sub(r"[\d.,]+", "0", re.split(r"  | [·▁▂▃▄▅▆▇█]", line)[0]).strip() for line in lines if line.strip()}
    return {start for start in starts if not start.startswith(("and ", "|", "itself", "between", *CBEventType))}


def test_the_readme_shows_what_the_example_shows(shown: dict[str, list[str]], example: Example) -> None:
    assert labels(shown["trace"]) == labels(example.trace.splitlines())
    assert labels(shown["timeline"]) == labels(example.timeline.splitlines())
    assert labels(shown["timeline"]) >= {"embed-docs", "ingest-docs", "ask"}


def test_the_seconds_of_the_critical_path_add_up_to_those_of_the_run(shown: dict[str, list[str]]) -> None:
    title, header, *rows = shown["trace"][: shown["trace"].index("")]
    column = header.index("time")
    parts = [float(row[: column + len("time")].split()[-2]) for row in rows if not row.startswith("and ")]
    parts += [float(row.split()[-2]) for row in rows if row.startswith("and ")]
    [total] = re.findall(r"\(([\d.]+) s from", title)
    assert sum(parts) == pytest.approx(float(total), abs=0.06 * len(parts))
    [length] = re.findall(r"^([\d.]+) s;", shown["timeline"][0])
    assert length == total


def test_all_of_it_is_of_one_run(shown: dict[str, list[str]]) -> None:
    ids = {word for line in shown["transcript"] for word in re.findall(r"\d{8}-\d{6}-\w{4}", line)}
    assert len(ids) == 1
