"""What was damaged in the SQLite store's file is never taken for what was put in, and mending keeps all that is whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asyncrun.errors import DamagedStoreError
from asyncrun.records import Hit
from asyncrun.stores.interface import Collection, SearchMode, SearchRequest, StoredDocument
from asyncrun.stores.sqlite import SqliteStore
from asyncrun.testing.stores import make_document

NOTES, OTHER = Collection("notes", "a" * 32, 3), Collection("other", "b" * 32, 3)
Damage = Callable[..., None]


def documents(count: int = 20, prefix: str = "d") -> list[Any]:
    return [
        about_its_first_chunk(
            make_document(
                f"{prefix}{i}", [f"one word{i}", f"two word{i}"], [[1, i, 0], [0, 1, i]], {"lang": "en" if i % 2 else "de"}, f"mark{i}"
            ),
            {"page": i} if i % 2 else {},
        )
        for i in range(count)
    ]


def about_its_first_chunk(document: StoredDocument, metadata: dict[str, Any]) -> StoredDocument:
    return replace(document, chunks=[replace(document.chunks[0], metadata=metadata), *document.chunks[1:]])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    """A store with two collections; `notes` has two sources."""
    store = SqliteStore(path)
    for collection, source in ((NOTES, "docs"), (NOTES, "wiki"), (OTHER, "docs")):
        store.open_collection(collection)
        store.commit(collection.name, source, documents(prefix=source[0]))
        store.seal(collection.name, source)
    yield store
    store.close()


@pytest.fixture
def damage(path: Path, store: SqliteStore) -> Damage:
    """Change rows behind the store's back."""

    def change(sql: str, *values: object) -> None:
        store.close()
        connection = sqlite3.connect(path)
        assert connection.execute(sql, values).rowcount != 0
        connection.commit()
        connection.close()

    return change


def ask(store: SqliteStore, mode: SearchMode = "vector", *, filter: str | None = None, collection: str = "notes") -> list[Hit]:
    return store.search(collection, [SearchRequest("word3", np.array([1, 3, 0], dtype=np.float32), mode, 4, filter)])[0]


ANY = "(SELECT min(id) FROM documents WHERE doc_id = 'd7')"
CHUNK = f"(SELECT min(id) FROM chunks WHERE document = {ANY})"


@pytest.mark.parametrize("mode", ["vector", "hybrid"])
@pytest.mark.parametrize(
    "sql",
    [
        f"UPDATE vectors SET vector = x'0000803f0000e04000000080' WHERE chunk = {CHUNK}",
        f"UPDATE vectors SET vector = (SELECT vector FROM vectors WHERE chunk = {CHUNK} + 1) WHERE chunk = {CHUNK}",
        f"UPDATE vectors SET vector = 'text' WHERE chunk = {CHUNK}",
        f"DELETE FROM vectors WHERE chunk = {CHUNK}",
        f"UPDATE chunks SET document = document + 1, ordinal = 9 WHERE id = {CHUNK}",
        f"UPDATE chunks SET chunk_id = 'a' WHERE id = {CHUNK}",
        f"UPDATE documents SET source = 'docz' WHERE id = {ANY}",
        f"UPDATE documents SET collection = 9 WHERE id = {ANY}",
        f"DELETE FROM documents WHERE id = {ANY}",
    ],
)
def test_vectors_and_whose_they_are_are_proved_first(store: SqliteStore, damage: Damage, sql: str, mode: SearchMode) -> None:
    damage(sql)
    with pytest.raises(DamagedStoreError, match=r"index\.db is damaged"):
        ask(store, mode)


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE chunks SET text = 'one word4' WHERE chunk_id = 'd3#0'",
        "UPDATE chunks SET text = CAST(x'6f6e6520ff' AS TEXT) WHERE chunk_id = 'd3#0'",
        "UPDATE chunks SET start = 1 WHERE chunk_id = 'd3#0'",
        """UPDATE documents SET metadata = '{"lang":"xx"}' WHERE doc_id = 'd3'""",
        """UPDATE chunk_metadata SET metadata = '{"page":4}' WHERE metadata = '{"page":3}'""",
        "UPDATE chunk_metadata SET chunk = -chunk",
        "DELETE FROM chunk_metadata",
        "DELETE FROM chunk_sums",
    ],
)
def test_what_a_hit_says_is_proved_when_it_is_read(store: SqliteStore, damage: Damage, sql: str, mode: SearchMode) -> None:
    damage(sql)
    with pytest.raises(DamagedStoreError, match=r"index\.db is damaged"):
        ask(store, mode)


def test_a_closed_store_has_no_file_open_though_its_error_is_kept(path: Path, store: SqliteStore, damage: Damage) -> None:
    # More rows than are read at once: the reading is broken off while SQLite has more to give.
    store.commit(NOTES.name, "many", documents(1_500, prefix="m"))
    damage(f"UPDATE vectors SET vector = x'00' WHERE chunk = {CHUNK}")
    with pytest.raises(DamagedStoreError) as kept:
        ask(store)
    store.close()
    still_open = [descriptor.readlink() for descriptor in Path("/proc/self/fd").iterdir() if descriptor.is_symlink()]
    assert not [file for file in still_open if str(file).startswith(str(path))], kept


@pytest.mark.parametrize("mode", ["vector", "keyword", "hybrid"])
def test_a_filter_works_on_what_was_put_in(store: SqliteStore, damage: Damage, mode: SearchMode) -> None:
    damage("""UPDATE documents SET metadata = '{"lang":"de"}' WHERE doc_id = 'd3'""")
    with pytest.raises(DamagedStoreError, match="'notes'"):
        ask(store, mode, filter="lang = 'en'")


@pytest.mark.parametrize("table", ["data", "docsize", "idx"])
def test_the_word_index_is_proved_before_the_first_answer(store: SqliteStore, damage: Damage, table: str) -> None:
    damage(f"DELETE FROM words_1_{table} WHERE rowid > 5" if table != "idx" else "UPDATE words_1_idx SET pgno = pgno + 2")
    with pytest.raises(DamagedStoreError, match=r"index\.db is damaged"):
        ask(store, "keyword")
    assert len(ask(store, "vector")) == 4


def test_a_word_index_that_a_killed_writer_left_proves_itself(store: SqliteStore, damage: Damage) -> None:
    store.commit("notes", "docs", documents(3))
    damage("DELETE FROM words_1_docsize WHERE id = (SELECT max(id) FROM words_1_docsize)")
    with pytest.raises(DamagedStoreError, match=r"index\.db is damaged"):
        ask(store, "keyword")


def test_the_record_of_a_collection_is_proved(store: SqliteStore, damage: Damage) -> None:
    damage("UPDATE collections SET name = 'nodes' WHERE name = 'notes'")
    for use in (
        lambda: ask(store),
        lambda: store.fingerprint("notes"),
        lambda: store.marks("notes", "docs"),
        lambda: store.open_collection(NOTES),
    ):
        with pytest.raises(DamagedStoreError, match="record of a collection"):
            use()


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE chunk_sums",
        "DROP TABLE chunk_metadata",
        "PRAGMA user_version = 2",
        "PRAGMA user_version = 7",
        "PRAGMA application_id = 7",
        "ALTER TABLE documents RENAME COLUMN mark TO nark",
    ],
)
def test_tables_that_are_not_the_stores_are_damage(store: SqliteStore, damage: Damage, sql: str) -> None:
    damage(sql)
    with pytest.raises(DamagedStoreError, match=r"index\.db is damaged"):
        ask(store)


@pytest.mark.parametrize(
    ("sql", "lost"),
    [
        (f"UPDATE documents SET mark = 'mark8' WHERE id = {ANY}", {"d7"}),
        (f"UPDATE vectors SET vector = zeroblob(12) WHERE chunk = {CHUNK}", {"d7"}),
        (f"UPDATE chunks SET text = 'else' WHERE id = {CHUNK}", {"d7"}),
        ("DELETE FROM documents WHERE doc_id = 'd7'", {"d7"}),
        (f"DELETE FROM chunk_metadata WHERE chunk = {CHUNK}", {"d7"}),
        ("UPDATE words_1_data SET block = zeroblob(9) WHERE id > 10", set()),
        ("UPDATE collection_sums SET vectors = 1 WHERE collection = 1", set()),
        ("UPDATE collections SET name = 'nodes' WHERE id = 1", set()),
    ],
)
def test_mending_takes_out_what_is_not_whole_and_ingesting_again_puts_it_in(
    store: SqliteStore, path: Path, damage: Damage, sql: str, lost: set[str]
) -> None:
    before = {mode: ask(store, mode) for mode in ("vector", "keyword", "hybrid")}
    damage(sql)
    told = store.repair("notes")
    assert told is not None
    assert "index.db" in told
    assert set(store.marks("notes", "docs")) == {f"d{i}" for i in range(20)} - lost
    assert path.with_name("index.db.damaged").is_file()
    for source in ("docs", "wiki"):
        there = store.marks("notes", source)
        store.commit("notes", source, [document for document in documents(prefix=source[0]) if document.doc_id not in there])
        store.seal("notes", source)
    assert store.repair("notes") is None
    assert {mode: ask(store, mode) for mode in ("vector", "keyword", "hybrid")} == before


def test_a_source_that_lost_nothing_is_not_asked_for(store: SqliteStore, damage: Damage) -> None:
    damage("UPDATE documents SET mark = 'x' WHERE doc_id = 'w7'")
    store.repair("notes")
    store.seal("notes", "docs")
    with pytest.raises(DamagedStoreError, match="lacks documents of 'wiki'"):
        ask(store)
    assert len(ask(store, collection="other")) == 4


def test_mending_one_collection_leaves_the_damage_of_another_told(store: SqliteStore, damage: Damage) -> None:
    damage("UPDATE documents SET mark = 'x' WHERE doc_id = 'd7'")
    store.repair("notes")
    store.seal("notes", "docs")
    assert len(ask(store)) == 4
    with pytest.raises(DamagedStoreError, match="'other' lacks documents of 'docs'"):
        ask(store, collection="other")


def test_one_who_has_the_file_open_sees_it_mended(path: Path, store: SqliteStore, damage: Damage) -> None:
    before = ask(store)
    damage("UPDATE words_1_data SET block = zeroblob(9) WHERE id > 10")
    other = SqliteStore(path)
    assert ask(other) == before
    store.repair("notes")
    assert ask(other, "keyword") == ask(store, "keyword")
    assert ask(other) == before
    other.close()


@pytest.mark.parametrize("offset", [3, 16, 19, 21])
def test_a_file_without_a_header_is_set_aside(path: Path, store: SqliteStore, offset: int) -> None:
    store.close()
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x44
    path.write_bytes(content)
    with pytest.raises(DamagedStoreError, match=r"index\.db is damaged"):
        store.open_collection(NOTES)
    told = store.repair("notes")
    assert told is not None
    assert path.with_name("index.db.damaged").read_bytes() == content
    assert store.marks("notes", "docs") == {}


@pytest.mark.parametrize(
    "sql",
    [
        f"DELETE FROM documents WHERE id = {ANY}",
        f"DELETE FROM chunks WHERE id = {CHUNK}",
        f"UPDATE documents SET mark = 'x' WHERE id = {ANY}",
    ],
)
def test_what_is_counted_and_read_out_is_proved(store: SqliteStore, damage: Damage, sql: str) -> None:
    damage(sql)
    with pytest.raises(DamagedStoreError, match=r"index\.db is damaged"):
        store.stats("notes")
    with pytest.raises(DamagedStoreError, match=r"index\.db is damaged"):
        list(store.documents("notes"))
    assert len(list(store.documents("other"))) == 20


def test_what_lacks_documents_is_not_read_out_and_may_be_replaced(store: SqliteStore, damage: Damage) -> None:
    damage(f"UPDATE documents SET mark = 'x' WHERE id = {ANY}")
    store.repair("notes")
    with pytest.raises(DamagedStoreError, match="lacks documents of 'docs'"):
        store.documents("notes")
    store.rename({"notes": "notes@replaced", "other": "notes"})
    assert len(ask(store)) == 4
    with pytest.raises(DamagedStoreError, match="lacks documents of 'docs'"):
        ask(store, collection="notes@replaced")
    store.drop("notes@replaced")
    assert (store.repair("notes"), len(ask(store))) == (None, 4)


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_an_older_version_gains_what_it_had_not_and_loses_nothing(store: SqliteStore, damage: Damage, version: int) -> None:
    for source in ("docs", "wiki"):
        bare = [about_its_first_chunk(document, {}) for document in documents(prefix=source[0])]
        store.commit("notes", source, bare)
        store.seal("notes", source)
    before = {mode: ask(store, mode) for mode in ("vector", "keyword", "hybrid")}
    revision = store.revision("notes")
    for table in ["chunk_metadata", *(("collection_sums", "document_sums", "chunk_sums") if version == 1 else ())]:
        damage(f"DROP TABLE {table}")
    damage(f"PRAGMA user_version = {version}")
    assert {mode: ask(store, mode) for mode in ("vector", "keyword", "hybrid")} == before
    assert store.revision("notes") == revision
    assert store.repair("notes") is None
    store.commit("notes", "docs", documents())
    assert ask(store)[0].metadata == {"lang": "en", "page": 3}
    damage("UPDATE vectors SET vector = zeroblob(12) WHERE chunk = (SELECT max(chunk) FROM vectors)")
    with pytest.raises(DamagedStoreError):
        ask(store)


def test_nothing_is_mended_where_nothing_is_stored(path: Path) -> None:
    store = SqliteStore(path)
    assert store.repair("notes") is None
    store.seal("notes", "docs")
    assert not path.exists()
