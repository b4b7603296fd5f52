"""The store in PostgreSQL keeps the stores' contract, and leaves alone what is not its own."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np
import pytest

from asyncrun.errors import SpaceMismatchError, StorageError, UsageError
from asyncrun.records import Chunk
from asyncrun.stores.interface import Collection, SearchRequest, StoredDocument
from asyncrun.testing.stores import StoreContract, make_document, search_ids

pytestmark = pytest.mark.needs("postgresql")

NOTES = Collection("notes", "a" * 32, 3)
NUMBERS = count()


@pytest.fixture
def schema(postgres):
    name = f"s{next(NUMBERS)}"
    postgres.run(f"CREATE SCHEMA {name}")
    return name


@pytest.fixture
def open_store(postgres, schema):
    from asyncrun.stores.pgvector import PgVectorStore

    opened = []

    def open_one(**settings):
        opened.append(PgVectorStore(postgres.url, schema=schema, **settings))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store):
    return open_store()


class TestPgVectorStore(StoreContract):
    @pytest.fixture
    def open_store(self, postgres, schema):
        from asyncrun.stores.pgvector import PgVectorStore

        return lambda: PgVectorStore(postgres.url, schema=schema)


def fill(store, number, dimensions=8, collection="notes"):
    """Put in documents whose vectors lie in clusters, as those of texts do; uniform ones have no neighbours that an index could find."""
    random = np.random.default_rng(3)
    centres = random.normal(size=(50, dimensions))
    vectors = (centres[random.integers(0, 50, number)] + random.normal(size=(number, dimensions)) * 0.3).astype(np.float32)
    store.open_collection(Collection(collection, "a" * 32, dimensions))
    store.commit(
        collection,
        "docs",
        (
            StoredDocument(
                f"d{at:05d}",
                "m",
                [Chunk(f"text {part}", 0, 6, part) for part in range(10)],
                vectors[10 * at : 10 * at + 10],
                {"few": at % 100 == 7},
            )
            for at in range(number // 10)
        ),
    )
    return vectors


def test_the_tables_can_be_read_and_joined(postgres, schema, store):
    store.open_collection(NOTES)
    store.commit("notes", "docs", [make_document("a.md", ["one", "two"], [[1, 0, 0], [0, 1, 0]], {"lang": "en"})])
    postgres.run(f"CREATE TABLE {schema}.owners AS SELECT 'a.md' AS file, 'Ada' AS owner")
    sql = f"""SELECT id, source, text, start, "end", metadata ->> 'lang', owner, embedding <=> '[1,0,0]'
              FROM {schema}.notes JOIN {schema}.owners ON doc_id = file ORDER BY number"""
    assert postgres.run(sql) == [
        ["a.md#0", "docs", "one", "0", "3", "en", "Ada", "0"],
        ["a.md#1", "docs", "two", "3", "6", "en", "Ada", "1"],
    ]


@pytest.mark.parametrize("name", ['Notes "of" mine', "größe@rebuild", "100%", "a{b}.c", "x'; DROP TABLE y; --", "ü" * 60, "SELECT"])
def test_a_collection_may_have_any_name(schema, postgres, store, name):
    other = name + "2"
    for each in (name, other):
        store.open_collection(Collection(each, "a" * 32, 3))
        store.commit(each, "docs", [make_document("a", [each], [[1, 0, 0]])])
    store.seal(name, "docs")
    assert [hit.text for hit in store.search(name, [SearchRequest("", np.array([1, 0, 0], np.float32))])[0]] == [name]
    store.rename({name: other, other: name})
    assert [document.chunks[0].text for _, document in store.documents(name)] == [other]
    assert store.stats(name).size > 0
    if len(name.encode()) <= 63:
        assert [name] in postgres.run(f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'")
    store.drop(name)
    store.drop(other)
    assert store.collections() == []


def test_a_table_that_somebody_made_is_left_alone(postgres, schema, store):
    postgres.run(f"CREATE TABLE {schema}.notes AS SELECT 1 AS precious")
    before = postgres.run(f"SELECT * FROM {schema}.notes")
    for use in (
        lambda: store.fingerprint("notes"),
        lambda: store.open_collection(NOTES),
        lambda: store.marks("notes", "docs"),
        lambda: search_ids(store, "x", [1, 0, 0], "vector"),
    ):
        with pytest.raises(StorageError, match="'notes' that asyncrun has not made"):
            use()
    store.drop("notes")
    assert postgres.run(f"SELECT * FROM {schema}.notes") == before
    store.open_collection(Collection("other", "a" * 32, 3))
    with pytest.raises(UsageError):
        store.rename({"other": "notes"})
    assert postgres.run(f"SELECT * FROM {schema}.notes") == before
    for ours in ("asyncrun_collections", "asyncrun_documents", "asyncrun_words_other"):
        with pytest.raises(StorageError, match="has not made"):
            store.open_collection(Collection(ours, "a" * 32, 3))


def test_a_collection_whose_table_was_dropped_is_not_there(postgres, schema, store):
    store.open_collection(NOTES)
    store.commit("notes", "docs", [make_document("a", ["one"], [[1, 0, 0]])])
    postgres.run(f"DROP TABLE {schema}.notes CASCADE; DROP TABLE {schema}.asyncrun_words_notes")
    assert (store.marks("notes", "docs"), store.fingerprint("notes"), store.collections()) == ({}, None, [])
    store.open_collection(NOTES)
    assert store.marks("notes", "docs") == {}
    store.commit("notes", "docs", [make_document("a", ["one"], [[1, 0, 0]])])
    assert search_ids(store, "one", [1, 0, 0], "hybrid") == ["a"]


def test_without_create_nothing_is_made_and_the_statements_are_told(postgres, schema, open_store):
    careful = open_store(create=False)
    with pytest.raises(StorageError, match="no table 'notes'") as caught:
        careful.open_collection(NOTES)
    assert postgres.run(f"SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace") == []
    postgres.run(caught.value.hint.partition(":")[2])
    tables = postgres.run(f"SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace ORDER BY 1")
    careful.open_collection(NOTES)
    careful.commit("notes", "docs", [make_document("a", ["pears"], [[1, 0, 0]])])
    careful.seal("notes", "docs")
    assert search_ids(careful, "pear", [1, 0, 0], "hybrid") == ["a"]
    assert postgres.run(f"SELECT relname FROM pg_class WHERE relnamespace = '{schema}'::regnamespace ORDER BY 1") == tables
    more = Collection("more", "b" * 32, 3)
    with pytest.raises(StorageError, match="no table 'more'") as caught:
        careful.open_collection(more)
    # It can be copied from a terminal, and makes nothing that is there.
    assert "\n" not in caught.value.hint
    postgres.run(caught.value.hint.partition(":")[2])
    careful.open_collection(more)


def test_a_large_collection_gets_an_index_by_which_filters_lose_nothing(postgres, schema, store):
    vectors = fill(store, 10_000)
    store.seal("notes", "docs")
    assert postgres.run(f"SELECT count(*) FROM pg_indexes WHERE schemaname = '{schema}' AND indexdef LIKE '%hnsw%'") == [["1"]]
    question = vectors[17] + np.float32(0.01)
    exact = np.argsort(-(vectors @ question) / np.linalg.norm(vectors, axis=1))
    found = store.search("notes", [SearchRequest("", question, top_k=10)] * 3)
    names = [f"d{row // 10:05d}#{row % 10}" for row in exact]
    assert [[hit.id for hit in hits] for hits in found] == [names[:10]] * 3
    few = [name for name in names if int(name[1:6]) % 100 == 7][:10]
    assert [hit.id for hit in store.search("notes", [SearchRequest("", question, top_k=10, filter="few = true")])[0]] == few


def test_an_index_that_was_left_half_is_built_again(postgres, schema, store):
    fill(store, 10_000)
    store.seal("notes", "docs")
    index = postgres.run(f"SELECT indexname FROM pg_indexes WHERE schemaname = '{schema}' AND indexdef LIKE '%hnsw%'")[0][0]
    postgres.run(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{schema}.{index}'::regclass")
    store.seal("notes", "docs")
    valid = f"SELECT count(*) FROM pg_index WHERE indrelid = '{schema}.notes'::regclass AND indisvalid"
    assert postgres.run(valid) == [["2"]]


def test_an_index_may_be_declined_or_be_of_half_precision(postgres, schema, open_store):
    plain = open_store(index="none")
    fill(plain, 10_000)
    plain.seal("notes", "docs")
    indexed = f"SELECT count(*) FROM pg_indexes WHERE schemaname = '{schema}' AND indexdef LIKE '%hnsw%'"
    assert postgres.run(indexed) == [["0"]]
    store = open_store()
    for dimensions in (2_001, 4_001):  # more than a vector's index takes, and than any takes
        name = f"d{dimensions}"
        store.open_collection(Collection(name, "a" * 32, dimensions))
        vectors = np.random.default_rng(1).normal(size=(30, dimensions)).astype(np.float32)
        store.commit(name, "docs", [StoredDocument(f"{n:02d}", "m", [Chunk("x", 0, 1, 0)], vectors[n : n + 1]) for n in range(30)])
        question = vectors[4]
        nearest = [f"{n:02d}" for n in np.argsort(-(vectors @ question) / np.linalg.norm(vectors, axis=1))]
        assert [hit.id for hit in store.search(name, [SearchRequest("", question, top_k=5)])[0]] == nearest[:5]


def test_words_are_ranked_by_how_rare_they_are(store):
    store.open_collection(NOTES)
    texts = ["wing wing wing flow", "flutter of a plate", *["wing flow of air"] * 20]
    store.commit("notes", "docs", [make_document(f"{n:02d}", [text], [[1, 0, 0]]) for n, text in enumerate(texts)])
    for _ in range(2):
        # ts_rank by itself puts the one with three wings first.
        assert search_ids(store, "flutter wing", [0, 0, 0], "keyword")[:2] == ["01", "00"]
        store.seal("notes", "docs")
    assert search_ids(store, "wing/flutter e.g. <b>", [0, 0, 0], "keyword")[0] == "01"


def test_words_and_vectors_are_found_before_and_after_they_are_indexed(store):
    store.open_collection(NOTES)
    store.commit("notes", "docs", [make_document("a", ["apples"], [[1, 0, 0]]), make_document("b", ["pears"], [[0, 1, 0]])])
    store.seal("notes", "docs")
    store.commit("notes", "docs", [make_document("c", ["apples and pears"], [[0, 0, 1]]), make_document("b", ["plums"], [[0, 1, 0]])])
    for _ in range(2):
        assert sorted(search_ids(store, "apple pear", [0, 0, 0], "keyword")) == ["a", "c"]
        store.seal("notes", "docs")


def test_numbers_are_compared_exactly(store):
    store.open_collection(NOTES)
    about = [{"n": 2**53 + 1}, {"n": float(2**63)}, {"n": 1e300}, {"n": 5e-324}]
    store.commit("notes", "docs", [make_document(str(at), ["x"], [[1, 0, 0]], each) for at, each in enumerate(about)])
    for at, filter in enumerate(("n = 9007199254740993", f"n > {2**63 - 1} and n < 1e19", "n = 1e300", "n > 0 and n < 1e-300")):
        assert search_ids(store, "", [1, 0, 0], "vector", filter=filter) == [str(at)]
    assert [document.metadata for _, document in store.documents("notes")] == about


def test_what_postgresql_cannot_hold_is_told_before(store):
    refused = [
        store.refusal("a", "nul \x00", {}),
        store.refusal("a\udcff", "text", {}),
        store.refusal("x" * 2001, "text", {}),
        store.refusal("a", "text", {"deep": [{"in": "\x00"}]}),
        store.refusal("a", "text", {"half": "\ud800"}),
    ]
    assert all(refused)
    assert store.refusal("ü.md", "grün \\u0000 \U0001f600", {"title": "ok", "n": 1e300}) is None
    store.open_collection(NOTES)
    with pytest.raises(StorageError, match="NUL"):
        store.commit("notes", "docs", [make_document("a", ["nul \x00"], [[1, 0, 0]])])
    assert store.marks("notes", "docs") == {}
    store.commit("notes", "docs", [make_document("a", ["fine"], [[1, 0, 0]])])
    store.remove("notes", "docs", ["\x00", "\ud800"])
    assert store.marks("notes", "docs") == {"a": "mark"}


def test_a_text_larger_than_a_tsvector_is_kept_and_its_beginning_found(store):
    store.open_collection(NOTES)
    text = "zebra " + " ".join(f"w{n}ß" for n in range(300_000))
    store.commit("notes", "docs", [make_document("a", [text], [[1, 0, 0]])])
    assert search_ids(store, "zebra", [0, 0, 0], "keyword") == ["a"]
    store.seal("notes", "docs")
    assert search_ids(store, "zebra", [0, 0, 0], "keyword") == ["a"]


def test_a_swap_waits_for_a_search_that_runs_and_for_none_that_comes(open_store, postgres, schema):
    store, other = open_store(), open_store()
    for name in ("notes", "notes@rebuild"):
        store.open_collection(Collection(name, "a" * 32, 3))
        store.commit(name, "docs", [make_document("a", [name], [[1, 0, 0]])])
    held = iter(store.documents("notes"))
    next(held)  # a transaction that reads is open now
    swap = threading.Thread(target=other.rename, args=({"notes": "notes@replaced", "notes@rebuild": "notes"},))
    swap.start()
    texts = [other.search("notes", [SearchRequest("", np.array([1, 0, 0], np.float32))])[0][0].text for _ in range(5)]
    assert texts == ["notes"] * 5
    held.close()
    swap.join()
    assert other.search("notes", [SearchRequest("", np.array([1, 0, 0], np.float32))])[0][0].text == "notes@rebuild"


def waits_for_lock(postgres):
    """Wait until somebody waits for a lock of a table."""
    while not postgres.run("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'relation'"):
        pass


def test_a_reader_that_waits_for_a_swap_reads_one_generation(store, postgres, schema):
    import psycopg

    for name, mark in (("notes", "old"), ("notes@rebuild", "new")):
        store.open_collection(Collection(name, "a" * 32, 3))
        store.commit(name, "docs", [make_document("a", [mark], [[1, 0, 0]], mark=mark)])
    swap = f"""SET search_path = {schema}; ALTER TABLE notes RENAME TO "notes@replaced"; ALTER TABLE "notes@rebuild" RENAME TO notes;
        ALTER TABLE asyncrun_words_notes RENAME TO "asyncrun_words_notes@replaced";
        ALTER TABLE "asyncrun_words_notes@rebuild" RENAME TO asyncrun_words_notes;
        UPDATE asyncrun_collections SET name = 'notes@replaced', table_name = 'notes@replaced' WHERE name = 'notes';
        UPDATE asyncrun_collections SET name = 'notes', table_name = 'notes' WHERE name = 'notes@rebuild';"""
    with psycopg.connect(postgres.url) as other, ThreadPoolExecutor(1) as threads:
        other.execute(f"LOCK TABLE {schema}.notes IN ACCESS EXCLUSIVE MODE")
        read = threads.submit(lambda: [(document.mark, document.chunks[0].text) for _, document in store.documents("notes")])
        waits_for_lock(postgres)
        other.execute(swap)
        other.commit()
        assert read.result() == [("new", "new")]


def test_searches_side_by_side_get_past_whoever_waits_for_the_table(open_store, postgres, schema):
    import psycopg

    store = open_store()
    store.open_collection(NOTES)
    store.commit("notes", "docs", [make_document("a", ["x"], [[1, 0, 0]])])
    requests = [SearchRequest("", np.array([1, 0, 0], np.float32))] * 40

    def lock(times):
        with psycopg.connect(postgres.url, autocommit=True) as other:
            for _ in range(times):
                other.execute(f"BEGIN; LOCK TABLE {schema}.notes IN ACCESS EXCLUSIVE MODE; COMMIT")

    with ThreadPoolExecutor(1) as threads:
        locked = threads.submit(lock, 200)
        while not locked.done():
            assert [len(hits) for hits in store.search("notes", requests)] == [1] * 40


def test_two_that_begin_at_once_make_the_tables_once(open_store):
    stores = [open_store() for _ in range(6)]
    errors = []

    def work(number):
        try:
            stores[number].open_collection(NOTES)
            stores[number].commit("notes", f"s{number}", [make_document(f"{n}", ["x"], [[1, 0, 0]]) for n in range(20)])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert stores[0].stats("notes").chunks == 120
    assert stores[0].stats("notes").documents == {f"s{number}": 20 for number in range(6)}
    assert len(list(stores[0].documents("notes"))) == 120


def test_a_vector_of_another_size_is_refused_and_nothing_is_kept(store):
    store.open_collection(NOTES)
    with pytest.raises(SpaceMismatchError):
        store.commit("notes", "docs", [make_document("b", ["x"], [[1, 0, 0]]), make_document("a", ["x"], [[1, 0]])])
    assert store.marks("notes", "docs") == {}


def test_it_says_who_answers_and_what_is_in_the_way(postgres, schema, open_store):
    from asyncrun.stores.pgvector import PgVectorStore

    store = open_store()
    assert store.describe().startswith("PostgreSQL ")
    store.open_collection(NOTES)
    assert ", pgvector 0." in store.describe()
    elsewhere = PgVectorStore(postgres.url, schema="no such schema")
    assert "the schema 'no such schema' is not there" in elsewhere.describe()
    with pytest.raises(StorageError, match="schema"):
        elsewhere.open_collection(NOTES)
    elsewhere.close()


def test_metadata_of_chunks_come_back_with_hits(store):
    store.open_collection(NOTES)
    chunks = [Chunk("one", 0, 3, 0, {"page": 3, "headings": ["A", "B"]})]
    store.commit("notes", "docs", [StoredDocument("a", "m", chunks, np.eye(1, 3, dtype=np.float32), {"title": "T"})])
    (hit,) = store.search("notes", [SearchRequest("one", np.array([1, 0, 0], np.float32), "hybrid")])[0]
    assert json.dumps(hit.metadata) == '{"title": "T", "page": 3, "headings": ["A", "B"]}'
    ((_, document),) = store.documents("notes")
    assert document.chunks[0].metadata == chunks[0].metadata
