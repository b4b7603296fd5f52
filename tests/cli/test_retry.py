"""`asyncrun retry`: the failed items again, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    refusal = error(400, "this text is not allowed", when=lambda request: any("poison" in text for text in request.texts), times=None)
    with FakeServer(faults=[refusal]).in_thread() as running:
        yield running


@pytest.fixture
def partial_run(asyncrun: Command, server: FakeServer, tmp_path: Path) -> Path:
    """A run that ended with three failed items of five: two refused, one that is no JSON."""
    lines = ['{"id": "a", "text": "one"}', "no json", '{"id": "c", "text": "poison c"}', '{"id": "d", "text": "poison d"}']
    (tmp_path / "notes.jsonl").write_text("\n".join([*lines, '{"id": "e", "text": "five"}']))
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    job = {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    assert asyncrun("run", "--quiet").code == 3
    server.requests.clear()
    return tmp_path


def ids_of(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def failed_ids(asyncrun: Command) -> list[str]:
    return list(asyncrun("failed", "--ids").out.split())


def test_only_the_failed_items_are_sent_again_and_the_output_is_written(asyncrun: Command, server: FakeServer, partial_run: Path) -> None:
    server.faults.clear()
    assert asyncrun("retry").code == 3
    assert sorted(server.sent_texts) == ["poison c", "poison d"]
    assert ids_of(partial_run / "out.jsonl") == ["a", "c", "d", "e"]
    assert failed_ids(asyncrun) == ["notes.jsonl#2"]


def test_a_run_alone_does_not_send_them(asyncrun: Command, server: FakeServer, partial_run: Path) -> None:
    server.faults.clear()
    assert asyncrun("run").code == 3
    assert server.requests == []


def test_without_any_it_says_so(asyncrun: Command, server: FakeServer, partial_run: Path) -> None:
    (partial_run / "notes.jsonl").write_text('{"id": "a", "text": "one"}\n')
    assert asyncrun("run").code == 0
    before = asyncrun("trace", "list").out
    answer = asyncrun("retry")
    assert (answer.code, answer.out, answer.err) == (0, "nothing failed: nothing is sent\n", "")
    assert server.requests == []
    assert asyncrun("trace", "list").out == before
    assert asyncrun("retry", "--quiet").out == ""
    [*_, summary] = asyncrun("retry", "--json").documents
    assert (summary["type"], summary["exit_code"], summary["items"]) == ("summary", 0, 0)


def test_one_of_them_by_its_id(asyncrun: Command, server: FakeServer, partial_run: Path) -> None:
    server.faults.clear()
    assert asyncrun("retry", "--id", "d").code == 3
    assert server.sent_texts == ["poison d"]
    assert failed_ids(asyncrun) == ["notes.jsonl#2", "c"]
    assert asyncrun("retry", "jobs.yaml", "n", "--id", "a").code == 2


def test_what_fails_again_stays_on_the_list(asyncrun: Command, server: FakeServer, partial_run: Path) -> None:
    assert asyncrun("retry").code == 3
    assert failed_ids(asyncrun) == ["notes.jsonl#2", "c", "d"]
    assert ids_of(partial_run / "out.jsonl") == ["a", "e"]


@pytest.mark.parametrize("kind", ["embed", "ingest"])
def test_a_text_that_is_refused_again_is_not_sent_by_the_next_run(
    asyncrun: Command, server: FakeServer, partial_run: Path, kind: str
) -> None:
    if kind == "ingest":
        ingest(partial_run)
        assert asyncrun("run", "--quiet").code == 3
    assert asyncrun("retry").code == 3
    assert {"poison c", "poison d"} <= set(server.sent_texts)
    server.requests.clear()
    server.faults.clear()
    assert asyncrun("run").code == 3
    assert server.requests == []


def ingest(folder: Path) -> None:
    """Have the job fill a store instead."""
    job = json.loads((folder / "jobs.yaml").read_text())["jobs"][0]
    job |= {"kind": "ingest", "store": {"type": "sqlite", "path": "store.db"}, "collection": "notes"}
    job.pop("output")
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))


def test_a_text_that_another_job_had_refused_is_sent_twice_at_most(asyncrun: Command, server: FakeServer, partial_run: Path) -> None:
    job = json.loads((partial_run / "jobs.yaml").read_text())["jobs"][0]
    (partial_run / "jobs.yaml").write_text(json.dumps({"jobs": [job | {"name": "other", "output": "other.jsonl"}]}))
    for _ in range(2):
        assert asyncrun("run").code == 3
        assert set(server.sent_texts) == {"poison c", "poison d"}
    server.requests.clear()
    assert asyncrun("run").code == 3
    assert server.requests == []


def test_a_server_that_refuses_everything_is_asked_again_by_every_run(asyncrun: Command, server: FakeServer, partial_run: Path) -> None:
    (partial_run / "notes.jsonl").write_text('{"id": "c", "text": "poison c"}\n{"id": "z", "text": "poison z"}\n')
    for _ in range(3):
        server.requests.clear()
        assert asyncrun("run").code == 1
        assert "poison z" in server.sent_texts


def test_a_bad_record_that_is_mended_is_sent_and_leaves_the_list(asyncrun: Command, server: FakeServer, partial_run: Path) -> None:
    notes = partial_run / "notes.jsonl"
    notes.write_text(notes.read_text().replace("no json", '{"id": "b", "text": "two"}'))
    server.faults.clear()
    assert asyncrun("retry").code == 0
    assert sorted(server.sent_texts) == ["poison c", "poison d", "two"]
    assert ids_of(partial_run / "out.jsonl") == ["a", "b", "c", "d", "e"]
    assert asyncrun("failed", "--check").code == 0
    server.requests.clear()
    assert asyncrun("retry").code == 0
    assert server.requests == []


def test_items_that_are_new_are_left_to_the_next_run_and_so_is_the_output(asyncrun: Command, server: FakeServer, partial_run: Path) -> None:
    with (partial_run / "notes.jsonl").open("a") as notes:
        notes.write('\n{"id": "f", "text": "six"}')
    server.faults.clear()
    answer = asyncrun("retry")
    assert answer.code == 75
    assert "1 item is new" in answer.out
    assert sorted(server.sent_texts) == ["poison c", "poison d"]
    assert ids_of(partial_run / "out.jsonl") == ["a", "e"]
    assert asyncrun("run").code == 3
    assert ids_of(partial_run / "out.jsonl") == ["a", "c", "d", "e", "f"]


def test_a_document_that_failed_is_ingested_again(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name, text in (("good", "A harmless text."), ("bad", "This is poison.")):
        (tmp_path / f"docs/{name}.md").write_text(text)
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    job = {"name": "i", "kind": "ingest", "input": "docs/*.md", "embedder": embedder, "store": {"type": "sqlite", "path": "index.db"}}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    assert asyncrun("run", "--quiet").code == 3
    server.requests.clear()
    server.faults.clear()
    (tmp_path / "docs/new.md").write_text("A new text.")
    assert asyncrun("retry").code == 75
    assert server.sent_texts == ["This is poison."]
    assert asyncrun("failed", "--check").code == 0
