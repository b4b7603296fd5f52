"""`asyncrun plan`: what it says is what the run does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from asyncrun.readers.item_source import ItemSource
from asyncrun.testing.faults import Fault
from asyncrun.testing.server import FakeServer
from tests.documents import pdf_of, text_page

Command = Callable[..., Any]


def notes(folder: Path, name: str, texts: list[str]) -> None:
    (folder / name).write_text("".join(json.dumps({"id": str(n), "text": text}) + "\n" for n, text in enumerate(texts)))


def write(folder: Path, *jobs: dict[str, Any]) -> None:
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": jobs}))


def embedder(server: FakeServer, **more: Any) -> dict[str, Any]:
    return {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": 4}, **more}


def plans(asyncrun: Command) -> list[dict[str, Any]]:
    answer = asyncrun("plan", "--json")
    assert answer.code == 0
    return list(answer.documents[0]["jobs"])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_requests_are_exact_the_small_first_one_counted(asyncrun: Command, server: FakeServer, tmp_path: Path, count: int) -> None:
    notes(tmp_path, "notes.jsonl", [f"text {number}" for number in range(count)])
    write(tmp_path, {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder(server)})
    [planned] = plans(asyncrun)
    summary = asyncrun("run", "--json").documents[-1]
    assert planned["requests"] == summary["requests"] == len(server.requests)


def test_documents_are_cut_to_be_counted(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for number in range(5):
        (tmp_path / f"docs/{number}.md").write_text(" ".join(f"Sentence {place} of document {number}." for place in range(40)))
    job = {"name": "i", "kind": "ingest", "input": "docs/*.md", "embedder": embedder(server), "store": {"path": "index.db"}}
    write(tmp_path, job | {"chunk": {"size": 128, "overlap": 0}})
    [planned] = plans(asyncrun)
    summary = asyncrun("run", "--json").documents[-1]
    assert planned["requests"] == summary["requests"] > 5
    assert planned["tokens"] == pytest.approx(summary["tokens"], rel=0.1)


def test_documents_are_parsed_once_for_a_plan(
    asyncrun: Command, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = []
    items = ItemSource.items

    def counted(self: ItemSource, *more: Any, **named: Any) -> Any:
        passes.append(self)
        return items(self, *more, **named)

    monkeypatch.setattr(ItemSource, "items", counted)
    (tmp_path / "a.pdf").write_bytes(pdf_of([text_page("one page"), text_page("another")]))
    write(tmp_path, {"name": "i", "kind": "ingest", "input": "*.pdf", "embedder": embedder(server), "store": {"path": "index.db"}})
    [planned] = plans(asyncrun)
    assert (planned["new"], planned["requests"], len(passes)) == (1, 1, 1)


def test_tokens_are_estimated_by_what_the_server_has_counted_before(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    def dearer(document: dict[str, Any]) -> dict[str, Any]:
        document["usage"] = {"prompt_tokens": document["usage"]["prompt_tokens"] * 2}
        return document

    server.faults.append(Fault(change=dearer, times=None))
    job = {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder(server)}
    write(tmp_path, job)
    notes(tmp_path, "notes.jsonl", [f"the text with the number {number}" for number in range(20)])
    assert "a token for every 4 bytes" in asyncrun("plan").out
    assert asyncrun("run", "--quiet").code == 0
    notes(tmp_path, "notes.jsonl", [f"another text, of which this is {number}" for number in range(20)])
    [planned] = plans(asyncrun)
    assert not planned["exact"]
    assert "as counted in this space so far" in asyncrun("plan").out
    assert planned["tokens"] == pytest.approx(asyncrun("run", "--json").documents[-1]["tokens"], rel=0.1)


def test_with_the_local_model_tokens_are_exact(asyncrun: Command, tmp_path: Path) -> None:
    notes(tmp_path, "notes.jsonl", ["one", "two words", "a long text " * 200])
    write(tmp_path, {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl"})
    [planned] = plans(asyncrun)
    summary = asyncrun("run", "--json").documents[-1]
    assert planned["exact"]
    assert (planned["tokens"], planned["requests"]) == (summary["tokens"], summary["requests"])


def test_the_time_is_that_of_the_tightest_limit_and_unknown_without_one(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    notes(tmp_path, "notes.jsonl", [f"text {number}" for number in range(40)])
    job = {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl"}
    write(tmp_path, job | {"embedder": embedder(server)})
    assert plans(asyncrun)[0]["seconds"] is None
    limits = {"requests_per_minute": 60, "inputs_per_minute": 20}
    write(tmp_path, job | {"embedder": embedder(server, limits=limits)})
    assert (plans(asyncrun)[0]["seconds"], plans(asyncrun)[0]["bound_by"]) == (120.0, "inputs_per_minute")
    assert server.requests == []


def test_what_is_done_takes_no_time_and_a_run_says_what_bound_it(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    notes(tmp_path, "notes.jsonl", [f"text {number}" for number in range(40)])
    write(tmp_path, {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder(server)})
    summary = asyncrun("run", "--json").documents[-1]
    assert summary["bound_by"] == summary["jobs"][0]["bound_by"] is not None
    assert (plans(asyncrun)[0]["requests"], plans(asyncrun)[0]["seconds"]) == (0, 0.0)


def test_the_disk_that_is_needed_is_said(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    notes(tmp_path, "notes.jsonl", [f"text {number}" for number in range(40)])
    job = {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl"}
    write(tmp_path, job | {"embedder": embedder(server, dimensions=100)})
    [planned] = plans(asyncrun)
    assert asyncrun("run", "--quiet").code == 0
    taken = (tmp_path / "out.jsonl").stat().st_size + 40 * 100 * 4
    assert taken <= planned["disk"] <= 2 * taken
    assert plans(asyncrun)[0]["disk"] == 0


def test_the_disk_that_an_ingest_needs_is_said_when_the_size_of_a_vector_is_known(
    asyncrun: Command, server: FakeServer, tmp_path: Path
) -> None:
    notes(tmp_path, "notes.jsonl", ["text one", "text two"])
    write(tmp_path, {"name": "n", "kind": "ingest", "input": "notes.jsonl", "store": {"path": "index.db"}, "embedder": embedder(server)})
    assert plans(asyncrun)[0]["disk"] is None
    assert asyncrun("run", "--quiet").code == 0
    notes(tmp_path, "notes.jsonl", ["text one", "text two", "text six"])
    assert 8 * 4 < plans(asyncrun)[0]["disk"] < 1000


def test_a_job_whose_input_is_not_made_yet_is_planned_as_unknown(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    notes(tmp_path, "notes.jsonl", ["one", "two"])
    first = {"name": "first", "kind": "embed", "input": "notes.jsonl", "output": "first.jsonl", "embedder": embedder(server)}
    second = {"name": "second", "kind": "embed", "input": "first.jsonl", "output": "second.jsonl", "embedder": embedder(server)}
    write(tmp_path, first, second)
    answer = asyncrun("plan")
    assert answer.code == 0
    assert "second: its input is made by first" in answer.out


def test_a_run_that_cannot_fit_refuses_before_its_first_call(
    asyncrun: Command, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes(tmp_path, "notes.jsonl", [f"text {number}" for number in range(40)])
    job = {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl"}
    write(tmp_path, job | {"embedder": embedder(server, dimensions=100)})
    needed = plans(asyncrun)[0]["disk"]
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage(free=needed - 1))
    answer = asyncrun("run")
    assert answer.code == 74
    assert "nothing was sent" in answer.out
    assert server.requests == []
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage(free=needed))
    assert asyncrun("run").code == 0


def usage(free: int) -> Any:
    return SimpleNamespace(total=2 * free, used=free, free=free)


def test_files_that_a_glob_matches_and_that_are_not_read_are_counted_and_named(asyncrun: Command, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("a.md", ".hidden.md", "picture.png", "table.xyz", "tool.exe"):
        (tmp_path / "docs" / name).write_text("text")
    write(tmp_path, {"name": "n", "kind": "embed", "input": "docs/*", "output": "out.jsonl", "embedder": {"provider": "local"}})
    [planned] = plans(asyncrun)
    assert planned["items"] == 1
    passed_over = "4 files passed over, hidden or of a type that nothing reads: docs/.hidden.md, docs/picture.png, docs/table.xyz, ..."
    assert passed_over in asyncrun("plan").out
    ran = asyncrun("run")
    assert (ran.code, passed_over in ran.err) == (0, True)
    assert "passed over" not in asyncrun("run").err


@pytest.mark.parametrize(
    "job",
    [
        {"kind": "embed", "output": "out.jsonl"},
        {"kind": "ingest", "store": {"path": "index.db"}},
        {"kind": "query", "store": {"path": "index.db"}, "collection": "c", "search": "keyword", "output": "out.jsonl"},
    ],
    ids=lambda job: job["kind"],
)
def test_a_plan_counts_what_is_left_out_and_what_cannot_be_sent(asyncrun: Command, tmp_path: Path, job: dict[str, Any]) -> None:
    notes(tmp_path, "notes.jsonl", ["one", "two", "three"])
    with (tmp_path / "notes.jsonl").open("a") as file:
        file.write("{broken\n")
    (tmp_path / "skip.txt").write_text("0\n2\n")
    fill = {"name": "fill", "kind": "ingest", "input": {"items": ["a text"]}, "store": {"path": "index.db"}, "collection": "c"}
    write(tmp_path, fill)
    assert asyncrun("run").code == 0
    write(tmp_path, {"name": "n", "input": "notes.jsonl", "skip": "skip.txt", "max_failures": 5, **job})
    [planned] = plans(asyncrun)
    assert {name: planned[name] for name in ("items", "failed", "skipped")} == {"items": 4, "failed": 1, "skipped": 2}
    assert planned["new"] + planned["unchanged"] == 1
    assert "SKIPPED" in asyncrun("plan").out.splitlines()[0]
    summary = asyncrun("run", "--json").documents[-1]
    assert {name: summary[name] for name in ("items", "failed", "skipped")} == {"items": 4, "failed": 1, "skipped": 2}
