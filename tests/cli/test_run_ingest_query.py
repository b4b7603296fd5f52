"""`asyncrun run` with ingest and query jobs: documents go into the store wholly, questions find them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import Fault, error
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]

DOCUMENTS = {
    "docs/resume.md": "# Resume\n\nRun the same command again after a crash.\n",
    "docs/limits.md": "# Limits\n\nRequests and tokens per minute are kept.\n",
    "docs/deep/cron.txt": "Cron calls the command every night.\n",
}


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    for name, text in DOCUMENTS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def write_jobs(folder: Path, server: FakeServer, *, ingest: dict[str, Any] | None = None, **query: Any) -> None:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    store = {"store": {"type": "sqlite", "path": "index.db"}, "collection": "docs", "embedder": embedder}
    jobs: list[dict[str, Any]] = [
        {"name": "fill", "kind": "ingest", "input": {"path": "docs/**/*"}, **store, **(ingest or {})},
        {
            "name": "ask",
            "kind": "query",
            "needs": ["fill"],
            "input": {"items": [{"id": "q1", "text": "How do I resume after a crash?"}]},
            "top_k": 2,
            "output": "answers.jsonl",
            **store,
            **query,
        },
    ]
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": jobs}))


def hits(folder: Path) -> list[str]:
    [row] = [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]
    return [hit["doc_id"] for hit in row["hits"]]


def test_a_question_finds_the_document_with_its_words(asyncrun: Command, server: FakeServer, documents: Path) -> None:
    write_jobs(documents, server, search="keyword")
    assert asyncrun("run").code == 0
    assert hits(documents)[0] == "resume.md"
    [row] = [json.loads(line) for line in (documents / "answers.jsonl").read_text().splitlines()]
    assert (row["id"], row["query"]) == ("q1", "How do I resume after a crash?")
    assert set(row["hits"][0]) == {"id", "doc_id", "score", "text", "metadata", "start", "end"}
    assert row["hits"][0]["text"] == DOCUMENTS["docs/resume.md"][row["hits"][0]["start"] : row["hits"][0]["end"]]


@pytest.mark.parametrize("search", ["vector", "hybrid"])
def test_vector_and_hybrid_search_return_top_k_hits_best_first(asyncrun: Command, server: FakeServer, documents: Path, search: str) -> None:
    write_jobs(documents, server, search=search)
    assert asyncrun("run").code == 0
    [row] = [json.loads(line) for line in (documents / "answers.jsonl").read_text().splitlines()]
    scores = [hit["score"] for hit in row["hits"]]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)


def test_a_second_run_sends_nothing_and_leaves_store_and_answers_alone(asyncrun: Command, server: FakeServer, documents: Path) -> None:
    write_jobs(documents, server)
    asyncrun("run")
    before = (documents / "answers.jsonl").stat(), (documents / "index.db").read_bytes()
    server.requests.clear()
    answer = asyncrun("run", "--json")
    assert answer.code == 0
    assert server.requests == []
    assert ((documents / "answers.jsonl").stat(), (documents / "index.db").read_bytes()) == before
    assert answer.documents[-1]["cached"] == answer.documents[-1]["ok"] == 4


def test_a_changed_document_alone_is_embedded_again_and_replaces_its_former_chunks(
    asyncrun: Command, server: FakeServer, documents: Path
) -> None:
    write_jobs(documents, server, search="keyword")
    asyncrun("run")
    server.requests.clear()
    (documents / "docs/limits.md").write_text("# Limits\n\nNow about penguins in a crash.\n")
    answer = asyncrun("run")
    assert answer.code == 0
    [sent] = server.sent_texts
    assert "penguins" in sent
    assert hits(documents) == ["resume.md", "limits.md"]


def test_a_document_that_left_stays_unless_the_job_prunes(asyncrun: Command, server: FakeServer, documents: Path) -> None:
    write_jobs(documents, server, search="keyword")
    asyncrun("run")
    (documents / "docs/resume.md").unlink()
    assert asyncrun("run").code == 0
    assert "resume.md" in hits(documents)
    write_jobs(documents, server, ingest={"prune": True, "max_delete": 1}, search="keyword")
    answer = asyncrun("run", "--json")
    assert answer.code == 0
    assert answer.documents[-1]["removed"] == 1
    assert "resume.md" not in hits(documents)


def test_more_deletions_than_max_delete_are_refused(asyncrun: Command, server: FakeServer, documents: Path) -> None:
    write_jobs(documents, server, ingest={"prune": True}, search="keyword")
    asyncrun("run")
    for name in ("docs/resume.md", "docs/limits.md"):
        (documents / name).unlink()
    assert "a run is refused: 2 of 3 documents" in " ".join(asyncrun("plan").out.split())
    answer = asyncrun("run")
    assert answer.code == 1
    assert "2 of 3 documents" in answer.out
    assert "--max-delete" in answer.out
    assert "max_delete" in answer.out
    assert "ask cancelled: fill failed" in answer.out
    assert "resume.md" in hits(documents)


def test_a_document_whose_chunk_is_refused_fails_alone(asyncrun: Command, documents: Path) -> None:
    refusal = error(400, "not this one", when=lambda request: any("Cron" in text for text in request.texts), times=None)
    with FakeServer(faults=[refusal]).in_thread() as server:
        write_jobs(documents, server, search="keyword")
        answer = asyncrun("run")
    assert answer.code == 3
    assert "deep/cron.txt" in answer.out
    assert "not this one" in answer.out
    assert hits(documents)[0] == "resume.md"


@pytest.mark.parametrize(("name", "kind"), [("document", "fill"), ("question", "ask")])
def test_a_text_that_is_refused_is_asked_once_for_all_that_have_it(asyncrun: Command, tmp_path: Path, name: str, kind: str) -> None:
    # More than a round of documents.
    items = [{"id": str(number), "text": f"a poisonous {name}" if number % 300 else f"{name} {number}"} for number in range(600)]
    refusal = error(400, "not this one", when=lambda request: f"a poisonous {name}" in request.texts, times=None)
    with FakeServer(faults=[refusal]).in_thread() as server:
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": 1}}
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs/one.md").write_text("One.\n")
        job = {"input": {"items": items}, "workers": 1, "embedder": embedder}
        write_jobs(tmp_path, server, ingest=job if kind == "fill" else {"embedder": embedder}, **(job if kind == "ask" else {}))
        answer = asyncrun("run", "--json", *([] if kind == "ask" else ["jobs.yaml", "fill"]))
        assert answer.code == 3
        assert [text for text in server.sent_texts if name in text] == [f"{name} 0", f"a poisonous {name}", f"{name} 300"]
        [told] = [job for job in answer.documents[-1]["jobs"] if job["name"] == kind]
        assert (told["ok"], told["failed"]) == (2, 598)


def test_a_filter_leaves_out_other_documents(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    lines = [{"id": str(year), "text": f"a crash in {year}", "year": year} for year in (2022, 2023, 2024)]
    (tmp_path / "docs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    ingest = {"input": {"path": "docs.jsonl", "metadata": ["year"]}}
    write_jobs(tmp_path, server, ingest=ingest, filter="year >= 2023 and not (year = 2024)")
    assert asyncrun("run").code == 0
    assert hits(tmp_path) == ["2023"]


def test_a_filter_with_a_mistake_ends_with_2_before_anything_is_sent(asyncrun: Command, server: FakeServer, documents: Path) -> None:
    write_jobs(documents, server, filter="year >=")
    answer = asyncrun("run")
    assert answer.code == 2
    assert "filter" in answer.err
    assert server.requests == []


def test_asking_a_collection_that_another_embedder_filled_is_refused(asyncrun: Command, server: FakeServer, documents: Path) -> None:
    other = {"embedder": {"provider": "openai", "model": "another", "base_url": server.base_url}}
    write_jobs(documents, server, **other)
    answer = asyncrun("run")
    assert answer.code == 1
    assert "another embedder" in answer.out


def test_a_collection_that_nobody_filled_is_named(asyncrun: Command, server: FakeServer, documents: Path) -> None:
    write_jobs(documents, server, search="keyword")
    answer = asyncrun("run", "--no-needs", "jobs.yaml", "ask")
    assert answer.code == 2
    assert "job ask: nothing has been ingested: the store" in answer.err


def test_it_says_which_job_fills_the_collection(asyncrun: Command, server: FakeServer, documents: Path) -> None:
    write_jobs(documents, server)
    answer = asyncrun("run", "--no-needs", "jobs.yaml", "ask")
    assert "Run `asyncrun run jobs.yaml fill` first, which fills it.\n" in answer.err


def test_the_first_items_fill_no_store_and_it_says_what_does(asyncrun: Command, server: FakeServer, documents: Path) -> None:
    write_jobs(documents, server)
    answer = asyncrun("run", "jobs.yaml", "ask", "--limit", "1")
    assert answer.code == 1
    assert "ask: nothing has been ingested" in answer.out
    assert "--limit fills no store: run `asyncrun run jobs.yaml fill` first, without it;" in " ".join(answer.out.split())
    assert asyncrun("run", "jobs.yaml", "fill").code == 0
    assert asyncrun("run", "jobs.yaml", "ask", "--limit", "1").code == 0


def test_a_collection_that_no_job_fills_is_set_beside_those_that_are_filled(asyncrun: Command, server: FakeServer, documents: Path) -> None:
    write_jobs(documents, server, collection="dosc")
    for _ in range(2):
        answer = asyncrun("run", "jobs.yaml", "ask", "--no-needs")
        assert answer.code == 2
        said = " ".join(answer.err.split())
        assert "No job of this file fills 'dosc'; did you mean 'docs'? Filled in this store: 'docs' by fill." in said
        assert asyncrun("run", "jobs.yaml", "fill").code == 0


def test_a_collection_that_its_job_has_not_made_fails_the_job_that_asks_it(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    """Others may have run before it: it is no mistake of the call any more."""
    write_jobs(tmp_path, server, ingest={"input": {"path": "docs/**/*", "allow_empty": True}}, search="keyword")
    answer = asyncrun("run", "--json")
    assert answer.code == 1
    summary = answer.documents[-1]
    assert [job["status"] for job in summary["jobs"]] == ["succeeded", "failed"]


def test_a_document_that_changes_during_the_run_is_not_stored_under_its_former_mark(asyncrun: Command, tmp_path: Path) -> None:
    path = tmp_path / "docs.jsonl"
    lines = [json.dumps({"id": str(number), "text": f"document {number} as it was " + "x" * 20_000}) for number in range(300)]
    path.write_text("\n".join(lines))

    def meddle(document: dict[str, Any]) -> dict[str, Any]:
        path.write_text("\n".join([*lines[:299], json.dumps({"id": "299", "text": "meddled with"})]))
        return document

    with FakeServer(faults=[Fault(change=meddle)]).in_thread() as server:
        write_jobs(tmp_path, server, ingest={"input": "docs.jsonl", "chunk": {"by": "none"}, "workers": 1}, search="keyword")
        config = json.loads((tmp_path / "jobs.yaml").read_text())
        config["jobs"][0]["embedder"]["batch"] = {"max_items": 4}
        (tmp_path / "jobs.yaml").write_text(json.dumps(config))
        assert asyncrun("run").code == 0
        assert [text for text in server.sent_texts if "as it was" in text and text.startswith("document 299 ")]
        assert not [text for text in server.sent_texts if "meddled" in text]
        assert asyncrun("run").code == 0
        assert [text for text in server.sent_texts if "meddled" in text]


def test_another_embedder_for_a_filled_collection_is_refused_before_anything_is_sent(
    asyncrun: Command, server: FakeServer, documents: Path
) -> None:
    write_jobs(documents, server, search="keyword")
    asyncrun("run")
    server.requests.clear()
    other = {"embedder": {"provider": "openai", "model": "another", "base_url": server.base_url}}
    write_jobs(documents, server, ingest=other, search="keyword")
    assert asyncrun("run").code == 1
    assert server.requests == []


def test_the_trace_of_a_run_says_where_the_seconds_of_its_stores_and_attempts_went(
    asyncrun: Command, server: FakeServer, documents: Path
) -> None:
    server.faults.append(Fault(status=500, after=1))
    write_jobs(documents, server)
    assert asyncrun("run").code == 0
    spans = asyncrun("trace", "show", "--json").documents[0]["spans"]
    by_type: dict[str, list[dict[str, Any]]] = {}
    for span in spans:
        by_type.setdefault(span["type"], []).append(span)
    for kind in ("node_parsing", "retrieve"):
        assert all(span["attributes"]["waits.store"] > 0 for span in by_type[kind])
    batches = {span["id"]: span["attributes"] for span in by_type["embedding"]}
    assert all(attributes.keys() >= {"waits.request", "waits.decode", "waits.write"} for attributes in batches.values())
    assert any("waits.connect" in attributes for attributes in batches.values())
    assert {span["parent"] for span in by_type["attempt"]} == batches.keys()
    [failed] = [span for span in by_type["attempt"] if span["status"] == "failed"]
    assert (failed["name"], failed["attributes"]["http.response.status_code"]) == ("transient", 500)
