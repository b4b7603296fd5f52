"""The LanceDB store keeps the stores' contract, in a folder that is safe to kill, to share and to mistake."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asyncrun.errors import StorageError, UsageError
from asyncrun.stores.interface import Collection, SearchRequest, StoredDocument
from asyncrun.stores.lancedb import LanceDBStore
from asyncrun.testing.stores import OpenStore, StoreContract, make_document, search_ids

pytestmark = [pytest.mark.needs("lancedb"), pytest.mark.usefixtures("lancedb_runs")]
NOTES = Collection("notes", "a" * 32, 3)


class TestLanceDBStore(StoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return lambda: LanceDBStore(tmp_path / "deep" / "index")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LanceDBStore]:
    store = LanceDBStore(tmp_path / "index")
    yield store
    store.close()


def test_only_a_write_makes_the_folder(tmp_path: Path, store: LanceDBStore) -> None:
    assert (store.marks("notes", "docs"), store.fingerprint("notes"), store.collections()) == ({}, None, [])
    with pytest.raises(UsageError, match=r"nothing has been ingested.*index"):
        search_ids(store, "x", [1, 0, 0], "vector")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["data.lance", "notes.txt", "asyncrun.json"])
def test_a_folder_of_another_program_is_left_alone(tmp_path: Path, store: LanceDBStore, name: str) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / name).write_text("{}")
    for use in (lambda: store.open_collection(NOTES), lambda: store.marks("notes", "docs"), store.collections):
        with pytest.raises(StorageError, match=r"something else|another program") as caught:
            use()
        assert caught.value.hint == "Choose another path for the store."
    assert [each.name for each in (tmp_path / "index").iterdir()] == [name]


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path, store: LanceDBStore) -> None:
    (tmp_path / "index").touch()
    for use in (lambda: store.open_collection(NOTES), lambda: store.marks("notes", "docs")):
        with pytest.raises(StorageError, match="index"):
            use()


@pytest.mark.parametrize("content", ["", "{", '{"asyncrun": 99, "collections": {}}'])
def test_a_file_of_names_that_cannot_be_read_is_told(tmp_path: Path, store: LanceDBStore, content: str) -> None:
    store.open_collection(NOTES)
    (tmp_path / "index" / "asyncrun.json").write_text(content)
    with pytest.raises(StorageError, match=r"is no JSON|newer asyncrun"):
        store.marks("notes", "docs")


def test_a_table_whose_files_are_gone_is_told(tmp_path: Path, store: LanceDBStore) -> None:
    store.open_collection(NOTES)
    store.commit("notes", "docs", [make_document("a", ["x"], [[1, 0, 0]])])
    [table] = (tmp_path / "index").glob("*.lance")
    shutil.rmtree(table)
    with pytest.raises(StorageError, match=r"the store .*index failed: "):
        search_ids(store, "x", [1, 0, 0], "vector")


def test_what_a_killed_writer_has_left_is_never_found_and_goes_with_the_next_seal(tmp_path: Path, store: LanceDBStore) -> None:
    store.open_collection(NOTES)
    store.commit("notes", "docs", [make_document("a", ["old"], [[1, 0, 0]], {"v": 1}, mark="m1"), make_document("b", ["b"], [[0, 1, 0]])])
    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("lancedb.table.LanceTable.delete", killed)
        store.commit("notes", "docs", [make_document("a", ["new"], [[0, 0, 1]], {"v": 2}, mark="m2")])
    store.close()
    assert store.marks("notes", "docs") == {"a": "m2", "b": "mark"}
    assert search_ids(store, "", [1, 1, 1], "vector") == ["a", "b"]
    assert search_ids(store, "old", [0, 0, 0], "keyword") == []
    assert search_ids(store, "", [1, 0, 0], "vector", filter="v = 1") == []
    assert rows(tmp_path) == 6
    store.seal("notes", "docs")
    assert rows(tmp_path) == 4


def rows(tmp_path: Path) -> int:
    import lancedb

    [table] = (tmp_path / "index").glob("*.lance")
    return int(lancedb.connect(str(tmp_path / "index")).open_table(table.stem).count_rows())


def killed(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_documents_that_lack_chunks_are_put_in_again(tmp_path: Path, store: LanceDBStore) -> None:
    import lancedb

    store.open_collection(NOTES)
    store.commit("notes", "docs", [make_document(name, ["x", "y"], [[1, 0, 0], [0, 1, 0]]) for name in "abc"])
    assert store.repair("notes") is None
    [table] = (tmp_path / "index").glob("*.lance")
    lancedb.connect(str(tmp_path / "index")).open_table(table.stem).delete("chunk_id = 'b#1'")
    assert store.repair("notes") == "1 documents of the collection 'notes' lacked chunks"
    assert store.marks("notes", "docs") == {"a": "mark", "c": "mark"}


def test_the_files_stay_few_however_often_it_is_written(tmp_path: Path, store: LanceDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncrun.stores.lancedb.table.KEPT", timedelta(milliseconds=1))
    store.open_collection(NOTES)
    for number in range(30):
        store.commit("notes", "docs", [make_document(str(number % 5), ["x"], [[1, 0, 0]], mark=str(number))])
    before = len(list((tmp_path / "index").rglob("*")))
    store.seal("notes", "docs")
    assert len(list((tmp_path / "index").rglob("*"))) < before / 3
    assert len(store.marks("notes", "docs")) == 5
    assert search_ids(store, "x", [1, 0, 0], "vector") == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("ids", [["a'; drop table", 'b" or 1=1 --', "c\\", "d\x00", "e\udcff", "\x1a", "größe\n"]])
def test_any_name_is_a_name(store: LanceDBStore, ids: list[str]) -> None:
    store.open_collection(NOTES)
    store.commit("notes", "so'urce", [make_document(each, [each, "x"], [[1, 0, 0], [0, 1, 0]], {each: each}) for each in ids])
    store.commit("notes", "so'urce", [make_document(each, [each, "x"], [[1, 0, 0], [0, 1, 0]], {each: each}, mark="m2") for each in ids])
    assert store.marks("notes", "so'urce") == dict.fromkeys(ids, "m2")
    [hits] = store.search("notes", [SearchRequest("", np.array([1, 0, 0], dtype=np.float32), top_k=len(ids))])
    assert {hit.text: hit.metadata for hit in hits} == {each: {each: each} for each in ids}
    store.remove("notes", "so'urce", ids[:3])
    assert sorted(store.marks("notes", "so'urce")) == sorted(ids[3:])


def test_a_filter_that_lets_many_pass_and_many_not_finds_the_best_that_pass(store: LanceDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asyncrun.stores.lancedb.search.FEW", 20)
    store.open_collection(NOTES)
    vectors = np.random.default_rng(1).normal(size=(200, 3))
    store.commit("notes", "docs", [make_document(f"{n:03d}", ["x"], [vectors[n].tolist()], {"n": n}) for n in range(200)])
    cosines = vectors @ [1, 2, 3] / np.linalg.norm(vectors, axis=1)
    expected = [f"{n:03d}" for n in np.argsort(-cosines) if n % 200 < 60]
    assert search_ids(store, "x", [1, 2, 3], "vector", filter="n < 60", top_k=30) == expected[:30]
    assert search_ids(store, "x", [1, 2, 3], "keyword", filter="n < 60", top_k=100) == [f"{n:03d}" for n in range(60)]


def test_a_collection_of_documents_without_a_chunk_has_no_dimensions(store: LanceDBStore) -> None:
    store.open_collection(Collection("notes", "a" * 32, 0))
    store.commit("notes", "docs", [make_document("a", [], [])])
    assert store.marks("notes", "docs") == {"a": "mark"}
    assert [each.doc_id for _, each in store.documents("notes")] == ["a"]


@pytest.mark.needs("mount")
@pytest.mark.parametrize(
    ("options", "sentence"), [("size=300k", "is full|No space left"), ("ro", "Read-only|cannot be written|cannot write")]
)
def test_a_disk_that_is_full_or_read_only_is_told(tmp_path: Path, options: str, sentence: str) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", place], check=True)
    try:
        store = LanceDBStore(place / "index")
        store.open_collection(NOTES)
        if options == "ro":
            subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        document = make_document("a", ["x" * 1000] * 300, np.random.default_rng(1).normal(size=(300, 3)).tolist())
        with pytest.raises(StorageError, match=sentence):
            for number in range(20):
                store.commit("notes", "docs", [StoredDocument(str(number), "m", document.chunks, document.vectors)])
        store.close()
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
