"""A store from Python: questions without a run, documents through an ingest job with its ledger."""

from __future__ import annotations

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import asyncrun
from asyncrun.callbacks import CallbackManager, CBEventType, EventPayload, LlamaDebugHandler
from asyncrun.errors import ItemError, JobFileError, LockedError, SpaceMismatchError, UsageError
from asyncrun.jobs import QueryJob
from asyncrun.results import Status
from asyncrun.testing.server import FakeServer

KEY = "sk-a-key-that-nobody-may-see"
PETS = [
    {"id": "cat", "text": "Cats purr and meow.", "lang": "en", "year": 2020},
    {"id": "dog", "text": "Dogs bark.", "lang": "en", "year": 2024},
    {"id": "vogel", "text": "Der Vogel singt.", "lang": "de", "year": 2024},
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def embedder(server: FakeServer, **settings: Any) -> dict[str, Any]:
    return {"provider": "openai", "model": "m", "base_url": server.base_url, "api_key": KEY, **settings}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_jobs(folder: Path, server: FakeServer) -> None:
    mine = {"provider": "openai", "model": "m", "base_url": server.base_url, "api_key": "${KEY}"}
    (folder / "pets.jsonl").write_text("".join(json.dumps(pet) + "\n" for pet in PETS))
    fill = {"name": "fill", "kind": "ingest", "input": {"path": "pets.jsonl", "metadata": ["lang"]}, "embedder": "mine", "store": "index"}
    document = {"embedders": {"mine": mine}, "stores": {"index": {"path": "data/index.db"}}, "jobs": [{**fill, "collection": "pets"}]}
    (folder / "jobs.yaml").write_text(json.dumps(document))


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
def test_what_was_put_in_is_found(mode: Any) -> None:
    with asyncrun.Store.open("index.db") as store:
        report = store.ingest(PETS, "pets")
        assert (report.status, report.jobs["ingest"].counts.ok) == (Status.SUCCEEDED, 3)
        [hit] = store.search("which cats purr", "pets", top_k=1, mode=mode)
        assert (hit.doc_id, hit.text, hit.metadata) == ("cat", "Cats purr and meow.", {"lang": "en", "year": 2020})
        [late] = store.search("which cats purr", "pets", top_k=1, filter="lang = 'en' and year >= 2024")
        assert late.doc_id == "dog"


def test_several_questions_have_their_hits_in_their_order() -> None:
    with asyncrun.Store.open("index.db") as store:
        store.ingest(PETS, "pets")
        questions = ["cats that purr", "dogs that bark"] * 20
        found = store.search(questions, "pets", top_k=1)
        assert [hits[0].doc_id for hits in found] == ["cat", "dog"] * 20
        assert store.search([], "pets") == []


def test_hits_are_those_of_a_query_job(server: FakeServer) -> None:
    with asyncrun.Store.open("index.db", embedder=embedder(server)) as store:
        store.ingest(PETS, "pets")
        for mode in ("vector", "keyword", "hybrid"):
            job = QueryJob(
                name="ask",
                input={"items": ["cats and dogs", "a bird"]},
                embedder=embedder(server),
                store={"path": "index.db"},
                collection="pets",
                search=mode,
                output="hits.jsonl",
            )
            rows = list(asyncrun.run(job).rows())
            found = store.search(["cats and dogs", "a bird"], "pets", mode=mode)  # type: ignore[call-overload]
            assert [[asdict(hit) for hit in hits] for hits in found] == [row["hits"] for row in rows]


def test_a_store_of_a_job_file_is_asked_with_the_embedder_that_fills_it(server: FakeServer, folder: Path) -> None:
    write_jobs(folder, server)
    assert asyncrun.run("jobs.yaml", variables={"KEY": KEY}).exit_code == 0
    with asyncrun.Store.open("index", file="jobs.yaml", variables={"KEY": KEY}) as store:
        hits = store.search("Dogs bark.", "pets", top_k=1)
    assert [hit.doc_id for hit in hits] == ["dog"]
    assert server.sent_texts[-1] == "Dogs bark."
    assert server.requests[-1].headers["authorization"] == f"Bearer {KEY}"


def test_documents_come_in_with_the_embedder_of_the_job_file(server: FakeServer, folder: Path) -> None:
    write_jobs(folder, server)
    with asyncrun.Store.open("index", file="jobs.yaml", environ={"KEY": KEY}) as store:
        store.ingest(PETS, "pets")
        sent = len(server.requests)
        store.ingest(PETS, "more", embedder="mine")
        assert len(server.requests) == sent
        assert len(store.search("Dogs bark.", "more")) == 3


def test_a_search_writes_nothing_and_records_no_run(server: FakeServer, folder: Path) -> None:
    with asyncrun.Store.open("index.db", embedder=embedder(server)) as store:
        store.ingest(PETS, "pets")
    before = files(folder)
    with asyncrun.Store.open("index.db", embedder=embedder(server)) as store:
        for mode in ("vector", "keyword", "hybrid"):
            store.search("Dogs bark.", "pets", mode=mode)  # type: ignore[call-overload]
    assert {name: data for name, data in files(folder).items() if not name.endswith(("-wal", "-shm"))} == before
    (folder / "elsewhere").mkdir()
    with asyncrun.Store.open("elsewhere/index.db") as store, pytest.raises(UsageError, match="nothing has been ingested"):
        store.search("anything")
    assert list((folder / "elsewhere").iterdir()) == []


def test_another_embedder_than_that_of_the_collection_is_refused_before_anything_is_sent(server: FakeServer) -> None:
    with asyncrun.Store.open("index.db") as store:
        store.ingest(PETS, "pets")
    with (
        asyncrun.Store.open("index.db", embedder=embedder(server)) as store,
        pytest.raises(SpaceMismatchError, match="filled by another embedder than openai/m: by local") as caught,
    ):
        store.search("Dogs bark.", "pets")
    assert "embedder=" in str(caught.value.hint)
    assert server.requests == []


def test_a_collection_that_is_not_there_costs_no_request(server: FakeServer) -> None:
    with asyncrun.Store.open("index.db", embedder=embedder(server)) as store:
        store.ingest(PETS, "pets")
        sent = len(server.requests)
        with pytest.raises(UsageError, match="no collection 'pet' in the store"):
            store.search("Dogs bark.", "pet")
        with pytest.raises(UsageError, match="position 6"):
            store.search("Dogs bark.", "pets", mode="keyword", filter="lang ~ 1")
        assert len(server.requests) == sent


def test_a_question_without_a_vector_is_named() -> None:
    with asyncrun.Store.open("index.db") as store:
        store.ingest(PETS, "pets")
        with pytest.raises(ItemError, match=r"^question 1: the text is empty"):
            store.search(["Dogs bark.", " "], "pets")
        with pytest.raises(ItemError, match=r"^the text is empty"):
            store.search("", "pets")
        assert store.search("", "pets", mode="keyword") == []


def test_what_has_not_changed_is_not_sent_and_with_prune_what_is_gone_goes(server: FakeServer) -> None:
    with asyncrun.Store.open("index.db", embedder=embedder(server)) as store:
        store.ingest(PETS, "pets")
        sent = len(server.requests)
        report = store.ingest(PETS[:2], "pets")
        assert (len(server.requests), report.jobs["ingest"].counts.cached) == (sent, 2)
        assert len(store.search("Dogs bark.", "pets")) == 3
        report = store.ingest(PETS[:2], "pets", prune=True, max_delete="50%")
        assert report.jobs["ingest"].counts.removed == 1
        assert {hit.doc_id for hit in store.search("Dogs bark.", "pets")} == {"cat", "dog"}
        store.ingest([{**PETS[0], "text": "Cats sleep."}], "pets", max_delete="100%")
        assert {hit.text for hit in store.search("Dogs bark.", "pets")} == {"Cats sleep.", "Dogs bark."}


def test_documents_may_be_files_texts_or_what_a_job_has_under_input(folder: Path) -> None:
    (folder / "docs$").mkdir()
    (folder / "docs$" / "one.md").write_text("Cats purr.")
    (folder / "pets.jsonl").write_text("".join(json.dumps(pet) + "\n" for pet in PETS))
    with asyncrun.Store.open("deep/er/index.db") as store:
        store.ingest("docs$/*.md", "globbed")
        store.ingest({"path": "pets.jsonl", "metadata": ["year"]}, "rows")
        store.ingest(["Cats purr.", "Dogs $bark."], "$texts")
        store.ingest((pet for pet in PETS), "generated", chunk={"by": "sentence", "size": 32})
        assert [hit.doc_id for hit in store.search("cats", "globbed")] == ["one.md"]
        assert store.search("cats", "rows")[0].metadata == {"year": 2020}
        assert {(hit.doc_id, hit.text) for hit in store.search("cats", "$texts")} == {("items#1", "Cats purr."), ("items#2", "Dogs $bark.")}
        assert len(store.search("cats", "generated")) == 3


def test_a_document_that_fails_is_named_by_the_report() -> None:
    with asyncrun.Store.open("index.db") as store:
        report = store.ingest([*PETS, {"id": "bad", "txt": "no text"}], "pets")
        assert [failure.id for failure in report.failures()] == ["bad"]
        assert len(store.search("Dogs bark.", "pets")) == 3


def test_it_works_inside_of_a_loop_and_in_threads(server: FakeServer) -> None:
    async def cell(store: asyncrun.Store) -> list[list[str]]:
        await store.aingest(PETS, "pets")
        store.ingest(PETS, "pets")
        awaited = await asyncio.gather(*(store.asearch(pet["text"], "pets", top_k=1) for pet in PETS))  # type: ignore[call-overload]
        called = [store.search(str(pet["text"]), "pets", top_k=1) for pet in PETS]
        assert called == awaited
        await store.aclose()
        return [[hit.doc_id for hit in hits] for hits in awaited]

    for words in (None, embedder(server)):
        place = "local.db" if words is None else "server.db"
        assert asyncio.run(cell(asyncrun.Store.open(place, embedder=words))) == [["cat"], ["dog"], ["vogel"]]
        with asyncrun.Store.open(place, embedder=words) as store:
            with ThreadPoolExecutor(8) as threads:
                found = list(threads.map(lambda _, asked=store: asked.search("Dogs bark.", "pets")[0].doc_id, range(8)))  # type: ignore[misc]
            assert found == ["dog"] * 8


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"mode": "vectors"}, "there is no mode 'vectors'; there are vector, keyword, hybrid"),
        ({"top_k": 0}, "top_k is 0, and must be a whole number of 1 or more"),
        ({"top_k": "3"}, "top_k is '3', and must be"),
        ({"filter": 3}, "filter is of the type int"),
        ({"query": [None]}, "query is of the type NoneType"),
        ({"query": {"Which?"}}, "query is of the type set"),
    ],
)
def test_what_cannot_be_asked_is_refused(asked: dict[str, Any], sentence: str) -> None:
    with asyncrun.Store.open("index.db") as store, pytest.raises(UsageError, match=re.escape(sentence)):
        store.search(**{"query": "Which?", **asked})


def test_what_cannot_be_put_in_is_refused() -> None:
    with asyncrun.Store.open("index.db") as store:
        for documents in ([None], [("id", "text")], [{"text": "a", "when": object()}]):
            with pytest.raises(UsageError, match="document 1 "):
                store.ingest(cast("Any", documents))
        with pytest.raises(UsageError, match="collection is of the type NoneType"):
            store.ingest(["a"], cast("Any", None))
        with pytest.raises(JobFileError, match=r"^chunk: an object of the type set stands here"):
            store.ingest(["a"], chunk=cast("Any", {1}))


def test_numbers_of_numpy_are_metadata_and_half_a_character_fails_alone() -> None:
    documents = [{"id": "a", "text": "Cats purr.", "year": np.int64(2024), "scores": np.ones(2)}, {"id": "b", "text": "half \ud83d"}]
    with asyncrun.Store.open("index.db") as store:
        assert [(each.id, each.reason) for each in store.ingest(documents, "pets").failures()] == [("b", "bad_text")]
        assert [hit.metadata for hit in store.search("Which?", "pets")] == [{"year": 2024, "scores": [1.0, 1.0]}]


def test_a_closed_store_says_so() -> None:
    store = asyncrun.Store.open("index.db")
    store.close()
    store.close()
    with pytest.raises(UsageError, match="the store is closed"):
        store.search("anything")
    with pytest.raises(UsageError, match="the store is closed"):
        store.ingest(PETS)


def test_mistakes_are_told_in_the_words_of_a_job_file(server: FakeServer, folder: Path) -> None:
    write_jobs(folder, server)
    with pytest.raises(UsageError, match="no store 'indx', and no file is there; its stores: index; did you mean 'index'"):
        asyncrun.Store.open("indx", file="jobs.yaml", variables={"KEY": KEY})
    with pytest.raises(JobFileError, match=r"embedder: .*did you mean 'openai'"):
        asyncrun.Store.open("index.db", embedder="openay/m")
    with asyncrun.Store.open("index.db") as store, pytest.raises(JobFileError) as caught:
        store.ingest(PETS, "pets", chunk={"sise": 3})
    assert str(caught.value).startswith("chunk.sise: unknown key")


def test_a_key_is_in_no_file(server: FakeServer, folder: Path) -> None:
    with asyncrun.Store.open("index.db", embedder=embedder(server)) as store:
        store.ingest(PETS, "pets")
        store.search("Dogs bark.", "pets")
        assert KEY not in repr(store)
    assert [name for name, data in files(folder).items() if KEY.encode() in data] == []


def test_two_at_once_do_not_fill_one_source(server: FakeServer) -> None:
    server.latency = 0.3

    async def both() -> list[str]:
        async with asyncrun.Store.open("index.db", embedder=embedder(server)) as store:
            ended = await asyncio.gather(store.aingest(PETS, "pets"), store.aingest(PETS, "pets"), return_exceptions=True)
            await asyncio.gather(store.aingest(PETS, "pets"), store.aingest(PETS, "more"))
            assert any(isinstance(each, LockedError) for each in ended)
            return sorted(type(each).__name__ for each in ended)

    assert asyncio.run(both()) == ["LockedError", "Report"]


def test_what_was_finished_before_a_cancellation_is_not_sent_again(server: FakeServer) -> None:
    texts = [f"text {number}" for number in range(40)]

    async def cut_short(store: asyncrun.Store) -> None:
        running = asyncio.create_task(store.aingest(texts, "texts", workers=1))
        while len(server.requests) < 10:
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    with asyncrun.Store.open("index.db", embedder=embedder(server, batch={"max_items": 1})) as store:
        asyncio.run(cut_short(store))
        assert store.ingest(texts, "texts", workers=1).status is Status.SUCCEEDED
        assert len(store.search("text 1", "texts", top_k=40)) == 40
    assert len(server.requests) <= 40 + 1 + 2 + 1


def test_handlers_are_told_of_an_ingestion() -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    with asyncrun.Store.open("index.db") as store:
        store.ingest(PETS, "pets", callback_manager=CallbackManager([debug]))
    assert debug.get_event_pairs(CBEventType.NODE_PARSING)


def is_told_of(debug: LlamaDebugHandler, manager: CallbackManager, texts: list[str]) -> bool:
    """Tell whether a search of these questions was told as a RETRIEVE event with an EMBEDDING event in it."""
    [start, end] = debug.get_event_pairs(CBEventType.RETRIEVE)[-1]
    [begun, ended] = debug.get_event_pairs(CBEventType.EMBEDDING)[-1]
    assert start.payload is not None
    assert end.payload is not None
    assert begun.payload is not None
    assert ended.payload is not None
    assert begun.id_ in manager.trace_map[start.id_]
    assert start.payload[EventPayload.QUERY_STR] == (texts[0] if len(texts) == 1 else texts)
    assert ended.payload[EventPayload.CHUNKS] == texts
    assert len(ended.payload[EventPayload.EMBEDDINGS]) == len(texts)
    assert {EventPayload.MODEL_NAME, EventPayload.SERIALIZED} <= begun.payload.keys()
    nodes = end.payload[EventPayload.NODES] if len(texts) == 1 else end.payload[EventPayload.NODES][0]
    return [hit.doc_id for hit in nodes] == ["dog"]


def test_the_handlers_of_a_store_hear_of_searches_and_of_what_is_put_in(server: FakeServer) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    manager = CallbackManager([debug])
    with asyncrun.Store.open("index.db", embedder=embedder(server), callback_manager=manager) as store:
        store.ingest(PETS, "pets")
        put_in = debug.get_event_pairs(CBEventType.EMBEDDING)
        assert put_in
        assert store.search("Dogs bark.", "pets", top_k=1)
        assert is_told_of(debug, manager, ["Dogs bark."])
        store.search(["Dogs bark.", "Cats purr."], "pets", top_k=1)
        assert is_told_of(debug, manager, ["Dogs bark.", "Cats purr."])
        store.search("bark", "pets", mode="keyword")
        assert len(debug.get_event_pairs(CBEventType.RETRIEVE)) == 3
        assert len(debug.get_event_pairs(CBEventType.EMBEDDING)) == len(put_in) + 2
        with pytest.raises(UsageError):
            store.search("x", "nowhere")
        assert EventPayload.EXCEPTION in (debug.get_event_pairs(CBEventType.RETRIEVE)[-1][1].payload or {})


def test_without_a_manager_of_its_own_a_store_tells_the_one_around_a_call(server: FakeServer) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    manager = CallbackManager([debug])
    with asyncrun.Store.open("index.db", embedder=embedder(server)) as store:
        store.ingest(PETS, "pets")
        assert debug.get_events() == []
        with manager.as_trace("asked"), manager.event(CBEventType.QUERY, event_id="outer"):
            store.search("Dogs bark.", "pets", top_k=1)
            assert is_told_of(debug, manager, ["Dogs bark."])
        [pair] = debug.get_event_pairs(CBEventType.RETRIEVE)
        assert pair[0].id_ in manager.trace_map["outer"]
        with manager.event(CBEventType.QUERY):
            store.ingest([{"id": "owl", "text": "Owls hoot."}], "pets")
        assert len(debug.get_event_pairs(CBEventType.EMBEDDING)) == 2
