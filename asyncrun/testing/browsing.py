"""The part of the stores' contract for what a store can do besides: tell what is in it, and change generations in one step."""

# ruff: noqa: D102, S101 - a suite for pytest: tests assert, and their names say what is promised

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol, cast

import numpy as np
import pytest

from asyncrun.errors import SpaceMismatchError, UsageError
from asyncrun.stores.interface import (
    REBUILT,
    REPLACED,
    BrowsableStore,
    Collection,
    GenerationStore,
    SearchMode,
    SearchRequest,
    VectorStore,
)
from asyncrun.testing.store_documents import OpenStore, make_document, search_ids


class _Browsable(VectorStore, BrowsableStore, Protocol):
    """A store that can be browsed."""


class BrowsingContract:
    """What a store promises that is a `BrowsableStore` or a `GenerationStore`; a part of `asyncrun.testing.stores.StoreContract`."""

    keyword_search = True
    hybrid_search = True
    filtered_search = True
    chunk_metadata = True
    """Whether a hit has what is known of its chunk alone. A store without it keeps the documents' metadata as ever."""
    browsing = True
    """Whether it is a `BrowsableStore`."""
    generations = True
    """Whether it is a `GenerationStore`."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """Return a function that opens the store of this test anew, every time on the same, at first empty, place."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Iterator[VectorStore]:
        """Return an open store with one empty collection, `notes`, of three dimensions."""
        store = open_store()
        store.open_collection(Collection("notes", "a" * 32, 3))
        yield store
        store.close()

    def test_what_is_there_can_be_listed_and_counted(self, open_store: OpenStore) -> None:
        store = self._browsable(open_store())
        if store is None:
            return
        assert store.collections() == []
        for collection in (Collection("notes", "a" * 32, 3), Collection("empty", "b" * 32, 2)):
            store.open_collection(collection)
        store.commit("notes", "docs", [make_document("a", ["x", "y"], [[1, 0, 0], [0, 1, 0]]), make_document("b", ["z"], [[0, 0, 1]])])
        store.commit("notes", "wiki", [make_document("a", [], []), make_document("c", ["x"], [[0, 1, 0]])])
        assert store.collections() == [Collection("empty", "b" * 32, 2), Collection("notes", "a" * 32, 3)]
        found, empty = store.stats("notes"), store.stats("empty")
        assert (found.collection, dict(found.documents), found.chunks) == (Collection("notes", "a" * 32, 3), {"docs": 2, "wiki": 2}, 4)
        assert found.size is None or found.size > 0
        assert (dict(empty.documents), empty.chunks, list(store.documents("empty"))) == ({}, 0, [])
        with pytest.raises(UsageError, match="nots"):
            store.stats("nots")
        with pytest.raises(UsageError, match="nots"):
            list(store.documents("nots"))
        store.close()

    def test_documents_come_back_as_they_were_put_in(self, store: VectorStore) -> None:
        browsable = self._browsable(store)
        if browsable is None:
            return
        about = {"lang": "en", "year": 2024, "none": None, "tags": ["a", "ß"], "author": {"name": "O'Hara"}}
        first = make_document("ä.md", ["Grüße, ", "\U0001f600\nworld"], [[1, 0, 0], [0, 2, 0]], about, mark="m1")
        if self.chunk_metadata:
            first = replace(first, chunks=[first.chunks[0], replace(first.chunks[1], metadata={"page": 2, "headings": ["ß"]})])
        second, third = make_document("a", ["one"], [[0, 3, 4]], mark="m2"), make_document("a", [], [], {"of": "nothing"}, mark="m3")
        store.commit("notes", "docs", [first, second])
        store.commit("notes", "blog", [third])
        found = list(browsable.documents("notes"))
        assert [(source, each.doc_id, each.mark) for source, each in found] == [
            ("blog", "a", "m3"),
            ("docs", "a", "m2"),
            ("docs", "ä.md", "m1"),
        ]
        for (_, back), put in zip(found, (third, second, first), strict=True):
            assert (list(back.chunks), dict(back.metadata)) == (list(put.chunks), dict(put.metadata))
            # By the cosine a vector's length means nothing: a store may keep its direction alone.
            lengths = np.linalg.norm(back.vectors, axis=1, keepdims=True), np.linalg.norm(put.vectors, axis=1, keepdims=True)
            if len(put.chunks):
                assert np.allclose(back.vectors / lengths[0], put.vectors / lengths[1], atol=1e-6)

    def test_documents_come_from_one_state_while_the_store_is_written(self, open_store: OpenStore, store: VectorStore) -> None:
        browsable = self._browsable(store)
        if browsable is None:
            return
        names = [f"{number:03d}" for number in range(250)]
        store.commit("notes", "docs", [make_document(name, ["x"], [[1, 0, 0]]) for name in names])
        store.open_collection(Collection("copy", "a" * 32, 3))
        reading = browsable.documents("notes")
        seen = [next(reading)[1].doc_id]
        other = open_store()
        other.remove("notes", "docs", names[100:])
        other.commit("notes", "docs", [make_document("0000", ["new"], [[1, 0, 0]])])
        other.close()
        store.commit("copy", "docs", (document for _, document in reading))
        assert sorted([*seen, *store.marks("copy", "docs")]) == names
        assert len(store.marks("notes", "docs")) == 101

    def test_collections_take_each_others_places_in_one_step(self, store: VectorStore) -> None:
        generations = self._generations(store)
        if generations is None:
            return
        store.commit("notes", "docs", [make_document("a", ["old"], [[1, 0, 0]], mark="m1")])
        store.open_collection(Collection(f"notes{REBUILT}", "b" * 32, 2))
        store.commit(f"notes{REBUILT}", "docs", [make_document("a", ["new"], [[1, 0]], mark="m2")])
        before = store.revision("notes")
        generations.rename({"notes": f"notes{REPLACED}", f"notes{REBUILT}": "notes"})
        assert (store.fingerprint("notes"), store.marks("notes", "docs")) == ("b" * 32, {"a": "m2"})
        assert (store.fingerprint(f"notes{REPLACED}"), store.fingerprint(f"notes{REBUILT}")) == ("a" * 32, None)
        assert store.revision("notes") not in ("", before)
        assert search_ids(store, "", [1, 0], "vector") == ["a"]
        with pytest.raises(SpaceMismatchError):
            store.open_collection(Collection("notes", "a" * 32, 3))
        generations.rename({"notes": f"notes{REPLACED}", f"notes{REPLACED}": "notes"})
        assert (store.fingerprint("notes"), store.marks("notes", "docs")) == ("a" * 32, {"a": "m1"})
        assert store.marks(f"notes{REPLACED}", "docs") == {"a": "m2"}
        store.commit("notes", "docs", [make_document("b", ["more"], [[0, 1, 0]])])
        assert search_ids(store, "", [1, 0, 0], "vector") == ["a", "b"]
        if self.keyword_search:
            assert search_ids(store, "old new more", [0, 0, 0], "keyword") == ["a", "b"]
        if (browsable := self._browsable(store)) is not None:
            assert [each.name for each in browsable.collections()] == ["notes", f"notes{REPLACED}"]

    def test_a_rename_that_cannot_be_done_changes_nothing(self, store: VectorStore) -> None:
        generations = self._generations(store)
        if generations is None:
            return
        store.open_collection(Collection("other", "b" * 32, 3))
        for name in ("notes", "other"):
            store.commit(name, "docs", [make_document("a", ["x"], [[1, 0, 0]], mark=name)])
        for names in ({"notes": "new", "never": "notes"}, {"notes": "other"}, {"notes": "new", "other": "new"}):
            with pytest.raises(UsageError):
                generations.rename(names)
            assert [store.marks(name, "docs") for name in ("notes", "other", "new")] == [{"a": "notes"}, {"a": "other"}, {}]

    def test_a_dropped_collection_is_gone_and_no_other(self, store: VectorStore) -> None:
        generations = self._generations(store)
        if generations is None:
            return
        store.open_collection(Collection("other", "b" * 32, 3))
        for name in ("notes", "other"):
            store.commit(name, "docs", [make_document(str(number), ["pear"], [[1, 0, 0]]) for number in range(5)])
        generations.drop("notes")
        generations.drop("notes")
        assert (store.fingerprint("notes"), store.marks("notes", "docs"), store.revision("notes")) == (None, {}, "")
        with pytest.raises(UsageError):
            search_ids(store, "", [1, 0, 0], "vector")
        for mode in self._modes():
            assert len(search_ids(store, "pear", [1, 0, 0], mode, collection="other")) == 5
        store.open_collection(Collection("notes", "c" * 32, 2))
        assert (store.marks("notes", "docs"), search_ids(store, "", [1, 0], "vector")) == ({}, [])

    def test_while_generations_change_every_search_sees_one_of_them_whole(self, open_store: OpenStore, store: VectorStore) -> None:
        generations = self._generations(store)
        if generations is None:
            return
        store.open_collection(Collection(f"notes{REPLACED}", "b" * 32, 3))
        for name, word in (("notes", "old"), (f"notes{REPLACED}", "new")):
            store.commit(name, "docs", [make_document(f"{word}{number}", [f"{word} pear"], [[1, number, 0]]) for number in range(9)])
        seen: list[set[str]] = []
        wrong: list[object] = []
        stop = threading.Event()

        def ask() -> None:
            reader = open_store()
            request = SearchRequest("pear", np.array([1, 2, 0], dtype=np.float32), self._modes()[-1], 20)
            try:
                while not stop.is_set():
                    hits = reader.search("notes", [request])[0]
                    seen.append({hit.text for hit in hits})
                    if len(hits) != 9 or len(seen[-1]) != 1:
                        wrong.append(hits)
            except Exception as error:
                wrong.append(error)
            finally:
                reader.close()

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            asked = len(seen)
            while len(seen) < asked + 3 and not wrong:
                stop.wait(0.001)
            generations.rename({"notes": f"notes{REPLACED}", f"notes{REPLACED}": "notes"})
        stop.set()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert {text for texts in seen for text in texts} == {"old pear", "new pear"}

    def _browsable(self, store: VectorStore) -> _Browsable | None:
        assert isinstance(store, BrowsableStore) == self.browsing
        return cast(_Browsable, store) if self.browsing else None

    def _generations(self, store: VectorStore) -> GenerationStore | None:
        assert isinstance(store, GenerationStore) == self.generations
        return store if isinstance(store, GenerationStore) else None

    def _modes(self) -> list[SearchMode]:
        modes: list[tuple[SearchMode, bool]] = [("vector", True), ("keyword", self.keyword_search), ("hybrid", self.hybrid_search)]
        return [mode for mode, able in modes if able]
