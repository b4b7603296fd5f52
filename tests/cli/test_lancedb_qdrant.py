"""LanceDB and Qdrant behind the command line: what a job file fills is found, filtered, renamed, pruned, rebuilt and copied."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]

pytestmark = pytest.mark.filterwarnings("ignore:Local mode is not recommended:UserWarning")


@pytest.fixture(scope="module", autouse=True)
def started(request: pytest.FixtureRequest) -> None:
    if find_spec("lancedb") is not None:
        request.getfixturevalue("lancedb_runs")


@pytest.fixture(
    params=[pytest.param("lancedb", marks=pytest.mark.needs("lancedb")), pytest.param("qdrant", marks=pytest.mark.needs("qdrant"))]
)
def store(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    if request.param == "lancedb":
        yield {"type": "lancedb", "path": "index"}
        return
    from tests.servers.qdrant_rest import running

    with running() as rest:
        yield {"type": "qdrant", "url": rest.url}


@pytest.fixture
def folder(tmp_path: Path, server: FakeServer, store: dict[str, str]) -> Path:
    """Three notes and one of another source, the jobs that ingest both into one collection, and one that asks it."""
    (tmp_path / "notes").mkdir()
    for name in ("a", "b", "c"):
        (tmp_path / f"notes/{name}.md").write_text(f"---\ntitle: {name.upper()}\n---\nThe text of {name}.")
    (tmp_path / "more.jsonl").write_text('{"id": "d", "text": "The text of d.", "lang": "de"}\n')
    (tmp_path / "questions.jsonl").write_text('{"id": "q", "text": "The text of b."}\n')
    write_jobs(tmp_path, server, store)
    return tmp_path


def write_jobs(folder: Path, server: FakeServer, store: dict[str, str], model: str = "m", **ask: Any) -> None:
    embedder = {"provider": "openai", "model": model, "base_url": server.base_url}
    fill = {"kind": "ingest", "embedder": embedder, "store": store, "collection": "kb", "prune": True, "max_delete": 1}
    question = {"kind": "query", "input": "questions.jsonl", "embedder": embedder, "store": store, "collection": "kb", "top_k": 3}
    jobs = [
        {"name": "notes", "input": "notes/*.md", **fill},
        {"name": "more", "input": {"path": "more.jsonl", "metadata": ["lang"]}, **fill},
        {"name": "ask", "output": "hits.jsonl", "needs": ["notes", "more"], **question, **ask},
    ]
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": jobs}))


def hits(folder: Path) -> list[dict[str, Any]]:
    [row] = map(json.loads, (folder / "hits.jsonl").read_text().splitlines())
    return list(row["hits"])


def test_what_is_ingested_is_found_filtered_pruned_and_renamed(
    asyncrun: Command, server: FakeServer, folder: Path, store: dict[str, str]
) -> None:
    assert asyncrun("run").code == 0
    assert hits(folder)[0]["doc_id"].endswith("b.md")
    assert hits(folder)[0]["metadata"]["title"] == "B"
    sent = len(server.sent_texts)
    (folder / "notes/b.md").rename(folder / "notes/z.md")
    assert asyncrun("run").code == 0
    assert len(server.sent_texts) == sent
    assert hits(folder)[0]["doc_id"].endswith("z.md")
    write_jobs(folder, server, store, filter="lang = 'de'")
    assert asyncrun("run", "jobs.yaml", "ask").code == 0
    assert [hit["doc_id"] for hit in hits(folder)] == ["d"]
    (folder / "notes/z.md").unlink()
    write_jobs(folder, server, store, filter="title >= 'B'")
    assert asyncrun("run", "--json").documents[-1]["removed"] == 1
    assert [hit["doc_id"].rpartition("/")[2] for hit in hits(folder)] == ["c.md"]
    assert len(server.sent_texts) == sent


def test_a_new_model_fills_a_generation_beside_the_first_and_takes_its_place(
    asyncrun: Command, server: FakeServer, folder: Path, store: dict[str, str]
) -> None:
    assert asyncrun("run").code == 0
    write_jobs(folder, server, store, model="other")
    assert asyncrun("run").code == 1
    ran = asyncrun("run", "--rebuild")
    assert ran.code == 0, ran.err
    assert len(hits(folder)) == 3
    write_jobs(folder, server, store)
    (folder / "jobs.yaml").write_text(json.dumps({**json.loads((folder / "jobs.yaml").read_text()), "stores": {"mine": store}}))
    back = asyncrun("store", "rollback", "mine", "kb")
    assert back.code == 0, back.err
    assert asyncrun("run", "jobs.yaml", "ask").code == 0
    assert len(hits(folder)) == 3


def test_it_is_listed_searched_and_copied_without_embedding_again(
    asyncrun: Command, server: FakeServer, folder: Path, store: dict[str, str]
) -> None:
    assert asyncrun("run").code == 0
    (folder / "jobs.yaml").write_text(json.dumps({**json.loads((folder / "jobs.yaml").read_text()), "stores": {"mine": store}}))
    sent = len(server.sent_texts)
    [listed] = asyncrun("store", "list", "mine", "--json").documents[0]["collections"]
    assert (listed["name"], listed["documents"], listed["chunks"]) == ("kb", 4, 4)
    copied = asyncrun("store", "copy", "mine", "--to", "other.db")
    assert copied.code == 0, copied.err
    exports = [asyncrun("store", "export", each, "kb", "-o", "-").out for each in ("mine", "other.db")]
    assert exports[0].count("\n") == 4
    assert sorted(exports[0].splitlines()) == sorted(exports[1].splitlines())
    assert len(server.sent_texts) == sent
    looked = asyncrun("doctor")
    assert {"lancedb": "LanceDB ", "qdrant": "Qdrant "}[store["type"]] in looked.out + looked.err
