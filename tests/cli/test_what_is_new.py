"""What makes items new is said first; what was made stays; a refresh makes again; what two jobs share is sent once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
    assert all(times[text] == 1 for text in done)


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


def test_a_named_space_takes_no_vectors_of_another_model(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    def turned(document: dict[str, Any]) -> dict[str, Any]:
        vectors = document["data"]
        vectors[0]["embedding"], vectors[-1]["embedding"] = vectors[-1]["embedding"], vectors[0]["embedding"]
        return document if len(vectors) > 1 else {**document, "data": [{**vectors[0], "embedding": [1.0] * 7 + [-1.0]}]}

    notes(tmp_path, "one", "two")
    write(tmp_path, job_of(server, space="mine"))
    assert asyncrun("run").code == 0
    assert sorted(server.sent_texts) == ["one", "two"]
    notes(tmp_path, "one", "two", "three", "four", "five")
    with FakeServer().in_thread() as same, FakeServer(faults=[Fault(change=turned, times=None)]).in_thread() as other:
        write(tmp_path, job_of(other, space="mine"))
        answer = asyncrun("run")
        assert answer.code == 1
        assert "cosine" in answer.out
        assert len(other.sent_texts) == 1
        write(tmp_path, job_of(same, space="mine"))
        [planned] = asyncrun("plan", "--json").documents[0]["jobs"]
        assert asyncrun("run").code == 0
        assert planned["requests"] == len(same.requests) == 2
        assert sorted(same.sent_texts[1:]) == ["five", "four", "three"]
        same.requests.clear()
        notes(tmp_path, "one", "two", "three", "four", "five", "six")
        assert asyncrun("run").code == 0
        assert same.sent_texts == ["six"]


def test_where_no_text_is_known_the_run_says_that_nothing_was_compared(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    notes(tmp_path, "one")
    write(tmp_path, job_of(server, space="mine"))
    assert asyncrun("run").code == 0
    notes(tmp_path, "other")
    with FakeServer().in_thread() as same:
        write(tmp_path, job_of(same, space="mine"))
        answer = asyncrun("run")
    assert answer.code == 0
    assert "nothing was compared" in answer.err


def test_documents_are_compared_too(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("The text of a.")

    def job(served: FakeServer) -> dict[str, Any]:
        embedder = {"provider": "openai", "model": "m", "base_url": served.base_url, "space": "mine"}
        return {"name": "i", "kind": "ingest", "input": "docs/*.md", "embedder": embedder, "store": {"path": "index.db"}}

    write(tmp_path, job(server))
    assert asyncrun("run").code == 0
    (tmp_path / "docs/b.md").write_text("The text of b.")
    with FakeServer(dimensions=9).in_thread() as other:
        write(tmp_path, job(other))
        assert asyncrun("run").code == 1
        assert other.sent_texts == ["The text of a."]
