"""docs/architecture.md tells the ways of a text, an error and a prompt as they are: each is sent, and the calls compared."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.batch_servers import BatchServers
from asyncrun.testing.faults import Fault
from asyncrun.testing.server import FakeServer
from tests.depth import DEEP

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CALL = re.compile(r"`([\w/]+\.py)` `([\w.<>]+)`")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer(dimensions=4).in_thread() as running:
        yield running


def steps(section: str) -> list[tuple[str, str]]:
    """Return the calls that a section of the page tells, in its order."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    return [(match[1], match[2]) for line in text.splitlines() if re.match(r"\d+\. ", line) for match in CALL.finditer(line)]


def walk_of_text(server: FakeServer, folder: Path) -> dict[str, Any]:
    """Run one embed job of one text, and return what was called."""
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "api_key": "sk-no-secret"}
    texts = {"items": [{"id": "a", "text": "one text"}]}
    return walk({"name": "notes", "kind": "embed", "input": texts, "output": "out.jsonl", "embedder": embedder}, folder)


def walk(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run a job in a process of its own, and return what was called."""
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    command = [sys.executable, Path(__file__).with_name("walk.py"), folder / "walk.json"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    found: dict[str, Any] = json.loads((folder / "walk.json").read_text())
    return found


def out_of_order(told: list[tuple[str, str]], found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the steps that were not called, or not after the step before them."""
    order = {tuple(call): place for place, call in enumerate(found["calls"])}
    places = [order.get(step, -1) for step in told]
    return [step for step, place, before in zip(told, places, [-1, *places], strict=False) if place <= before]


def test_a_text_goes_the_way_that_the_page_tells(server: FakeServer, tmp_path: Path) -> None:
    found, told = walk_of_text(server, tmp_path), steps("A text, from the job file to its row")
    assert (tmp_path / "out.jsonl").exists()
    assert len(told) > 20
    assert out_of_order(told, found) == []
    assert set(found["wire"]) <= {file for file, _ in told}, "the page leaves out a file between the worker and the wire"


def test_an_error_goes_the_way_that_the_page_tells(server: FakeServer, tmp_path: Path) -> None:
    server.faults.append(Fault(status=401))
    found, told = walk_of_text(server, tmp_path), steps("An error, from the server to the exit code")
    assert found["code"] == 77
    assert len(told) > 8
    assert out_of_order(told, found) == []


@pytest.mark.skipif(not DEEP, reason="a batch under a profiler takes seconds: ASYNCRUN_TEST_DEEP=1")
def test_a_prompt_goes_the_way_that_the_page_tells(tmp_path: Path) -> None:
    told = steps("A prompt, from its row to the answer, by a batch")
    with FakeServer(batches=BatchServers(speed=1000.0)).in_thread() as server:
        llm = {"provider": "openai", "model": "m", "base_url": server.base_url, "api_key": "sk-no-secret", "delivery": "batch"}
        job = {"name": "notes", "kind": "generate", "input": {"items": [{"id": "a", "text": "one text"}]}, "llm": llm}
        found = walk({**job, "prompt": "{text}", "schema": {"type": "object"}, "output": "out.jsonl"}, tmp_path)
    assert (tmp_path / "out.jsonl").exists()
    assert len(told) > 20
    assert out_of_order(told, found) == []
