"""The SQLite store keeps the stores' contract, in a file that is safe to kill, to share and to mistake."""

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import asyncrun
from asyncrun.errors import StorageError, UsageError
from asyncrun.stores.interface import Collection, SearchRequest
from asyncrun.stores.sqlite import SqliteStore
from asyncrun.testing.stores import StoreContract, make_document, search_ids
from tests.depth import times

NOTES = Collection("notes", "a" * 32, 3)


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def open_store(self, tmp_path):
        return lambda: SqliteStore(tmp_path / "deep" / "index.db")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "index.db"


@pytest.fixture
def store(path):
    store = SqliteStore(path)
    yield store
    store.close()


def test_it_tells_which_fields_of_metadata_its_documents_have(store):
    assert store.has_field("notes", ("lang",))  # of no document nothing can be said
    store.open_collection(NOTES)
    assert store.has_field("notes", ("lang",))
    metadata = [{"lang": "en", "author": {"name": "A"}}, {"größe": None, 'a"b': 1}, {}]
    store.commit("notes", "docs", [make_document(f"d{n}", ["text"], [[1, 0, 0]], each) for n, each in enumerate(metadata)])
    assert store.fields("notes") == ['a"b', "author", "größe", "lang"]
    assert [store.has_field("notes", field) for field in (("lang",), ("author", "name"), ("größe",))] == [True] * 3
    assert [store.has_field("notes", field) for field in (("langue",), ("author", "nam"), ("lang", "en"))] == [False] * 3
    assert store.fields("others") == []


def test_the_path_may_be_a_text(path, store):
    store.open_collection(NOTES)
    other = SqliteStore(str(path))
    assert other.fingerprint("notes") == NOTES.fingerprint
    other.close()


def test_only_a_write_makes_the_file(tmp_path):
    store = SqliteStore(tmp_path / "made" / "index.db")
    assert store.marks("notes", "docs") == {}
    assert store.fingerprint("notes") is None
    with pytest.raises(UsageError, match=r"nothing has been ingested.*index\.db"):
        search_ids(store, "x", [1, 0, 0], "vector")
    assert list(tmp_path.iterdir()) == []
    store.open_collection(NOTES)
    assert (tmp_path / "made" / "index.db").is_file()
    store.close()
    assert [file.name for file in (tmp_path / "made").iterdir()] == ["index.db"]


def test_the_file_follows_the_umask(path, store):
    before = os.umask(0o027)
    try:
        store.open_collection(NOTES)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_that_was_only_begun_is_as_none(path, store):
    path.touch()
    assert store.marks("notes", "docs") == {}
    assert path.read_bytes() == b""
    store.open_collection(NOTES)
    assert store.fingerprint("notes") == NOTES.fingerprint


def test_a_missing_collection_is_named_with_those_that_are_there(store):
    store.open_collection(NOTES)
    with pytest.raises(UsageError, match=r"'nots'.*'notes'"):
        search_ids(store, "x", [1, 0, 0], "vector", collection="nots")


@pytest.mark.parametrize("content", [b"this is no database, and it is longer than a header" * 50, b"short"])
def test_a_file_that_is_no_database_is_left_alone(path, store, content):
    path.write_bytes(content)
    for use in (
        lambda: store.open_collection(NOTES),
        lambda: store.marks("notes", "docs"),
        lambda: search_ids(store, "x", [1, 0, 0], "vector"),
    ):
        with pytest.raises(StorageError, match=r"index\.db is not a SQLite database"):
            use()
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_left_alone(path, store):
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE documents (id)")
    other.close()
    before = path.read_bytes()
    for use in (lambda: store.open_collection(NOTES), lambda: store.marks("notes", "docs")):
        with pytest.raises(StorageError, match="another program"):
            use()
    assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_refused(path, store):
    store.open_collection(NOTES)
    store.close()
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StorageError, match=r"newer asyncrun \(schema 99") as caught:
        store.marks("notes", "docs")
    assert "Upgrade" in caught.value.hint


@pytest.mark.parametrize("name", ["", "file/index.db"], ids=["a-folder", "below-a-file"])
def test_a_path_that_cannot_hold_a_file_is_named(tmp_path, name):
    (tmp_path / "file").touch()
    store = SqliteStore(tmp_path / name)
    with pytest.raises(StorageError, match=str(tmp_path)):
        store.open_collection(NOTES)


def test_a_damaged_file_is_named(path, store):
    store.open_collection(NOTES)
    store.commit("notes", "docs", [make_document(f"{i}", ["some words"], [[1, 0, 0]]) for i in range(500)])
    store.close()
    with path.open("r+b") as file:
        file.seek(8192 * 2)
        file.write(b"\xff" * (path.stat().st_size - 8192 * 2))
    with pytest.raises(StorageError, match=r"index\.db"):
        search_ids(store, "words", [1, 0, 0], "hybrid")


def test_names_that_are_not_utf8_come_back(store):
    store.open_collection(NOTES)
    store.commit(
        "notes", "docs\udcff", [make_document("a\udcff.md", ["x\ud800y"], [[1, 0, 0]], {"path": "a\udcff.md", "nul": "\0"}, "m\udcff")]
    )
    assert store.marks("notes", "docs\udcff") == {"a\udcff.md": "m\udcff"}
    hit = store.search("notes", [SearchRequest("y", np.array([1, 0, 0], dtype=np.float32), "hybrid", 5, "path = 'a\udcff.md'")])[0][0]
    assert (hit.id, hit.text, hit.metadata) == ("a\udcff.md", "x\ud800y", {"path": "a\udcff.md", "nul": "\0"})
    store.remove("notes", "docs\udcff", ["a\udcff.md"])
    assert search_ids(store, "y", [1, 0, 0], "hybrid") == []


@pytest.mark.parametrize("about", [{"x": object()}, {"x": {1, 2}}])
def test_metadata_without_a_json_form_are_refused_by_name(store, about):
    store.open_collection(NOTES)
    with pytest.raises(StorageError, match=r"document 'bad\.md'"):
        store.commit("notes", "docs", [make_document("good.md", ["x"], [[1, 0, 0]]), make_document("bad.md", ["x"], [[1, 0, 0]], about)])
    assert store.marks("notes", "docs") == {}


def test_metadata_nested_too_deeply_for_the_database_are_refused_by_name(store):
    deep: object = 1
    for _ in range(1_500 if sys.version_info >= (3, 12) else 900):
        deep = [deep]
    store.open_collection(NOTES)
    try:
        store.commit("notes", "docs", [make_document("bad.md", ["x"], [[1, 0, 0]], {"x": deep})])
    except StorageError as error:
        assert "bad.md" in str(error)
    assert search_ids(store, "x", [1, 0, 0], "hybrid", filter="y = 1") == []


def test_documents_are_drawn_while_the_file_is_free(path, store):
    other = SqliteStore(path)
    store.open_collection(NOTES)

    def drawn():
        for number in range(250):
            if number % 100 == 50:
                other.commit("notes", "other", [make_document(str(number), ["x"], [[1, 0, 0]])])
            yield make_document(str(number), ["x"], [[1, 0, 0]])

    store.commit("notes", "docs", drawn())
    assert len(store.marks("notes", "docs")) == 250
    assert set(store.marks("notes", "other")) == {"50", "150"}
    other.close()


def test_a_search_sees_one_state_while_another_writes(path, store):
    store.open_collection(NOTES)
    store.commit("notes", "docs", [make_document(str(i), ["one two"], [[1, 0, 0]], mark="0") for i in range(20)])
    stop = threading.Event()

    def write():
        writer = SqliteStore(path)
        for turn in range(1, 1_000):
            if stop.is_set():
                break
            writer.commit("notes", "docs", [make_document(str(i), [f"one turn{turn}"], [[1, 0, 0]]) for i in range(20)])
        writer.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(40):
            request = SearchRequest("one", np.array([1, 0, 0], dtype=np.float32), "hybrid", 50)
            hits = store.search("notes", [request])[0]
            assert len(hits) == 20
            assert len({hit.text for hit in hits}) == 1
    finally:
        stop.set()
        thread.join()


def test_vectors_are_read_out_bit_for_bit(store):
    store.open_collection(NOTES)
    vectors = np.array([[3e-38, -0.0, 5.5], [1e30, 0.1, -7]], dtype=np.float32)
    store.commit("notes", "docs", [make_document("a", ["x", "y"], vectors.tolist())])
    [(_, document)] = store.documents("notes")
    assert document.vectors.tobytes() == vectors.tobytes()


def test_a_broken_off_reading_leaves_the_file_free(path, store):
    store.open_collection(NOTES)
    store.commit("notes", "docs", [make_document(str(i), ["x"], [[1, 0, 0]]) for i in range(20)])
    reading = store.documents("notes")
    next(reading)
    reading.close()
    store.drop("notes")
    store.close()
    assert [file.name for file in path.parent.iterdir()] == ["index.db"]


def test_a_store_may_be_used_from_one_thread_after_the_other(store):
    store.open_collection(NOTES)
    failures = []

    def use():
        try:
            store.commit("notes", "docs", [make_document("a", ["x"], [[1, 0, 0]])])
            search_ids(store, "x", [1, 0, 0], "hybrid")
        except Exception as error:
            failures.append(error)

    for _ in range(2):
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    assert failures == []


def test_closing_waits_for_what_another_thread_is_writing(store):
    """As when a run is cancelled: nobody waits for the thread any more, and the store is closed."""
    inside, go_on, failures = threading.Event(), threading.Event(), []

    class Chunks(list):
        def __iter__(self):
            inside.set()
            assert go_on.wait(60)
            return super().__iter__()

    def commit():
        try:
            store.commit("notes", "docs", [replace(document, chunks=Chunks(document.chunks))])
        except Exception as error:
            failures.append(error)

    store.open_collection(NOTES)
    document = make_document("a", ["x"], [[1, 0, 0]], mark="new")
    committing, closing = threading.Thread(target=commit), threading.Thread(target=store.close)
    committing.start()
    assert inside.wait(60)
    closing.start()
    closing.join(0.2)  # long enough for one that does not wait
    go_on.set()
    committing.join()
    closing.join()
    assert failures == []
    assert store.marks("notes", "docs") == {"a": "new"}


CHILD = Path(__file__).resolve().parents[2] / "programs" / "write_documents.py"


def test_a_kill_leaves_every_document_whole_or_absent(path):
    environment = {**os.environ, "PYTHONPATH": str(Path(asyncrun.__file__).parent.parent)}
    chance = random.Random(17)
    for turn in range(times(quick=2, deep=5)):
        child = subprocess.Popen([sys.executable, str(CHILD), str(path), str(turn)], env=environment, stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(chance.uniform(0.02, 0.25))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        assert child.returncode == -signal.SIGKILL
        assert_whole(path)


def assert_whole(path):
    """Every document has exactly the chunks of its mark, and both searches know the same ones."""
    store = SqliteStore(path)
    marks = store.marks("notes", "docs")
    assert marks
    everything = SearchRequest("", np.array([1, 1, 1], dtype=np.float32), "vector", 1_000_000)
    chunks: dict[str, list[str]] = {}
    for hit in store.search("notes", [everything])[0]:
        chunks.setdefault(hit.doc_id, []).append(hit.text)
    for doc_id, mark in marks.items():
        name = doc_id.removeprefix("doc")
        texts = [f"{mark} name{name} part{part}" for part in range(int(mark.rpartition("x")[2]))]
        assert sorted(chunks.pop(doc_id, [])) == texts
        by_word = store.search("notes", [SearchRequest(f"name{name}", None, "keyword", 1_000_000)])[0]
        assert sorted(hit.text for hit in by_word) == texts
    assert chunks == {}
    store.close()
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    for (index,) in raw.execute("SELECT name FROM sqlite_master WHERE sql LIKE '%USING fts5%'").fetchall():
        # Raises when the index and the texts differ.
        raw.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")
    raw.rollback()
    raw.close()
