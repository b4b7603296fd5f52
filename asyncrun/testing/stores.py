"""The contract suite of store adapters: subclass `StoreContract`, give it the fixture `open_store`, and run it with pytest."""

# ruff: noqa: D102, S101 - a suite for pytest: tests assert, and their names say what is promised

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncrun.errors import SpaceMismatchError, UsageError
from asyncrun.grammar.filter import MAX_DEPTH, Filter
from asyncrun.records import Chunk
from asyncrun.stores.fusion import fuse, fusion_depth
from asyncrun.stores.interface import Collection, SearchRequest, StoredDocument, VectorStore
from asyncrun.testing.browsing import BrowsingContract
from asyncrun.testing.filters import filters, metadata, passes, render_filter
from asyncrun.testing.store_documents import OpenStore, make_document, search_ids

# The store of a test lives through all of the test's examples; each example makes a collection of its own. Several classes inherit a test.
_EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
)


class StoreContract(BrowsingContract):
    """What every store promises. A capability that an adapter has not is set to False, and must then be refused.

    >>> from asyncrun.stores import SqliteStore
    >>> class TestMine(StoreContract):
    ...     @pytest.fixture
    ...     def open_store(self, tmp_path):
    ...         return lambda: SqliteStore(tmp_path / "index.db")
    """

    def test_nothing_is_there_at_first(self, open_store: OpenStore) -> None:
        store = open_store()
        assert (store.marks("notes", "docs"), store.fingerprint("notes"), store.revision("notes")) == ({}, None, "")
        store.remove("notes", "docs", ["a"])
        with pytest.raises(UsageError):
            search_ids(store, "", [1, 0, 0], "vector")
        store.close()
        store.close()

    def test_a_collection_keeps_its_space(self, store: VectorStore) -> None:
        store.open_collection(Collection("notes", "a" * 32, 3))
        assert store.fingerprint("notes") == "a" * 32
        for other in (Collection("notes", "b" * 32, 3), Collection("notes", "a" * 32, 4)):
            with pytest.raises(SpaceMismatchError, match=r"notes.*aaaaaaaa"):
                store.open_collection(other)
        with pytest.raises(SpaceMismatchError):
            store.commit("notes", "docs", [make_document("a", ["text"], [[1, 0, 0, 0]])])
        with pytest.raises(SpaceMismatchError):
            search_ids(store, "", [1, 0], "vector")

    def test_a_collection_must_be_opened_before_it_is_filled(self, store: VectorStore) -> None:
        with pytest.raises(UsageError, match="other"):
            store.commit("other", "docs", [make_document("a", ["text"], [[1, 0, 0]])])

    @pytest.mark.parametrize("vectors", [[[1, 0, 0]], [[1, 0, 0], [math.nan, 0, 0]], [[1, 0, 0], [math.inf, 0, 0]]])
    def test_what_is_not_one_finite_vector_a_chunk_is_refused_whole(self, store: VectorStore, vectors: list[list[float]]) -> None:
        chunks = [Chunk("one", 0, 3, 0), Chunk("two", 3, 6, 1)]
        with pytest.raises(ValueError, match="document 'a'"):
            store.commit("notes", "docs", [StoredDocument("a", "mark", chunks, np.array(vectors, dtype=np.float32))])
        assert store.marks("notes", "docs") == {}

    def test_what_is_committed_comes_back_as_it_was(self, open_store: OpenStore, store: VectorStore) -> None:
        about = {"lang": "en", "year": 2024, "price": 0.1, "draft": False, "none": None, "tags": ["a", "ß"], "author": {"name": "O'Hara"}}
        store.commit("notes", "docs", [make_document("a/b.md", ["Grüße, ", "\U0001f600\nworld"], [[1, 0, 0], [0, 2, 0]], about, mark="m1")])
        store.close()
        again = open_store()
        assert again.marks("notes", "docs") == {"a/b.md": "m1"}
        (first, second) = again.search("notes", [SearchRequest("", np.array([1, 3, 0], dtype=np.float32), "vector")])[0]
        again.close()
        assert (first.id, first.doc_id, first.text, first.start, first.end) == ("a/b.md#1", "a/b.md", "\U0001f600\nworld", 7, 14)
        assert (second.id, second.text, second.start, second.end) == ("a/b.md#0", "Grüße, ", 0, 7)
        assert first.metadata == second.metadata == about
        assert first.score == pytest.approx(3 / math.sqrt(10), abs=1e-6)

    def test_a_document_takes_the_place_of_its_former_chunks(self, store: VectorStore) -> None:
        store.commit("notes", "docs", [make_document("a", ["old one", "old two"], [[1, 0, 0], [0, 1, 0]], mark="m1")])
        store.commit("notes", "docs", [make_document("a", ["new"], [[0, 0, 1]], mark="m2"), make_document("b", ["b"], [[1, 0, 0]])])
        assert store.marks("notes", "docs") == {"a": "m2", "b": "mark"}
        assert search_ids(store, "", [0, 0, 1], "vector") == ["a", "b"]
        if self.keyword_search:
            assert search_ids(store, "old new", [0, 0, 0], "keyword") == ["a"]

    def test_the_last_of_two_documents_with_one_id_stays(self, store: VectorStore) -> None:
        store.commit("notes", "docs", [make_document("a", ["x"], [[1, 0, 0]], mark=mark) for mark in ("m1", "m2")])
        assert store.marks("notes", "docs") == {"a": "m2"}
        assert search_ids(store, "", [1, 0, 0], "vector") == ["a"]

    def test_a_document_may_have_no_chunk(self, store: VectorStore) -> None:
        store.commit("notes", "docs", [make_document("a", ["x"], [[1, 0, 0]])])
        store.commit("notes", "docs", [StoredDocument("a", "empty", [], np.empty((0, 3), dtype=np.float32))])
        assert store.marks("notes", "docs") == {"a": "empty"}
        assert search_ids(store, "", [1, 0, 0], "vector") == []

    def test_sources_do_not_touch_each_other(self, store: VectorStore) -> None:
        store.commit("notes", "docs", [make_document("a", ["apple"], [[1, 0, 0]], mark="m1")])
        store.commit("notes", "wiki", [make_document("a", ["pear"], [[0, 1, 0]], mark="m2")])
        store.remove("notes", "blog", ["a"])
        assert (store.marks("notes", "docs"), store.marks("notes", "wiki")) == ({"a": "m1"}, {"a": "m2"})
        store.remove("notes", "docs", ["a", "never there"])
        assert (store.marks("notes", "docs"), store.marks("notes", "wiki")) == ({}, {"a": "m2"})
        hits = store.search("notes", [SearchRequest("", np.array([1, 1, 1], dtype=np.float32), "vector")])[0]
        assert [hit.text for hit in hits] == ["pear"]

    def test_collections_do_not_touch_each_other(self, store: VectorStore) -> None:
        store.open_collection(Collection("other", "b" * 32, 2))
        store.commit("notes", "docs", [make_document("a", ["apple"], [[1, 0, 0]])])
        before = store.revision("notes")
        store.commit("other", "docs", [make_document("a", ["apple"], [[0, 1]]), make_document("b", ["apple"], [[1, 1]])])
        assert store.revision("notes") == before
        assert search_ids(store, "", [1, 0, 0], "vector") == ["a"]
        assert search_ids(store, "", [1, 0], "vector", collection="other") == ["b", "a"]
        store.remove("other", "docs", ["a"])
        assert store.marks("notes", "docs") == {"a": "mark"}

    def test_the_revision_changes_with_the_content_alone(self, store: VectorStore) -> None:
        seen = [store.revision("notes")]
        store.commit("notes", "docs", [make_document("a", ["x"], [[1, 0, 0]])])
        seen.append(store.revision("notes"))
        store.remove("notes", "docs", ["a"])
        seen.append(store.revision("notes"))
        assert len(set(seen)) == 3
        store.remove("notes", "docs", ["a"])
        store.commit("notes", "docs", [])
        store.marks("notes", "docs")
        search_ids(store, "x", [1, 0, 0], "vector")
        assert store.revision("notes") == seen[-1]

    def test_another_reader_sees_what_is_committed(self, open_store: OpenStore, store: VectorStore) -> None:
        reader = open_store()
        assert search_ids(reader, "", [1, 0, 0], "vector") == []
        store.commit("notes", "docs", [make_document("a", ["x"], [[1, 0, 0]])])
        assert search_ids(reader, "", [1, 0, 0], "vector") == ["a"]
        store.remove("notes", "docs", ["a"])
        assert search_ids(reader, "", [1, 0, 0], "vector") == []
        reader.close()

    def test_the_nearest_by_cosine_come_first(self, store: VectorStore) -> None:
        random = np.random.default_rng(5)
        vectors = random.normal(size=(300, 3)).astype(np.float32) * random.uniform(0.01, 100, size=(300, 1)).astype(np.float32)
        store.commit("notes", "docs", [make_document(f"{row:03d}", ["x"], [vector.tolist()]) for row, vector in enumerate(vectors)])
        questions = random.normal(size=(20, 3)).astype(np.float32)
        found = store.search("notes", [SearchRequest("", question, "vector", 7) for question in questions])
        for question, hits in zip(questions, found, strict=True):
            cosines = vectors @ question / np.linalg.norm(vectors, axis=1) / np.linalg.norm(question)
            assert [hit.id for hit in hits] == [f"{row:03d}" for row in np.argsort(-cosines)[:7]]
            assert [hit.score for hit in hits] == pytest.approx(np.sort(cosines)[::-1][:7].tolist(), abs=1e-5)

    def test_equal_scores_are_ordered_by_id_however_they_are_asked(self, store: VectorStore) -> None:
        names = [f"{row:03d}" for row in np.random.default_rng(3).permutation(100)]
        for name in names:
            store.commit("notes", f"source{int(name) % 3}", [make_document(name, ["same words"], [[0.3, 0.1, 0.7]])])
        alone = search_ids(store, "", [0.2, 0.9, 0.4], "vector", top_k=7)
        request = SearchRequest("words", np.array([0.2, 0.9, 0.4], dtype=np.float32), "vector", 7)
        together = [[hit.id for hit in hits] for hits in store.search("notes", [request] * 9)]
        assert [alone, *together] == [sorted(names)[:7]] * 10
        if self.keyword_search:
            assert search_ids(store, "words", [0, 0, 0], "keyword", top_k=7) == sorted(names)[:7]

    @pytest.mark.parametrize("top_k", [0, 1, 2, 3, 50])
    def test_there_are_at_most_top_k_hits(self, store: VectorStore, top_k: int) -> None:
        store.commit("notes", "docs", [make_document("a", ["x", "x"], [[1, 0, 0], [0, 1, 0]]), make_document("b", ["x"], [[0, 0, 1]])])
        for mode in self._modes():
            assert len(search_ids(store, "x", [1, 1, 1], mode, top_k=top_k)) == min(top_k, 3)

    def test_an_empty_collection_has_no_hits(self, store: VectorStore) -> None:
        for mode in self._modes():
            assert search_ids(store, "x", [1, 1, 1], mode) == []
        assert store.search("notes", []) == []

    def test_keywords_are_any_of_the_words_by_their_stems(self, store: VectorStore) -> None:
        if not self.keyword_search:
            with pytest.raises(UsageError):
                search_ids(store, "x", [1, 0, 0], "keyword")
            return
        texts = {"a": "The runners were RUNNING home", "b": "a café on the corner", "c": "apples and pears", "d": "pears"}
        store.commit("notes", "docs", [make_document(name, [text], [[1, 0, 0]]) for name, text in texts.items()])
        assert search_ids(store, "run", [0, 0, 0], "keyword") == ["a"]
        assert search_ids(store, "Cafe?", [0, 0, 0], "keyword") == ["b"]
        assert search_ids(store, "zebras, pears or apples", [0, 0, 0], "keyword") == ["c", "d"]
        assert search_ids(store, "?! ...", [0, 0, 0], "keyword") == []
        hits = store.search("notes", [SearchRequest("apples pears", None, "keyword")])[0]
        assert hits[0].score > hits[1].score > 0

    @_EXAMPLES
    @given(text=st.text() | st.sampled_from(['"', "a AND", "NEAR(", "text:x", "-a", "a*", "^a", "a'b", "NOT", "(", "\x00", "\ud800"]))
    def test_any_text_may_be_asked_by_keyword(self, store: VectorStore, text: str) -> None:
        if self.keyword_search:
            assert search_ids(store, text, [0, 0, 0], "keyword") == []

    def test_hybrid_fuses_the_best_of_both(self, store: VectorStore) -> None:
        if not self.hybrid_search:
            with pytest.raises(UsageError):
                search_ids(store, "x", [1, 0, 0], "hybrid")
            return
        random = np.random.default_rng(11)
        words = ["red", "green", "blue", "black", "white"]
        texts = [" ".join(random.choice(words, size=random.integers(1, 9)).tolist()) for _ in range(400)]
        store.commit("notes", "docs", [make_document(f"{i:03d}", [text], [random.normal(size=3).tolist()]) for i, text in enumerate(texts)])
        depth = fusion_depth(5)
        rankings = [search_ids(store, "red green", [1, 2, 3], mode, top_k=depth) for mode in ("vector", "keyword")]
        hits = store.search("notes", [SearchRequest("red green", np.array([1, 2, 3], dtype=np.float32), "hybrid", 5)])[0]
        assert [(hit.id, hit.score) for hit in hits] == fuse(rankings)[:5]

    def test_a_filter_comes_before_the_ranking(self, store: VectorStore) -> None:
        if not self.filtered_search:
            with pytest.raises(UsageError):
                search_ids(store, "x", [1, 0, 0], "vector", filter="lang = 'en'")
            return
        random = np.random.default_rng(2)
        store.commit(
            "notes",
            "docs",
            [
                make_document(
                    f"{i:03d}", ["pear " * (i % 7 + 1)], [random.normal(size=3).tolist()], {"lang": "en" if i % 50 == 7 else "de"}
                )
                for i in range(300)
            ],
        )
        english = {f"{i:03d}" for i in range(7, 300, 50)}
        for mode in self._modes():
            assert set(search_ids(store, "pear", [1, 2, 3], mode, top_k=6, filter="lang = 'en'")) == english
            assert len(search_ids(store, "pear", [1, 2, 3], mode, top_k=300, filter="lang != 'en'")) >= 100
            assert search_ids(store, "pear", [1, 2, 3], mode, filter="lang = 'fr'") == []
        assert len(search_ids(store, "pear", [1, 2, 3], "vector", top_k=300, filter="not lang = 'en'")) == 294

    @_EXAMPLES
    @given(trees=st.lists(filters(), min_size=1, max_size=5), documents=st.lists(metadata(), min_size=1, max_size=5))
    def test_a_filter_means_the_same_in_every_store(self, store: VectorStore, trees: list[Filter], documents: list[dict[str, Any]]) -> None:
        if not self.filtered_search:
            return
        name = uuid4().hex
        store.open_collection(Collection(name, "a" * 32, 3))
        store.commit(name, "docs", [make_document(str(i), ["pear"], [[1, 0, 0]], about) for i, about in enumerate(documents)])
        for tree in trees:
            expected = [str(i) for i, about in enumerate(documents) if passes(tree, about)]
            for mode in self._modes():
                assert search_ids(store, "pear", [1, 0, 0], mode, filter=render_filter(tree), collection=name) == expected

    @pytest.mark.parametrize(
        "filter",
        [
            " and ".join(f"year != {number}" for number in range(2_400)),
            " or ".join(["year = 1"] * 2_400),
            f"not year in ({', '.join(map(str, range(4_900)))})",
            "not (year = 1 or " * (MAX_DEPTH // 2) + "year = -1" + ")" * (MAX_DEPTH // 2),
            "(lang in ('x', 1) or year > 1 and " * MAX_DEPTH + "year in (5000, 'x', true)" + ")" * MAX_DEPTH,
        ],
        ids=["long-and", "long-or", "long-in", "deep-not", "deep-parentheses"],
    )
    def test_a_filter_may_be_as_long_and_deep_as_the_language_allows(self, store: VectorStore, filter: str) -> None:
        if self.filtered_search:
            store.commit("notes", "docs", [make_document("a", ["x"], [[1, 0, 0]], {"year": 5000})])
            for mode in self._modes():
                search_ids(store, "x", [1, 0, 0], mode, filter=filter)

    @pytest.mark.parametrize("filter", ["", "lang", "lang = 'en", 'lang = "en"', "year >= 2024 and"])
    def test_a_filter_with_a_mistake_is_refused(self, store: VectorStore, filter: str) -> None:
        with pytest.raises(UsageError):
            search_ids(store, "x", [1, 0, 0], "vector", filter=filter)

    def test_a_hit_has_the_metadata_of_its_document_and_of_its_chunk(self, store: VectorStore) -> None:
        if not self.chunk_metadata:
            return
        document = make_document("a", ["first pear", "second pear"], [[1, 0, 0], [0, 1, 0]], {"lang": "en", "page": 0}, mark="m1")
        own = {"page": 3, "headings": ["Fruit", "Größe \U0001f600"]}
        store.commit("notes", "docs", [replace(document, chunks=[document.chunks[0], replace(document.chunks[1], metadata=own)])])
        for mode in self._modes():
            hits = store.search("notes", [SearchRequest("pear", np.array([1, 2, 0], dtype=np.float32), mode)])[0]
            assert {hit.id: hit.metadata for hit in hits} == {"a#0": {"lang": "en", "page": 0}, "a#1": {"lang": "en", **own}}
        store.commit("notes", "docs", [document])
        hits = store.search("notes", [SearchRequest("", np.array([1, 2, 0], dtype=np.float32))])[0]
        assert [hit.metadata for hit in hits] == [{"lang": "en", "page": 0}] * 2

    def test_a_filter_looks_at_the_metadata_of_documents_alone(self, store: VectorStore) -> None:
        if not (self.chunk_metadata and self.filtered_search):
            return
        document = make_document("a", ["pear"], [[1, 0, 0]], {"page": 1})
        store.commit("notes", "docs", [replace(document, chunks=[replace(document.chunks[0], metadata={"page": 2})])])
        assert search_ids(store, "", [1, 0, 0], "vector", filter="page = 1") == ["a"]
        assert search_ids(store, "", [1, 0, 0], "vector", filter="page = 2") == []
