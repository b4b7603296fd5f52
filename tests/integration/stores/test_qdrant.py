"""The Qdrant store keeps the stores' contract, over REST that the local mode of Qdrant's own client answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from asyncrun.errors import ArgumentError, AuthError, StorageError, TryLaterError
from asyncrun.stores.interface import Collection, SearchRequest
from asyncrun.stores.qdrant import QdrantStore
from asyncrun.testing.server import FakeServer
from asyncrun.testing.stores import OpenStore, StoreContract, make_document, search_ids

if TYPE_CHECKING:
    from tests.servers.qdrant_rest import QdrantRest

pytestmark = [
    pytest.mark.needs("qdrant"),
    pytest.mark.filterwarnings("ignore:Local mode is not recommended:UserWarning", "ignore:Payload indexes have no effect:UserWarning"),
]


NOTES = Collection("notes", "a" * 32, 3)


@pytest.fixture
def server() -> Iterator[QdrantRest]:
    from tests.servers.qdrant_rest import running

    with running() as server:
        yield server


class TestQdrantStore(StoreContract):
    keyword_search = hybrid_search = False

    @pytest.fixture
    def open_store(self, server: QdrantRest) -> OpenStore:
        return lambda: QdrantStore(server.url)


@pytest.fixture
def store(server: QdrantRest) -> Iterator[QdrantStore]:
    store = QdrantStore(server.url)
    store.open_collection(NOTES)
    yield store
    store.close()


def test_what_a_killed_writer_has_left_is_never_found_and_goes_when_it_is_old(server: QdrantRest) -> None:
    now = 1_000_000.0
    store = QdrantStore(server.url, now=lambda: now)
    store.open_collection(NOTES)
    store.commit("notes", "docs", [make_document("a", ["old", "older"], [[1, 0, 0], [1, 1, 0]], mark="m1")])
    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("asyncrun.stores.qdrant.collection.document_point", killed)
        store.commit("notes", "docs", [make_document("a", ["new"], [[0, 0, 1]], mark="m2"), make_document("b", ["b"], [[0, 1, 0]])])
    assert store.marks("notes", "docs") == {"a": "m1"}
    assert search_ids(store, "", [0, 0, 1], "vector") == ["a#0", "a#1"]
    assert [len(each.chunks) for _, each in store.documents("notes")] == [2]
    store.seal("notes", "docs")
    assert chunk_count(server) == 4  # They may be those of a writer that is at work.
    now += 3_601
    store.seal("notes", "docs")
    assert chunk_count(server) == 2
    assert search_ids(store, "", [0, 0, 1], "vector") == ["a#0", "a#1"]
    store.close()


def test_writers_that_make_one_collection_at_the_same_moment_share_it(server: QdrantRest) -> None:
    names = [f"notes{number}" for number in range(20)]
    together = threading.Barrier(3)

    def make() -> None:
        store = QdrantStore(server.url)
        for name in names:
            together.wait()
            store.open_collection(Collection(name, "a" * 32, 3))
        store.close()

    with ThreadPoolExecutor(3) as writers:
        for writer in [writers.submit(make) for _ in range(3)]:
            writer.result()
    store = QdrantStore(server.url)
    assert [each.name for each in store.collections()] == sorted(names)
    store.close()


def chunk_count(server: QdrantRest) -> int:
    from qdrant_client import models

    chunks = models.Filter.model_validate({"must": [{"key": "kind", "match": {"value": "chunk"}}]})
    [known] = server.local.get_collections().collections
    return server.local.count(known.name, count_filter=chunks).count


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_documents_that_lack_chunks_are_put_in_again(server: QdrantRest, store: QdrantStore) -> None:
    from qdrant_client import models

    store.commit("notes", "docs", [make_document(name, ["x", "y"], [[1, 0, 0], [0, 1, 0]]) for name in "abc"])
    assert store.repair("notes") is None
    lost = models.Filter.model_validate({"must": [{"key": "chunk_id", "match": {"value": "b#1"}}]})
    [known] = server.local.get_collections().collections
    server.local.delete(known.name, models.FilterSelector(filter=lost))
    assert store.repair("notes") == "1 documents of the collection 'notes' lacked chunks"
    assert store.marks("notes", "docs") == {"a": "mark", "c": "mark"}


def test_a_server_that_is_away_is_tried_for_some_seconds_and_told_with_75(unused_port: int) -> None:
    began = time.monotonic()
    store = QdrantStore(f"http://user:pa%40ss@127.0.0.1:{unused_port}", api_key="a-secret")
    with pytest.raises(TryLaterError, match=f"the Qdrant server 127.0.0.1:{unused_port} does not answer") as caught:
        store.marks("notes", "docs")
    assert caught.value.exit_code == 75
    assert "ss@" not in str(caught.value)
    assert time.monotonic() - began < 10
    store.close()


def test_a_server_that_comes_back_meanwhile_is_asked_again(server: QdrantRest, store: QdrantStore) -> None:
    server.refuse = (503, "starting")
    back = threading.Timer(0.3, lambda: setattr(server, "refuse", None))
    back.start()
    assert store.marks("notes", "docs") == {}
    back.join()


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        ((401, "Must provide an API key"), AuthError, r"127\.0\.0\.1:\d+ refused the key"),
        ((403, "Forbidden"), AuthError, "refused the key"),
        ((507, "No space left on device"), StorageError, "the disk of the Qdrant server .* is full"),
        ((500, "Service internal error: No space left on device: WAL buffer size exceeds available disk space"), StorageError, "is full"),
        ((500, "Service internal error: task panicked"), StorageError, "answers 500: Service internal error: task panicked"),
        ((400, "Wrong input: Vector dimension error: expected dim: 3, got 4"), StorageError, "answers 400: Wrong input: Vector dimension"),
    ],
)
def test_what_the_server_refuses_is_told_in_a_sentence(
    server: QdrantRest, store: QdrantStore, answer: tuple[int, str], error: type[Exception], sentence: str
) -> None:
    server.refuse = answer
    with pytest.raises(error, match=sentence):
        store.commit("notes", "docs", [make_document("a", ["x"], [[1, 0, 0]])])


def test_the_key_is_sent_and_a_wrong_one_refused() -> None:
    from tests.servers.qdrant_rest import running

    with running(key="p@ss-w0rd'\"\\") as server:
        for key in ("p@ss", None):
            store = QdrantStore(server.url, api_key=key)
            with pytest.raises(AuthError, match="refused the key"):
                store.open_collection(NOTES)
            store.close()
        store = QdrantStore(server.url, api_key="p@ss-w0rd'\"\\")
        store.open_collection(NOTES)
        assert store.fingerprint("notes") == NOTES.fingerprint
        store.close()


@pytest.mark.parametrize("url", ["localhost:6333", "localhost", "ftp://host", "http://", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ArgumentError, match="is no address"):
        QdrantStore(url)


def test_a_collection_of_another_program_is_left_alone(server: QdrantRest) -> None:
    from qdrant_client import models

    size = models.VectorParams(size=3, distance=models.Distance.COSINE)
    server.local.create_collection("notes", vectors_config=size)
    server.local.create_collection("theirs", vectors_config=size)
    alias = models.CreateAliasOperation(create_alias=models.CreateAlias(alias_name="faq", collection_name="theirs"))
    server.local.update_collection_aliases([alias])
    store = QdrantStore(server.url)
    for name in ("notes", "faq"):
        with pytest.raises(StorageError, match=f"has a collection '{name}' that is another program's"):
            store.open_collection(Collection(name, "a" * 32, 3))
        assert (store.marks(name, "docs"), store.fingerprint(name)) == ({}, None)
        store.drop(name)
    assert store.collections() == []
    assert {each.name for each in server.local.get_collections().collections} == {"notes", "theirs"}
    store.close()


def test_what_answers_and_is_no_qdrant_is_told() -> None:
    with FakeServer().in_thread() as other:
        store = QdrantStore(other.base_url)
        with pytest.raises((StorageError, AuthError)):
            store.marks("notes", "docs")
        store.close()


@pytest.mark.parametrize("name", ["a b", "ä/ö", "x" * 200, "..", 'a"b', "\udcff", "notes@rebuild"])
def test_any_name_is_a_name(server: QdrantRest, name: str) -> None:
    store = QdrantStore(server.url)
    store.open_collection(Collection(name, "a" * 32, 3))
    store.commit(name, name, [make_document(name, [name], [[1, 0, 0]], {name: name})])
    assert store.marks(name, name) == {name: "mark"}
    [[hit]] = store.search(name, [SearchRequest("", np.array([1, 0, 0], dtype=np.float32))])
    assert (hit.doc_id, hit.text, hit.metadata) == (name, name, {name: name})
    assert [each.name for each in store.collections()] == [name]
    store.close()
