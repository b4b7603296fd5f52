"""`asyncrun store`: what is in a store, a search by hand, a collection in a file and in another store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]

ROWS = [
    {"id": "resume", "text": "Run the same command again after a crash. Nothing is sent twice.", "lang": "en", "year": 2024},
    {"id": "limits", "text": "Requests and tokens per minute are kept.", "lang": "en", "year": 2023},
    {"id": "grüße/日本", "text": "Größe und Straße: 日本語の文書。", "lang": "de", "year": 2024},
]
QUESTIONS = [{"id": "q", "text": "Is there more to know?", "lang": "en"}]


@pytest.fixture
def filled(asyncrun: Command, tmp_path: Path, server: FakeServer) -> Path:
    """A folder whose two jobs have filled one collection of the store `docs`."""
    for name, rows in (("rows.jsonl", ROWS), ("questions.jsonl", QUESTIONS)):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_jobs(tmp_path, server, "docs")
    assert asyncrun("run").code == 0
    server.requests.clear()
    return tmp_path


def write_jobs(folder: Path, server: FakeServer, store: str, **embedder: Any) -> None:
    job = {
        "kind": "ingest",
        "store": store,
        "collection": "handbook",
        "embedder": {"provider": "openai", "model": "m", "base_url": server.base_url, **embedder},
    }
    jobs = [
        {**job, "name": "fill", "input": {"path": "rows.jsonl", "metadata": ["lang", "year"]}, "chunk": {"by": "sentence", "size": 12}},
        {**job, "name": "faq", "input": {"path": "questions.jsonl", "metadata": ["lang"]}},
    ]
    stores = {"docs": {"path": "index.db"}, "other": {"path": "other.db"}}
    (folder / "jobs.yaml").write_text(json.dumps({"stores": stores, "jobs": jobs}))


def exported(asyncrun: Command, store: str, collection: str = "handbook") -> list[Any]:
    answer = asyncrun("store", "export", store, collection, "-o", "-", "-q")
    assert (answer.code, answer.err) == (0, "")
    return list(answer.documents)


def test_the_list_has_each_collection_with_its_counts_and_its_space(asyncrun: Command, filled: Path) -> None:
    [document] = asyncrun("store", "list", "docs", "--json").documents
    [collection] = document["collections"]
    assert (document["schema"], document["store"], document["type"]) == (1, "docs", "sqlite")
    assert (collection["name"], collection["generation"], collection["documents"]) == ("handbook", "current", 4)
    assert collection["chunks"] == len(exported(asyncrun, "docs"))
    assert collection["sources"] == {"faq": 1, "fill": 3}
    assert (collection["space"]["model"], collection["dimensions"]) == ("m", 8)
    shown = asyncrun("store", "list", "docs").out
    assert "handbook" in shown
    assert "openai/m" in shown


def test_a_path_is_a_store_also_without_a_job_file_and_without_a_ledger(asyncrun: Command, filled: Path) -> None:
    by_name = asyncrun("store", "list", "docs", "--json").documents[0]["collections"]
    assert asyncrun("store", "list", "index.db", "--json").documents[0]["collections"] == by_name
    (filled / "jobs.yaml").unlink()
    assert asyncrun("store", "list", "index.db", "--json").documents[0]["collections"] == by_name
    (filled / ".asyncrun" / "ledger.db").unlink()
    [bare] = asyncrun("store", "list", "index.db", "--json").documents[0]["collections"]
    assert bare == {**by_name[0], "space": None}
    assert f"space {bare['fingerprint'][:8]}, 8 dimensions" in asyncrun("store", "list", str(filled / "index.db")).out
    assert "which the ledger does not know" in asyncrun("store", "stats", "index.db", "handbook").out


def test_stats_have_the_sources_and_the_fields_of_the_metadata(asyncrun: Command, filled: Path) -> None:
    [document] = asyncrun("store", "stats", "docs", "handbook", "--json").documents
    assert document["collection"]["fields"] == ["lang", "year"]
    shown = asyncrun("store", "stats", "docs", "handbook").out
    assert "fill: 3 documents" in shown
    assert "lang, year" in shown


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
def test_a_search_by_hand_embeds_as_the_job_that_fills_the_collection(
    asyncrun: Command, filled: Path, server: FakeServer, mode: str
) -> None:
    words = ["store", "search", "docs", "handbook", "again after a crash", "--mode", mode]
    [document] = asyncrun(*words, "-n", "2", "--json").documents
    assert 0 < len(document["hits"]) <= 2
    assert set(document["hits"][0]) == {"id", "doc_id", "score", "text", "metadata", "start", "end"}
    assert [request.body["model"] for request in server.requests] == [] if mode == "keyword" else ["m"]
    [document] = asyncrun(*words, "--filter", "lang = 'de'", "--json").documents
    assert {hit["doc_id"] for hit in document["hits"]} <= {"grüße/日本"}


def test_a_search_shows_hits_as_a_person_reads_them(asyncrun: Command, filled: Path) -> None:
    shown = asyncrun("store", "search", "docs", "handbook", "crash", "--mode", "keyword").out
    first, *rest = shown.splitlines()
    assert first.split()[0] == "1"
    assert "resume" in first
    assert any("a crash" in line for line in rest)
    assert asyncrun("store", "search", "docs", "handbook", "zebra", "--mode", "keyword").out == "nothing found\n"


def test_an_export_has_what_it_takes_to_put_it_in_again(asyncrun: Command, filled: Path) -> None:
    rows = exported(asyncrun, "docs")
    texts = {row["id"]: row["text"] for row in ROWS}
    for row in rows:
        if row["source"] == "fill":
            assert row["text"] == texts[row["doc_id"]][row["start"] : row["end"]]
        assert len(row["embedding"]) == 8
        assert row["mark"]
    assert {row["doc_id"]: row["metadata"] for row in rows}["limits"] == {"lang": "en", "year": 2023}
    answer = asyncrun("store", "export", "docs", "handbook", "-o", "out/handbook.parquet", "--json")
    assert answer.documents == [{"schema": 1, "documents": 4, "chunks": len(rows)}]
    table = pq.read_table(filled / "out" / "handbook.parquet").to_pylist()
    for row in table:
        row |= {name: json.loads(row[name]) for name in ("metadata", "chunk_metadata")}
        row["embedding"] = np.array(row["embedding"], dtype=np.float32).tolist()
    assert table == [{**row, "embedding": np.array(row["embedding"], dtype=np.float32).tolist()} for row in rows]


def test_an_export_is_taken_in_as_vectors_that_need_not_be_sent(asyncrun: Command, filled: Path, server: FakeServer) -> None:
    (filled / "jobs.yaml").write_text((filled / "jobs.yaml").read_text().replace('"faq"', '"questions"'))
    assert asyncrun("store", "export", "docs", "handbook", "-o", "handbook.jsonl").code == 0
    [row, *_] = exported(asyncrun, "docs")
    embed = {"name": "again", "kind": "embed", "input": {"items": [{"id": "x", "text": row["text"]}]}, "output": "again.jsonl"}
    embed["embedder"] = {"provider": "openai", "model": "m", "base_url": server.base_url}
    (filled / "elsewhere").mkdir()
    (filled / "elsewhere" / "jobs.yaml").write_text(json.dumps({"jobs": [embed]}))
    answer = asyncrun("ledger", "import", "handbook.jsonl", "-f", "elsewhere/jobs.yaml", "--job", "again")
    assert answer.code == 0, answer.err
    assert asyncrun("run", "elsewhere/jobs.yaml").code == 0
    assert server.requests == []


@pytest.mark.parametrize("output", ["index.db", "rows.jsonl", "jobs.yaml", ".asyncrun/ledger.db", "handbook.npy"])
def test_an_export_writes_over_nothing_that_is_read(asyncrun: Command, filled: Path, output: str) -> None:
    before = (filled / output).read_bytes() if (filled / output).exists() else None
    assert asyncrun("store", "export", "docs", "handbook", "-o", output).code == 2
    assert ((filled / output).read_bytes() if (filled / output).exists() else None) == before


def test_a_copy_has_equal_content_sends_nothing_and_the_jobs_find_it_unchanged(asyncrun: Command, filled: Path, server: FakeServer) -> None:
    [document] = asyncrun("store", "copy", "docs", "handbook", "--to", "other", "--json").documents
    rows = exported(asyncrun, "docs")
    assert document["collections"] == [
        {"collection": "handbook", "to": "handbook", "copied": 4, "chunks": len(rows), "unchanged": 0, "removed": 0}
    ]
    assert exported(asyncrun, "other") == rows
    write_jobs(filled, server, "other")
    assert asyncrun("plan", "--json").documents[0]["jobs"][0]["new"] == 0
    assert asyncrun("run").out.splitlines()[-1].startswith("Nothing to do")
    assert server.requests == []
    answer = asyncrun("store", "copy", "docs", "--to", "other")
    assert answer.out == "handbook -> other, handbook: copied 0 documents of 0 chunks, 4 there already\n"


def test_a_copy_goes_to_a_path_and_under_another_name(asyncrun: Command, filled: Path) -> None:
    assert asyncrun("store", "copy", "docs", "handbook", "--to", "new/copy.db", "--as", "manual").code == 0
    assert exported(asyncrun, "new/copy.db", "manual") == exported(asyncrun, "docs")
    assert asyncrun("store", "copy", "docs", "handbook", "--to", "docs", "--as", "twin").code == 0
    assert exported(asyncrun, "docs", "twin") == exported(asyncrun, "docs")
    assert asyncrun("store", "copy", "docs", "--as", "twin", "--to", "other").code == 2
    for words in (["--to", "docs"], ["--to", "index.db"], ["--to", "other", "--as", "x@replaced"], ["--to", "othr"]):
        answer = asyncrun("store", "copy", "docs", "handbook", *words)
        assert answer.code == 2, words
    assert sorted(path.name for path in filled.glob("*.db")) == ["index.db"]


def test_a_copy_replaces_nothing_that_it_was_not_told_to(asyncrun: Command, filled: Path, server: FakeServer) -> None:
    assert asyncrun("store", "copy", "docs", "handbook", "--to", "other").code == 0
    (filled / "rows.jsonl").write_text("".join(json.dumps({**row, "year": 2025}) + "\n" for row in ROWS[1:]))
    text = (filled / "jobs.yaml").read_text()
    (filled / "jobs.yaml").write_text(text.replace('"name": "fill"', '"name": "fill", "prune": true, "max_delete": "100%"'))
    assert asyncrun("run", "fill").code == 0
    rows, before = exported(asyncrun, "docs"), exported(asyncrun, "other")
    assert rows != before
    answer = asyncrun("store", "copy", "docs", "handbook", "--to", "other")
    assert answer.code == 2
    assert "3 documents" in answer.err
    assert "--replace" in answer.err
    assert exported(asyncrun, "other") == before
    [document] = asyncrun("store", "copy", "docs", "handbook", "--to", "other", "--replace", "--json").documents
    assert [(done["copied"], done["unchanged"], done["removed"]) for done in document["collections"]] == [(2, 1, 1)]
    assert exported(asyncrun, "other") == rows


def test_a_target_of_another_space_is_refused_and_stays(asyncrun: Command, filled: Path, server: FakeServer) -> None:
    write_jobs(filled, server, "other", model="other")
    assert asyncrun("run").code == 0
    before = exported(asyncrun, "other")
    answer = asyncrun("store", "copy", "docs", "handbook", "--to", "other")
    assert answer.code == 1
    assert "space" in answer.err
    assert exported(asyncrun, "other") == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["list", "dcs"], "did you mean 'docs'"),
        (["list", "nowhere.db"], "its stores: docs, other"),
        (["stats", "docs", "handbok"], "handbok"),
        (["export", "docs", "handbok", "-o", "-"], "handbok"),
        (["copy", "docs", "handbok", "--to", "other"], "handbok"),
        (["search", "docs", "handbok", "what?"], "handbok"),
        (["search", "docs", "handbook", "what?", "--filter", "lang ="], "lang ="),
    ],
)
def test_a_name_that_is_not_there_is_a_mistake(asyncrun: Command, filled: Path, words: list[str], told: str) -> None:
    answer = asyncrun("store", *words)
    assert (answer.code, answer.out) == (2, "")
    assert told in answer.err
    assert not (filled / "other.db").exists()


def test_without_a_job_file_the_way_out_is_told(asyncrun: Command) -> None:
    answer = asyncrun("store", "list", "docs")
    assert answer.code == 2
    assert "-f jobs.yaml" in answer.err


def test_looking_writes_nothing_and_waits_for_nobody(asyncrun: Command, filled: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        files = [path for path in filled.rglob("*") if path.is_file() and path.suffix != ".db-shm"]
        return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}

    before = state()
    for words in (
        ["list", "docs"],
        ["stats", "docs", "handbook"],
        ["search", "docs", "handbook", "crash"],
        ["export", "docs", "handbook", "-o", "-"],
    ):
        assert asyncrun("store", *words).code == 0
    assert state() == before


def test_a_store_that_nothing_was_put_into_says_so(asyncrun: Command, filled: Path) -> None:
    answer = asyncrun("store", "list", "other")
    assert (answer.code, answer.out) == (0, "nothing has been put into other yet\n")
    assert asyncrun("store", "list", "other", "--json").documents[0]["collections"] == []
    assert not (filled / "other.db").exists()


def test_text_from_documents_moves_no_cursor(asyncrun: Command, filled: Path, server: FakeServer) -> None:
    hostile = {"id": "a\x1b[31m\u202eb", "text": "crash \x1b]0;title\x07 here", "la\x1bng": "x"}
    (filled / "rows.jsonl").write_text(json.dumps(hostile) + "\n")
    (filled / "jobs.yaml").write_text((filled / "jobs.yaml").read_text().replace('["lang", "year"]', '["la\\u001bng"]'))
    assert asyncrun("run", "fill").code == 0
    for words in (["search", "docs", "handbook", "title", "--mode", "keyword"], ["stats", "docs", "handbook"], ["list", "docs"]):
        answer = asyncrun("store", *words)
        assert answer.code == 0
        assert not any(ord(character) < 32 and character != "\n" for character in answer.out)
        assert "\u202e" not in answer.out


def test_a_run_keeps_a_copy_waiting(asyncrun: Command, filled: Path) -> None:
    from asyncrun.app.state_lock import enter_state_folder

    with enter_state_folder(filled / ".asyncrun", Path("jobs.yaml")):
        assert asyncrun("store", "copy", "docs", "handbook", "--to", "other").code == 75
        assert asyncrun("store", "list", "docs").code == 0
    assert not (filled / "other.db").exists()


def test_a_rebuild_is_gone_back_from_and_forward_again(asyncrun: Command, filled: Path, server: FakeServer) -> None:
    before = exported(asyncrun, "docs")
    answer = asyncrun("store", "rollback", "docs", "handbook")
    assert answer.code == 2
    assert "no generation" in answer.err
    write_jobs(filled, server, "docs", model="newer")
    assert asyncrun("run", "--rebuild").code == 0
    after = exported(asyncrun, "docs")
    assert {row["mark"] for row in after}.isdisjoint(row["mark"] for row in before)
    listed = {view["name"]: view for view in asyncrun("store", "list", "docs", "--json").documents[0]["collections"]}
    assert {name: (view["generation"], view["space"]["model"], view["documents"]) for name, view in listed.items()} == {
        "handbook": ("current", "newer", 4),
        "handbook@replaced": ("replaced", "m", 4),
    }
    assert "asyncrun store rollback" in asyncrun("store", "list", "docs").out
    [document] = asyncrun("store", "rollback", "docs", "--json").documents
    assert (document["collection"]["name"], document["collection"]["space"]["model"]) == ("handbook", "m")
    assert exported(asyncrun, "docs") == before
    answer = asyncrun("store", "rollback", "docs", "handbook")
    assert answer.out.startswith("handbook has 4 documents (openai/newer")
    assert exported(asyncrun, "docs") == after
    assert asyncrun("store", "copy", "docs", "--to", "other", "--json").documents[0]["collections"][0]["copied"] == 4
    assert [view["name"] for view in asyncrun("store", "list", "other", "--json").documents[0]["collections"]] == ["handbook"]


def test_a_rollback_names_the_collections_where_there_are_several(asyncrun: Command, tmp_path: Path) -> None:
    from asyncrun.stores import SqliteStore
    from asyncrun.stores.interface import Collection

    store = SqliteStore(tmp_path / "s.db")
    for name in ("a", "a@replaced", "b", "b@replaced"):
        store.open_collection(Collection(name, name[0] * 32, 2))
    store.close()
    answer = asyncrun("store", "rollback", "s.db")
    assert (answer.code, answer.out) == (2, "")
    assert "a, b" in answer.err
    assert asyncrun("store", "rollback", "s.db", "b", "-q").code == 0
    assert asyncrun("store", "rollback", "s.db", "c").code == 2


@pytest.mark.needs("qdrant")
def test_a_search_that_a_store_does_not_have_is_refused_before_anything_is_sent(
    asyncrun: Command, tmp_path: Path, server: FakeServer, unused_port: int
) -> None:
    write_jobs(tmp_path, server, "docs")
    document = json.loads((tmp_path / "jobs.yaml").read_text())
    document["stores"]["docs"] = {"type": "qdrant", "url": f"http://127.0.0.1:{unused_port}"}
    (tmp_path / "jobs.yaml").write_text(json.dumps(document))
    answer = asyncrun("store", "search", "docs", "handbook", "what?", "--mode", "hybrid")
    assert answer.code == 2
    assert "qdrant has no hybrid search" in answer.err
    assert server.requests == []
