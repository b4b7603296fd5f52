"""What stands at the end of a run: four jobs with failures fit one screen, in the order of reading, and nothing stands there twice."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.server import FakeServer

from .conftest import Command


@pytest.fixture
def four_jobs(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """Four jobs: items without a title, empty ones, and questions; a hundred columns."""
    monkeypatch.setenv("COLUMNS", "100")
    records: list[dict[str, Any]] = [{"id": f"n{number}", "title": f"title {number}", "text": f"text {number}"} for number in range(40)]
    for number in (11, 23, 37):
        del records[number]["title"]
    records[5]["text"] = records[6]["text"] = ""
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": 4}, "price_per_million_tokens": 0.1}
    store = {"store": "docs", "collection": "notes", "embedder": embedder}
    jobs: list[dict[str, Any]] = [
        {"name": "titles", "kind": "embed", "input": {"path": "notes.jsonl", "text": "title"}, "output": "t.jsonl", "embedder": embedder},
        {"name": "texts", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder},
        {"name": "ingest-notes", "kind": "ingest", "input": "notes.jsonl", **store},
        {"name": "ask", "kind": "query", "needs": ["ingest-notes"], "input": {"items": ["a", "b"]}, "output": "a.jsonl", **store},
    ]
    whole = {"defaults": {"max_failures": "20%"}, "stores": {"docs": {"type": "sqlite", "path": "index.db"}}, "jobs": jobs}
    (tmp_path / "jobs.yaml").write_text(json.dumps(whole))
    return server


def test_four_jobs_with_failures_end_on_one_screen(asyncrun: Command, four_jobs: FakeServer) -> None:
    answer = asyncrun("run")
    assert answer.code == 3, answer.err
    answers, end = answer.out.split("\n\n", 1)
    lines = end.splitlines()
    assert answers.splitlines()[0] == "a"
    assert len(lines) <= 30
    assert max(map(len, lines[:-2])) <= 100
    parts = (
        "Trace: ",
        "Timing summary",
        "job ",
        "titles ",
        "titles: 3 x no field 'title'",
        "Partial: ",
        "Next: `asyncrun failed jobs.yaml`",
    )
    places = [next(number for number, line in enumerate(lines) if line.startswith(part)) for part in parts]
    assert places == sorted(places)
    assert places[-1] == len(lines) - 1
    assert re.search(r"^Partial: 115 of 122 items done, 5 failed, 2 skipped in .*; \d+% .* in [\w-]+\.$", lines[-2])
    assert len(re.findall(r"\d{8}-\d{6}-\w{4}", end)) == 1
    assert end.count("the text is empty") == 1

    whole = asyncrun("run", "-v", "--refresh", "texts")
    assert whole.out.count("|_embedding") == 10
    assert "\njob " in whole.out.partition("Timing summary")[2].partition("event type")[0]


def test_where_nothing_is_left_to_do_the_end_is_short(asyncrun: Command, four_jobs: FakeServer, tmp_path: Path) -> None:
    assert asyncrun("run", "ask", "--quiet").code == 0
    again = asyncrun("run", "ask")
    assert again.code == 0
    assert re.fullmatch(r"Trace: \S+\nNothing to do: 40 items unchanged, 2 skipped in [\d.]+ s\.\n", again.out)
