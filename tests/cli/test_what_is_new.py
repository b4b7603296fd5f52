"""What makes items new is said first; what was made stays; a refresh makes again; what two jobs share is sent once."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from asyncrun.embedders.same_model import KNOWN_TEXT
from asyncrun.testing.faults import Fault, error
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]


def notes(folder: Path, *texts: str) -> None:
    (folder / "notes.jsonl").write_text("".join(json.dumps({"id": str(n), "text": text}) + "\n" for n, text in enumerate(texts)))


def job_of(server: FakeServer, name: str = "n", model: str = "small", **embedder: Any) -> dict[str, Any]:
    described = {"provider": "openai", "model": model, "base_url": server.base_url, "price_per_million_tokens": 1_000_000}
    return {"name": name, "kind": "embed", "input": "notes.jsonl", "output": f"{name}.jsonl", "embedder": described | embedder}


def write(folder: Path, *jobs: dict[str, Any]) -> None:
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": jobs}))


def test_another_model_is_named_with_what_it_costs_and_the_former_rows_are_kept(
    asyncrun: Command, server: FakeServer, tmp_path: Path
) -> None:
    notes(tmp_path, "text one", "text two", "text six")
    write(tmp_path, job_of(server))
    answer = asyncrun("run")
    assert "->" not in answer.err
    write(tmp_path, job_of(server, model="large"))
    told = "model small -> large: 3 items, $6.00"
    assert told in asyncrun("plan").out
    answer = asyncrun("run")
    assert told in answer.err
    assert "3 rows from other settings kept aside" in answer.err
    write(tmp_path, job_of(server))
    server.requests.clear()
    assert asyncrun("run").code == 0
    assert server.requests == []


def test_a_refresh_makes_the_named_jobs_again_once(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    notes(tmp_path, "one", "two")
    write(tmp_path, job_of(server), job_of(server, name="other"))
    assert asyncrun("run").code == 0
    server.requests.clear()
    assert asyncrun("run", "jobs.yaml", "n", "--refresh").code == 0
    assert sorted(server.sent_texts) == ["one", "two"]
    assert asyncrun("run").code == 0
    assert len(server.sent_texts) == 2
    assert asyncrun("run", "--refresh").code == 2


def test_a_refresh_that_was_cut_off_goes_on_with_the_next_run(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    notes(tmp_path, *(f"text {number}" for number in range(10)))
    write(tmp_path, job_of(server, batch={"max_items": 2}) | {"workers": 1})
    assert asyncrun("run").code == 0
    server.requests.clear()
    server.faults.append(error(429, "billing", code="insufficient_quota", times=1, after=3))
    assert asyncrun("run", "jobs.yaml", "n", "--refresh").code == 75
    done = server.sent_texts[:6]
    assert asyncrun("run", "jobs.yaml", "n", "--refresh").code == 0
    times = Counter(server.sent_texts)
    assert len(times) == 10
    assert [times[text] for text in done] == [1] * 6


def test_a_refresh_that_was_cut_off_takes_nothing_from_that_of_another_job(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    notes(tmp_path, "one", "two")
    write(tmp_path, job_of(server), job_of(server, name="other", model="large"))
    assert asyncrun("run").code == 0
    assert asyncrun("run", "jobs.yaml", "n", "--refresh").code == 0
    server.faults.append(error(429, "billing", code="insufficient_quota", times=1))
    assert asyncrun("run", "jobs.yaml", "other", "--refresh").code == 75
    server.requests.clear()
    assert asyncrun("run", "jobs.yaml", "n", "--refresh").code == 0
    assert sorted(server.sent_texts) == ["one", "two"]


def test_documents_are_made_again_too(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("The text of a.")
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    write(tmp_path, {"name": "i", "kind": "ingest", "input": "docs/*.md", "embedder": embedder, "store": {"path": "index.db"}})
    for flags, sent in (([], 1), ([], 1), (["jobs.yaml", "i", "--refresh"], 2), ([], 2)):
        assert asyncrun("run", *flags).code == 0
        assert len(server.sent_texts) == sent


@pytest.mark.parametrize("latency", [0.0, 0.1])
def test_a_text_of_two_jobs_is_sent_once(asyncrun: Command, server: FakeServer, tmp_path: Path, latency: float) -> None:
    server.latency = latency
    notes(tmp_path, "same", "same", *(f"text {number}" for number in range(8)))
    small: dict[str, Any] = {"batch": {"max_items": 2}}
    write(tmp_path, job_of(server, **small), job_of(server, name="twin", **small))
    plans = asyncrun("plan", "--json").documents[0]["jobs"]
    assert [planned["requests"] for planned in plans] == [5, 0]
    answer = asyncrun("run", "--json")
    assert answer.code == 0
    assert max(Counter(server.sent_texts).values()) == 1
    assert len(server.requests) == 5
    assert [len((tmp_path / f"{name}.jsonl").read_text().splitlines()) for name in ("n", "twin")] == [10, 10]
    assert sorted(job["cached"] for job in answer.documents[-1]["jobs"]) == [0, 10]


def test_what_was_refused_to_one_job_is_not_asked_again_by_the_other(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    server.latency = 0.1
    notes(tmp_path, "one", "poison", "two")
    server.faults.append(error(400, "not allowed", when=lambda request: "poison" in request.texts, times=None))
    small: dict[str, Any] = {"batch": {"max_items": 1}}
    write(tmp_path, job_of(server, **small), job_of(server, name="twin", **small))
    assert asyncrun("run", "--quiet").code == 3
    assert Counter(server.sent_texts)["poison"] == 1
    assert asyncrun("failed", "--ids").out.split() == ["1", "1"]


def test_inputs_that_are_removed_leave_the_output(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    notes(tmp_path, "one", "two", "six")
    write(tmp_path, job_of(server))
    assert asyncrun("run").code == 0
    notes(tmp_path, "one")
    server.requests.clear()
    assert asyncrun("run").code == 0
    assert [json.loads(line)["text"] for line in (tmp_path / "n.jsonl").read_text().splitlines()] == ["one"]
    assert server.requests == []


def turned(document: dict[str, Any]) -> dict[str, Any]:
    """A reply with vectors of another model."""
    return {**document, "data": [{**row, "embedding": [1.0] * 7 + [-1.0]} for row in document["data"]]}


def test_the_first_place_of_a_named_space_is_asked_for_the_vector_of_one_constant_text(
    asyncrun: Command, server: FakeServer, tmp_path: Path
) -> None:
    notes(tmp_path, "one", "two", "three")
    write(tmp_path, job_of(server, space="mine"))
    [planned] = asyncrun("plan", "--json").documents[0]["jobs"]
    assert asyncrun("run").code == 0
    assert planned["requests"] == len(server.requests) == 2
    assert server.requests[0].texts == [KNOWN_TEXT]
    notes(tmp_path, "one", "two", "three", "four")
    server.requests.clear()
    assert asyncrun("run").code == 0
    assert server.sent_texts == ["four"]


def test_a_named_space_takes_no_vectors_of_another_model(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    notes(tmp_path, "one", "two")
    write(tmp_path, job_of(server, space="mine"))
    assert asyncrun("run").code == 0
    notes(tmp_path, "all", "new", "here")
    with FakeServer().in_thread() as same, FakeServer(faults=[Fault(change=turned, times=None)]).in_thread() as other:
        write(tmp_path, job_of(other, space="mine"))
        answer = asyncrun("run")
        assert answer.code == 1
        assert "cosine" in answer.out
        assert other.sent_texts == [KNOWN_TEXT]
        write(tmp_path, job_of(same, space="mine"))
        [planned] = asyncrun("plan", "--json").documents[0]["jobs"]
        assert asyncrun("run").code == 0
        assert planned["requests"] == len(same.requests) == 2
        assert (same.sent_texts[0], sorted(same.sent_texts[1:])) == (KNOWN_TEXT, ["all", "here", "new"])
        same.requests.clear()
        notes(tmp_path, "all", "new", "here", "six")
        assert asyncrun("run").code == 0
        assert same.sent_texts == ["six"]


def test_jobs_side_by_side_ask_a_place_once(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    server.latency = 0.1
    notes(tmp_path, "one", "two")
    write(tmp_path, job_of(server, space="mine"), job_of(server, name="twin", space="mine"))
    planned = asyncrun("plan", "--json").documents[0]["jobs"]
    assert asyncrun("run").code == 0
    assert server.sent_texts.count(KNOWN_TEXT) == 1
    assert sum(job["requests"] for job in planned) == len(server.requests)


def test_a_place_without_a_vector_to_compare_by_is_refused(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    notes(tmp_path, "one")
    write(tmp_path, job_of(server, space="mine"))
    assert asyncrun("run").code == 0
    with closing(sqlite3.connect(tmp_path / ".asyncrun/ledger.db")) as ledger, ledger:
        ledger.execute("DELETE FROM batches")
    with FakeServer().in_thread() as same:
        write(tmp_path, job_of(same, space="mine"))
        answer = asyncrun("run")
        assert answer.code == 1
        assert "no vector to compare it by" in answer.out
        assert same.requests == []
        write(tmp_path, job_of(server, space="mine"))
        assert asyncrun("run").code == 0
        notes(tmp_path, "one", "two")
        write(tmp_path, job_of(same, space="mine"))
        assert asyncrun("run").code == 0
        assert same.sent_texts == [KNOWN_TEXT, "two"]


def test_documents_are_compared_too(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("The text of a.")

    def job(served: FakeServer) -> dict[str, Any]:
        embedder = {"provider": "openai", "model": "m", "base_url": served.base_url, "space": "mine"}
        return {"name": "i", "kind": "ingest", "input": "docs/*.md", "embedder": embedder, "store": {"path": "index.db"}}

    write(tmp_path, job(server))
    [planned] = asyncrun("plan", "--json").documents[0]["jobs"]
    assert asyncrun("run").code == 0
    assert server.sent_texts == [KNOWN_TEXT, "The text of a."]
    assert planned["requests"] == 2
    (tmp_path / "docs/b.md").write_text("The text of b.")
    with FakeServer(dimensions=9).in_thread() as other:
        write(tmp_path, job(other))
        assert asyncrun("run").code == 1
        assert other.sent_texts == [KNOWN_TEXT]
