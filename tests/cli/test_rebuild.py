"""A change of model, or of how documents are cut, without downtime: a second generation is filled beside the first, and takes its place."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from asyncrun.app.store import Store
from asyncrun.errors import UsageError
from asyncrun.records import Hit
from asyncrun.stores.generations import LEFT_OUT, roll_back, sources_of, swap
from asyncrun.stores.interface import DROPPED, REBUILT, REPLACED, Collection, SearchRequest
from asyncrun.stores.sqlite import SqliteStore
from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]
DOCUMENTS = {f"d{n}": f"Document number {n} is about the number {n}. It says nothing else." for n in range(10)}


class Folder:
    """A folder with a job file: `fill` puts documents into a collection, `ask` asks it; `hits` are its first answers."""

    hits = b""
    chunks = 0

    def __init__(self, path: Path, server: FakeServer) -> None:
        self.path, self.server = path, server
        self.documents: dict[str, dict[str, str]] = {"fill": dict(DOCUMENTS)}

    def write(self, model: str = "old", *, ask: dict[str, Any] | None = None, **more: Any) -> None:
        """Write the job file; `more` are keys of every job that fills, in a mapping those of the job of its name."""
        common = {"store": {"path": "index.db"}, "collection": "notes", "embedder": embedder_of(self, model)}
        own = {name: value for name, value in more.items() if name in self.documents}
        shared = {"on_new_space": "rebuild", "chunk": {"size": 20, "overlap": 2}}
        shared |= {name: value for name, value in more.items() if name not in own}
        jobs = [
            {
                "name": name,
                "kind": "ingest",
                "input": {"path": f"{name}.jsonl", "allow_empty": True},
                **common,
                **shared,
                **own.get(name, {}),
            }
            for name in self.documents
        ]
        question = {"name": "ask", "kind": "query", "input": {"items": ["What is document 3 about?"]}, "output": "hits.jsonl", **common}
        self.path.joinpath("jobs.yaml").write_text(json.dumps({"jobs": [*jobs, question | (ask or {})]}))
        for name, documents in self.documents.items():
            rows = [json.dumps({"id": doc_id, "text": text}) + "\n" for doc_id, text in documents.items()]
            self.path.joinpath(f"{name}.jsonl").write_text("".join(rows))

    @contextmanager
    def store(self) -> Iterator[SqliteStore]:
        with closing(SqliteStore(self.path / "index.db")) as store:
            yield store

    def generations(self) -> dict[str, dict[str, int]]:
        """Return the documents of each source in each generation that is there."""
        with self.store() as store:
            names = {"now": "notes", "next": "notes" + REBUILT, "former": "notes" + REPLACED}
            return {what: dict(sources_of(store, name)) for what, name in names.items() if store.fingerprint(name) is not None}

    def space(self, name: str = "notes") -> str | None:
        with self.store() as store:
            return store.fingerprint(name)


def embedder_of(folder: Folder, model: str, **more: Any) -> dict[str, Any]:
    return {"provider": "openai", "model": model, "base_url": folder.server.base_url, "dimensions": 8, **more}


@pytest.fixture
def folder(asyncrun: Command, server: FakeServer, tmp_path: Path) -> Folder:
    """A folder whose collection the model `old` has filled."""
    made = Folder(tmp_path, server)
    made.write()
    assert asyncrun("run", "--quiet").code == 0
    made.hits = made.path.joinpath("hits.jsonl").read_bytes()
    made.chunks = len(server.sent_texts)
    server.requests.clear()
    return made


def test_another_model_fills_a_second_generation_that_takes_the_place_of_the_first(asyncrun: Command, folder: Folder) -> None:
    before = folder.space()
    folder.write("new")
    planned = asyncrun("plan", "jobs.yaml", "fill")
    assert "fill: 10 documents into a new generation of 'notes'" in planned.out
    assert "takes the place of the one that is asked, in one step" in planned.out
    assert asyncrun("plan", "jobs.yaml", "fill", "--json").documents[0]["jobs"][0]["rebuild"] is True
    answer = asyncrun("run", "jobs.yaml", "fill", "--json").documents[-1]
    assert answer["jobs"][0]["reason"] == "the new generation of 'notes' has taken its place; `asyncrun store rollback` goes back"
    assert (answer["status"], answer["ok"], answer["removed"]) == ("succeeded", 10, 0)
    assert folder.generations() == {"now": {"fill": 10}, "former": {"fill": 10}}
    assert (folder.space("notes" + REPLACED), folder.space() != before) == (before, True)
    folder.server.requests.clear()
    again = asyncrun("run", "jobs.yaml", "fill", "--json").documents[-1]
    assert (again["cached"], again["jobs"][0]["reason"], folder.server.requests) == (10, None, [])


def test_the_end_of_the_run_and_its_trace_tell_of_the_swap(asyncrun: Command, folder: Folder) -> None:
    folder.write("new")
    answer = asyncrun("run", "jobs.yaml", "fill")
    assert "fill: 10 documents into a new generation of 'notes'; until it is whole the former one is asked" in answer.err
    assert "fill: the new generation of 'notes' has taken its place" in answer.out
    assert "swap notes" in asyncrun("trace", "show").out


def test_a_flag_rebuilds_once_what_the_job_file_refuses(asyncrun: Command, folder: Folder) -> None:
    folder.write("new", on_new_space="refuse")
    refused = asyncrun("run", "jobs.yaml", "fill")
    assert refused.code == 1
    assert "--rebuild" in refused.out + refused.err
    planned = asyncrun("plan", "jobs.yaml", "fill", "--rebuild")
    assert (planned.code, "fill: 10 documents into a new generation of 'notes'" in planned.out) == (0, True)
    assert asyncrun("run", "jobs.yaml", "fill", "--rebuild").code == 0
    assert folder.generations() == {"now": {"fill": 10}, "former": {"fill": 10}}


@pytest.mark.parametrize("change", [{"chunk": {"size": 9, "overlap": 2}}, {"document_prefix": "passage: "}, {"dimensions": 4}])
def test_other_chunks_another_prefix_and_other_dimensions_are_the_same_case(
    asyncrun: Command, folder: Folder, change: dict[str, Any]
) -> None:
    embedder = {key: value for key, value in change.items() if key != "chunk"}
    chunk = {key: value for key, value in change.items() if key == "chunk"}
    folder.write(fill={"embedder": embedder_of(folder, "old") | embedder, **chunk})
    assert asyncrun("run", "jobs.yaml", "fill").code == 0
    assert folder.generations() == {"now": {"fill": 10}, "former": {"fill": 10}}
    assert asyncrun("run", "jobs.yaml", "fill", "--json").documents[-1]["cached"] == 10


def test_without_rebuild_other_chunks_are_put_in_document_by_document(asyncrun: Command, folder: Folder) -> None:
    folder.write(on_new_space="refuse", chunk={"size": 9, "overlap": 2})
    assert asyncrun("run", "jobs.yaml", "fill").code == 0
    assert folder.generations() == {"now": {"fill": 10}}


def test_a_rebuild_that_stopped_goes_on_and_questions_are_answered_meanwhile(asyncrun: Command, folder: Folder) -> None:
    folder.write("new", fill={"embedder": embedder_of(folder, "new", batch={"max_items": 1}), "budget": {"tokens": 60}})
    assert asyncrun("run", "jobs.yaml", "fill").code == 4
    assert folder.generations()["now"] == {"fill": 10}
    asked = asyncrun("run", "jobs.yaml", "ask", "--no-needs")
    assert asked.code == 1
    assert "asyncrun run jobs.yaml fill" in asked.out
    folder.write("old", ask={"embedder": embedder_of(folder, "old")}, fill={"embedder": embedder_of(folder, "new")})
    assert asyncrun("run", "jobs.yaml", "ask", "--no-needs").code == 0
    sent = len(folder.server.sent_texts)
    assert asyncrun("run", "jobs.yaml", "fill").code == 0
    assert len(folder.server.sent_texts) - sent < folder.chunks
    assert folder.generations() == {"now": {"fill": 10}, "former": {"fill": 10}}


def test_a_model_that_is_changed_again_begins_anew_and_going_back_changes_nothing(asyncrun: Command, folder: Folder) -> None:
    before = folder.space()
    folder.documents["other"] = {"o": "Another source."}
    folder.write()
    asyncrun("run", "--quiet")
    for model in ("second", "third"):
        folder.write(model)
        answer = asyncrun("run", "jobs.yaml", "fill", "--json").documents[-1]
        assert answer["jobs"][0]["reason"].startswith("the new generation of 'notes' does not take its place yet")
        assert folder.generations() == {"now": {"fill": 10, "other": 1}, "next": {"fill": 10}}
    folder.write("old")
    assert asyncrun("run", "jobs.yaml", "fill", "--json").documents[-1]["cached"] == 10
    assert (folder.generations(), folder.space()) == ({"now": {"fill": 10, "other": 1}}, before)


def test_the_swap_waits_for_every_source(asyncrun: Command, folder: Folder) -> None:
    folder.documents["other"] = {"o": "Another source.", "p": "And its second document."}
    folder.write()
    asyncrun("run", "--quiet")
    folder.write("new")
    planned = asyncrun("plan", "jobs.yaml", "fill").out
    assert "with 2 documents of the source 'other' (`asyncrun run jobs.yaml other`) it takes the place" in " ".join(planned.split())
    first = asyncrun("run", "jobs.yaml", "fill", "--json").documents[-1]
    assert (first["status"], folder.generations()["now"]) == ("succeeded", {"fill": 10, "other": 2})
    assert "2 documents of the source 'other' (`asyncrun run jobs.yaml other`)" in first["jobs"][0]["reason"]
    assert asyncrun("run", "jobs.yaml", "other", "--quiet").code == 0
    assert folder.generations() == {"now": {"fill": 10, "other": 2}, "former": {"fill": 10, "other": 2}}


def test_a_source_that_still_fits_joins_the_generation_that_waits_for_it(asyncrun: Command, folder: Folder) -> None:
    folder.documents["other"] = {"o": "Another source."}
    folder.write()
    asyncrun("run", "--quiet")
    folder.write(fill={"chunk": {"size": 9, "overlap": 2}})
    folder.server.requests.clear()
    for name in ("fill", "other"):
        assert asyncrun("run", "--quiet", "jobs.yaml", name).code == 0
    assert folder.generations() == {"now": {"fill": 10, "other": 1}, "former": {"fill": 10, "other": 1}}
    assert "Another source." not in folder.server.sent_texts


def test_documents_that_left_the_input_count_against_max_delete(asyncrun: Command, folder: Folder) -> None:
    for doc_id in ("d0", "d1", "d2"):
        del folder.documents["fill"][doc_id]
    folder.write("new")
    assert "a run is refused: 3 of 10 documents of 'fill' would be missing" in " ".join(asyncrun("plan", "jobs.yaml", "fill").out.split())
    refused = asyncrun("run", "jobs.yaml", "fill")
    assert (refused.code, folder.server.requests, folder.generations()) == (1, [], {"now": {"fill": 10}})
    answer = asyncrun("run", "jobs.yaml", "fill", "--max-delete", "3", "--json").documents[-1]
    assert "without 3 documents of the former one" in answer["jobs"][0]["reason"]
    assert answer["removed"] == 3
    assert folder.generations() == {"now": {"fill": 7}, "former": {"fill": 10}}
    with folder.store() as store:
        assert not any(source.endswith(LEFT_OUT) for source in store.stats("notes").documents)


@pytest.mark.parametrize(("failing", "swapped"), [(2, True), (3, False)])
def test_documents_that_fail_count_against_max_delete(
    asyncrun: Command, folder: Folder, server: FakeServer, failing: int, swapped: bool
) -> None:
    texts = [f"Document number {n} " for n in range(10 - failing, 10)]
    refusal = error(400, "not this one", when=lambda request: any(text in request.body.decode() for text in texts), times=None)
    server.faults = [refusal]
    folder.write("new", max_failures="100%")
    answer = asyncrun("run", "jobs.yaml", "fill", "--json").documents[-1]
    assert answer["failed"] == failing
    assert ("former" in folder.generations()) is swapped
    if not swapped:
        assert (answer["exit_code"], folder.generations()["now"]) == (1, {"fill": 10})
        server.faults = []
        assert asyncrun("retry", "jobs.yaml", "fill").code == 0
        assert folder.generations() == {"now": {"fill": 10}, "former": {"fill": 10}}


def test_sources_that_left_documents_out_do_not_wait_for_each_other(asyncrun: Command, folder: Folder) -> None:
    folder.documents["other"] = {f"o{n}": f"Another source {n}." for n in range(10)}
    folder.write()
    asyncrun("run", "--quiet")
    del folder.documents["fill"]["d0"], folder.documents["other"]["o0"]
    folder.write("new")
    assert asyncrun("run", "--quiet", "jobs.yaml", "fill").code == 0
    assert asyncrun("run", "--quiet", "jobs.yaml", "other").code == 0
    assert folder.generations() == {"now": {"fill": 9, "other": 9}, "former": {"fill": 10, "other": 10}}


def test_after_a_rollback_a_run_says_so_and_goes_forward_only_when_asked(asyncrun: Command, folder: Folder) -> None:
    folder.write("new")
    asyncrun("run", "--quiet", "jobs.yaml", "fill")
    new = folder.space()
    with folder.store() as store:
        roll_back(store, "notes")
    assert folder.space() != new
    folder.documents["fill"]["d10"] = "It came later."
    folder.write("new")
    folder.server.requests.clear()
    refused = asyncrun("run", "jobs.yaml", "fill")
    assert (refused.code, folder.server.requests) == (1, [])
    assert "somebody has gone back" in refused.out
    assert "--rebuild" in refused.out
    assert asyncrun("run", "jobs.yaml", "fill", "--rebuild").code == 0
    assert (folder.space(), folder.generations()) == (new, {"now": {"fill": 11}, "former": {"fill": 10}})
    assert folder.server.sent_texts == ["It came later."]


def test_the_first_items_change_no_generation(asyncrun: Command, folder: Folder) -> None:
    folder.write("new")
    assert asyncrun("run", "jobs.yaml", "fill", "--limit", "2").code == 0
    assert folder.generations() == {"now": {"fill": 10}}


@pytest.fixture
def swapped_under_a_question(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that has the next search end while its collection goes back to the former generation."""

    def arm() -> None:
        former = SqliteStore.search

        def search(store: SqliteStore, collection: str, requests: Sequence[SearchRequest]) -> list[list[Hit]]:
            found = former(store, collection, requests)
            monkeypatch.setattr(SqliteStore, "search", former)
            with folder.store() as other:
                roll_back(other, "notes")
            return found

        monkeypatch.setattr(SqliteStore, "search", search)

    return arm


def test_a_job_whose_collection_changes_under_it_ends_without_rows_and_asks_again_later(
    asyncrun: Command, folder: Folder, swapped_under_a_question: Callable[[], None]
) -> None:
    folder.write(fill={"chunk": {"by": "none"}})
    asyncrun("run", "--quiet", "jobs.yaml", "fill")
    swapped_under_a_question()
    answer = asyncrun("run", "jobs.yaml", "ask", "--no-needs")
    assert (answer.code, folder.path.joinpath("hits.jsonl").read_bytes()) == (75, folder.hits)
    assert "another generation of 'notes' has taken the place of the one that was asked" in answer.out
    assert asyncrun("run", "jobs.yaml", "ask", "--no-needs").code == 0


def test_a_question_of_another_space_than_the_new_generation_is_told_to_come_later(
    asyncrun: Command, folder: Folder, swapped_under_a_question: Callable[[], None]
) -> None:
    folder.write("new")
    assert asyncrun("run", "--quiet", "jobs.yaml").code == 0
    swapped_under_a_question()
    assert asyncrun("run", "jobs.yaml", "ask", "--no-needs", "--refresh").code == 75
    refused = asyncrun("run", "jobs.yaml", "ask", "--no-needs")
    assert refused.code == 1
    assert "Run `asyncrun run jobs.yaml fill` first" in refused.out


def test_a_search_from_python_is_made_again_where_the_collection_has_changed_under_it(
    asyncrun: Command, folder: Folder, swapped_under_a_question: Callable[[], None]
) -> None:
    folder.write(fill={"chunk": {"by": "none"}})
    asyncrun("run", "--quiet", "jobs.yaml", "fill")
    with Store.open(folder.path / "index.db", file=folder.path / "jobs.yaml") as store:
        whole = {hit.id for hit in store.search("What?", "notes", top_k=100)}
        swapped_under_a_question()
        parts = {hit.id for hit in store.search("What?", "notes", top_k=100)}
    assert whole == set(DOCUMENTS)
    assert {part.partition("#")[0] for part in parts} == whole
    assert not parts & whole


def test_a_plan_of_all_jobs_says_that_the_collection_is_made_anew_before_it_is_asked(asyncrun: Command, folder: Folder) -> None:
    folder.write("new")
    planned = asyncrun("plan")
    assert planned.code == 0
    assert "ask: the collection 'notes' is made anew by fill before it is asked" in planned.out
    assert asyncrun("validate", "--strict").code == 0
    assert asyncrun("run").code == 0
    folder.write("third", on_new_space="refuse")
    assert asyncrun("plan").code == 1


def test_clean_removes_former_generations_and_those_that_nobody_goes_on_filling(asyncrun: Command, folder: Folder) -> None:
    folder.write("new")
    asyncrun("run", "--quiet", "jobs.yaml", "fill")
    folder.write("third", fill={"embedder": embedder_of(folder, "third", batch={"max_items": 1}), "budget": {"tokens": 60}})
    assert asyncrun("run", "--quiet", "jobs.yaml", "fill").code == 4
    there = folder.generations()
    assert there.keys() == {"now", "next", "former"}
    dry = asyncrun("clean", "--dry-run")
    assert "would remove 1 collection that nobody asks any more:\n  notes@replaced of index.db: 10 documents, " in dry.out
    folder.write("fourth")
    (folder.path / "other.yaml").write_text("jobs: [{name: x, kind: unheard}]")
    assert asyncrun("clean", "--json").documents[0]["collections"] == []
    (folder.path / "other.yaml").unlink()
    assert folder.generations() == there
    removed = asyncrun("clean", "--json").documents[0]["collections"]
    assert (removed[0]["store"], removed[0]["documents"]) == ("index.db", 10)
    assert [each["name"] for each in removed] == ["notes@replaced", "notes@rebuild"]
    assert folder.generations() == {"now": {"fill": 10}}
    assert asyncrun("store", "rollback", "index.db", "notes").code == 2


def test_jobs_of_one_run_rebuild_side_by_side_and_the_last_one_swaps(asyncrun: Command, folder: Folder) -> None:
    folder.documents |= {name: {f"{name}{n}": f"Document {n} of {name}." for n in range(5)} for name in ("second", "third")}
    folder.write()
    asyncrun("run", "--quiet")
    folder.write("new")
    answer = asyncrun("run", "--json").documents[-1]
    reasons = [job["reason"] for job in answer["jobs"] if job["kind"] == "ingest"]
    everything = {"fill": 10, "second": 5, "third": 5}
    assert answer["status"] == "succeeded"
    assert folder.generations() == {"now": everything, "former": everything}
    assert any("has taken its place" in reason for reason in reasons)
    assert all("has taken its place" in reason or "does not take its place yet" in reason for reason in reasons)


def test_no_job_swaps_what_another_one_is_still_writing_to(asyncrun: Command, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.documents["second"] = {"s": "The only document of the second job."}
    folder.write()
    asyncrun("run", "--quiet")
    folder.write("new")
    seal, at_its_end, there = SqliteStore.seal, threading.Event(), []

    def seal_slowly(store: SqliteStore, collection: str, source: str) -> None:
        if source == "second":
            assert at_its_end.wait(10)
        else:
            at_its_end.set()
            with folder.store() as other:
                end = time.monotonic() + 0.5
                while other.fingerprint(collection) is not None and time.monotonic() < end:
                    time.sleep(0.01)
                there.append(other.fingerprint(collection) is not None)
        seal(store, collection, source)

    monkeypatch.setattr(SqliteStore, "seal", seal_slowly)
    answer = asyncrun("run", "jobs.yaml", "fill", "second")
    assert (answer.code, there) == (0, [True]), answer.out
    assert folder.generations()["now"] == {"fill": 10, "second": 1}


def test_of_two_folders_that_swap_at_once_the_second_changes_nothing(tmp_path: Path) -> None:
    class Overtaken(SqliteStore):
        """Another process swaps when this one begins to."""

        def drop(self, collection: str) -> None:
            with closing(SqliteStore(tmp_path / "index.db")) as other:
                if other.fingerprint("notes" + REBUILT) is not None:
                    swap(other, "notes")
            super().drop(collection)

    with closing(Overtaken(tmp_path / "index.db")) as store:
        for name, space in (("notes" + REPLACED, "a"), ("notes", "b"), ("notes" + REBUILT, "c")):
            store.open_collection(Collection(name, space * 32, 2))
        with pytest.raises(UsageError):
            swap(store, "notes")
        assert {each.name: each.fingerprint[0] for each in store.collections()} == {"notes": "c", "notes" + REPLACED: "b"}


def test_a_generation_that_a_kill_left_behind_the_former_one_goes_with_the_next_run_or_by_clean(asyncrun: Command, folder: Folder) -> None:
    folder.write("new")
    asyncrun("run", "--quiet", "jobs.yaml", "fill")
    with folder.store() as store:
        store.rename({"notes" + REPLACED: "notes" + DROPPED})
    assert [each["generation"] for each in asyncrun("store", "list", "index.db", "--json").documents[0]["collections"]] == [
        "current",
        "dropped",
    ]
    assert [each["name"] for each in asyncrun("clean", "--dry-run", "--json").documents[0]["collections"]] == ["notes" + DROPPED]
    asyncrun("run", "--quiet", "jobs.yaml", "fill")
    with folder.store() as store:
        assert [each.name for each in store.collections()] == ["notes"]


def test_python_rebuilds_as_a_job_file_does(folder: Folder, tmp_path: Path) -> None:
    documents = [{"id": "a", "text": "Cats purr."}, {"id": "b", "text": "Dogs bark."}]
    with Store.open(tmp_path / "pets.db") as store:
        for model in ("old", "new"):
            report = store.ingest(documents, "pets", embedder=embedder_of(folder, model), on_new_space="rebuild")
        assert report.status == "succeeded"
        assert [hit.doc_id for hit in store.search("Dogs bark.", "pets", top_k=1, mode="keyword")] == ["b"]
    with closing(SqliteStore(tmp_path / "pets.db")) as opened:
        assert [each.name for each in opened.collections()] == ["pets", "pets" + REPLACED]
