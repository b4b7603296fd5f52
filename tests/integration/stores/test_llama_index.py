"""Vector stores of LlamaIndex behind the contract of stores: SimpleVectorStore, which its core brings."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asyncrun.errors import ArgumentError, DamagedStoreError, StorageError, UsageError
from asyncrun.stores.interface import Collection, SearchRequest
from asyncrun.stores.llama_index import LlamaIndexStore
from asyncrun.testing.stores import OpenStore, StoreContract, make_document, search_ids

pytestmark = pytest.mark.needs("llama-index")
SIMPLE = {"class": "llama_index.core.vector_stores.SimpleVectorStore"}


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return options of a class that keeps nodes by itself, under a name, and ranks by the dot product."""
    from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStoreQueryResult

    tables: dict[str, dict[str, Any]] = {}

    class Listed(BasePydanticVectorStore):
        stores_text: bool = True
        flat_metadata: bool = True
        table: str

        @classmethod
        def from_name(cls, name: str, api_key: str = "") -> Any:
            if api_key == "refused":
                raise PermissionError(f"the key {api_key} is refused")
            return cls(table=name)

        @property
        def client(self) -> None:
            return None

        def add(self, nodes: Any, **_: Any) -> list[str]:
            if any(isinstance(value, list | dict) for node in nodes for value in node.metadata.values()):
                raise ValueError("metadata must be flat")
            tables.setdefault(self.table, {}).update({node.node_id: node for node in nodes})
            return [node.node_id for node in nodes]

        def delete(self, ref_doc_id: str, **_: Any) -> None:
            kept = {name: node for name, node in tables[self.table].items() if node.ref_doc_id != ref_doc_id}
            tables[self.table] = kept

        def query(self, query: Any, **_: Any) -> Any:
            asked = np.array(query.query_embedding)
            best = sorted(tables[self.table].values(), key=lambda node: -np.dot(node.embedding, asked))[: query.similarity_top_k]
            return VectorStoreQueryResult(nodes=best)

    module = types.ModuleType("listed")
    module.Listed = Listed  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "listed", module)
    return {"class": "listed.Listed", "make": "from_name", "args": {"name": "t_{collection}"}}


class TestLlamaIndexStore(StoreContract):
    keyword_search = hybrid_search = filtered_search = browsing = generations = False

    @pytest.fixture(params=["in memory, kept in a file", "keeps nodes by itself"])
    def open_store(self, tmp_path: Path, listed: dict[str, Any], request: pytest.FixtureRequest) -> OpenStore:
        options = SIMPLE if request.param.startswith("in memory") else listed
        return lambda: LlamaIndexStore(tmp_path / "deep" / "index.db", options)


def test_a_class_for_one_collection_refuses_a_second_one_and_nodes_of_others(path: Path, listed: dict[str, Any]) -> None:
    one = {**listed, "args": {"name": "t"}}
    store = LlamaIndexStore(path, one)
    store.open_collection(Collection("notes", "a" * 32, 3))
    with pytest.raises(UsageError, match="is one collection, 'notes', and cannot hold 'other', too") as caught:
        store.open_collection(Collection("other", "a" * 32, 3))
    assert "{collection}" in caught.value.hint
    store.commit("notes", "docs", [make_document("a", ["x"], [[1, 0, 0]])])
    store.close()
    elsewhere = LlamaIndexStore(path.with_name("new.db"), one)
    with pytest.raises(UsageError, match="Listed has nodes that are not of the collection 'notes'"):
        elsewhere.open_collection(Collection("notes", "a" * 32, 3))
    assert elsewhere.fingerprint("notes") is None
    elsewhere.close()


def test_what_the_class_raises_is_told_without_the_key(path: Path, listed: dict[str, Any]) -> None:
    store = LlamaIndexStore(path, listed, api_key="refused")
    with pytest.raises(ArgumentError, match=r"Listed cannot be made: the key \*\*\* is \*\*\*"):
        store.open_collection(Collection("notes", "a" * 32, 3))
    store.close()
    store = LlamaIndexStore(path, {**listed, "make": "from_nothing"})
    with pytest.raises(ArgumentError, match="Listed has no from_nothing"):
        store.open_collection(Collection("notes", "a" * 32, 3))
    store.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


@pytest.fixture
def filled(path: Path) -> Path:
    store = LlamaIndexStore(path, SIMPLE)
    store.open_collection(Collection("notes", "a" * 32, 3))
    store.commit(
        "notes",
        "docs",
        [make_document("a", ["red", "blue"], [[3, 0, 0], [0, 2, 0]], {"lang": "en"}), make_document("b", ["b"], [[1, 1, 0]])],
    )
    store.close()
    return path


def theirs(path: Path) -> Any:
    from llama_index.core.vector_stores import SimpleVectorStore

    return SimpleVectorStore.from_persist_path(f"{path}.notes.json")


def test_a_program_of_llamaindex_finds_the_nodes_with_vectors_and_metadata(filled: Path) -> None:
    from llama_index.core.vector_stores.types import VectorStoreQuery

    found = theirs(filled)
    answer = found.query(VectorStoreQuery(query_embedding=[0, 1, 0], similarity_top_k=1))
    assert found.get(answer.ids[0]) == [0, 1, 0]
    assert found.data.metadata_dict[answer.ids[0]]["lang"] == "en"
    assert found.data.metadata_dict[answer.ids[0]]["chunk_id"] == "a#1"
    assert answer.similarities == [1]


def test_nodes_of_former_chunks_are_deleted_and_those_that_a_kill_has_left(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LlamaIndexStore(filled, SIMPLE)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("asyncrun.stores.llama_index_records.replace_documents", killed)
        store.commit("notes", "docs", [make_document("a", ["new"], [[0, 0, 1]], mark="m2")])
    store.close()
    assert len(theirs(filled).data.embedding_dict) == 4
    store = LlamaIndexStore(filled, SIMPLE)
    assert store.marks("notes", "docs") == {"a": "mark", "b": "mark"}
    assert search_ids(store, "", [0, 0, 1], "vector") == ["a#0", "a#1", "b"]
    store.seal("notes", "docs")
    assert len(theirs(filled).data.embedding_dict) == 3
    store.commit("notes", "docs", [make_document("a", ["new"], [[0, 0, 1]], mark="m2")])
    assert len(theirs(filled).data.embedding_dict) == 2
    assert search_ids(store, "", [0, 0, 1], "vector") == ["a", "b"]
    store.close()


def killed(*_: Any) -> None:
    raise KeyboardInterrupt


def test_a_vector_store_that_has_lost_its_nodes_is_told_and_filled_again(filled: Path) -> None:
    filled.with_name("index.db.notes.json").unlink()
    store = LlamaIndexStore(filled, SIMPLE)
    with pytest.raises(DamagedStoreError, match="SimpleVectorStore answered 0 of 3 chunks"):
        search_ids(store, "", [1, 0, 0], "vector")
    assert store.repair("notes") == "the vector store has lost all 3 chunks of the collection 'notes': they are put in again"
    assert store.marks("notes", "docs") == {}
    store.commit("notes", "docs", [make_document("b", ["b"], [[1, 1, 0]])])
    assert search_ids(store, "", [1, 0, 0], "vector") == ["b"]
    assert store.repair("notes") is None
    store.close()


def test_words_and_filters_are_refused_with_what_to_do(filled: Path) -> None:
    store = LlamaIndexStore(filled, SIMPLE)
    for request, sentence in (
        (SearchRequest("x", None, "keyword"), "has no keyword search"),
        (SearchRequest("x", np.ones(3, dtype=np.float32), "hybrid"), "has no hybrid search"),
        (SearchRequest("x", np.ones(3, dtype=np.float32), filter="lang = 'en'"), "without a filter"),
    ):
        with pytest.raises(UsageError, match=sentence) as caught:
            store.search("notes", [request])
        assert "sqlite" in caught.value.hint
    store.close()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "there is no class ''"),
        ({"class": "llama_index.core.MockEmbedding"}, "is no vector store of LlamaIndex"),
        ({**SIMPLE, "args": {"stores_text": True}}, "takes no args"),
        ({**SIMPLE, "folder": "x"}, "options has no folder"),
        ({"class": "letters.Listed", "args": {"api_key": "k"}}, "kept with the run's settings"),
    ],
)
def test_options_with_a_mistake_are_refused(path: Path, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ArgumentError, match=sentence):
        LlamaIndexStore(path, options)
    assert not path.exists()


@pytest.mark.parametrize("program", ["def (", "raise RuntimeError('not here')", "import sys; sys.exit(7)"])
def test_a_class_whose_module_cannot_be_imported_is_named(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_module_that_breaks.py").write_text(program)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ArgumentError, match=r"the module of 'a_module_that_breaks\.Store' cannot be imported: \w+: "):
        LlamaIndexStore(tmp_path / "index", {"class": "a_module_that_breaks.Store"})


def test_an_answer_that_is_none_is_a_stores_error(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llama_index.core.vector_stores import SimpleVectorStore

    monkeypatch.setattr(SimpleVectorStore, "query", lambda *_, **__: None)
    store = LlamaIndexStore(filled, SIMPLE)
    with pytest.raises(StorageError, match="SimpleVectorStore: 'NoneType' object has no attribute 'ids'"):
        search_ids(store, "", [1, 0, 0], "vector")
    store.close()
