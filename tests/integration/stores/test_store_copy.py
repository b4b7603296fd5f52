"""A collection that was copied to another type of store and back is what it was, and what was killed or changed between is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asyncrun.app.store_commands import StoreCall, list_collections, open_store
from asyncrun.app.store_copy import copy_collections
from asyncrun.errors import TryLaterError
from asyncrun.records import Chunk
from asyncrun.stores.interface import Collection, StoredDocument

Settings = dict[str, Any]
DIMENSIONS = 12
METADATA = [
    {},
    {"lang": "en", "year": 2024, "tags": ["a", "b"], "nested": {"deep": {"er": [1, 2.5, None, True]}}},
    {"größe": "Straße", "日本": "語", "quote": 'it\'s "quoted"', "empty": "", "big": 2**53 - 1},
]


@pytest.fixture
def job_file(tmp_path: Path) -> Callable[..., Path]:
    def write(**stores: Settings) -> Path:
        job = {"name": "n", "kind": "embed", "input": {"items": ["one"]}, "output": "out.jsonl"}
        path = tmp_path / "jobs.yaml"
        path.write_text(json.dumps({"stores": {"one": {"path": "one.db"}, "back": {"path": "back.db"}, **stores}, "jobs": [job]}))
        return path

    return write


def documents(seed: int, count: int) -> Iterator[StoredDocument]:
    rng = np.random.default_rng(seed)
    for n in range(count):
        size = n % 4
        about = {"headings": ["A", "B"]}
        chunks = [Chunk(f"Größe {n}, part {at}: 日本語.", at * 40, at * 40 + 30, at, {**about, "page": at + 1}) for at in range(size)]
        vectors = rng.normal(size=(size, DIMENSIONS)).astype(np.float32)
        yield StoredDocument(f"docs/{seed}-{n:03} ü.md", f"mark {n}", chunks, vectors, METADATA[n % 3])


def content(call: StoreCall, collection: str) -> tuple[list[Any], list[Any]]:
    """Return all of a collection: what is no vector, and the vectors."""
    with open_store(call) as opened:
        found = list(opened.browsable.documents(collection))
    told = [
        (source, each.doc_id, each.mark, list(each.chunks), [dict(chunk.metadata) for chunk in each.chunks], dict(each.metadata))
        for source, each in found
    ]
    return told, [each.vectors.astype(np.float32) for _, each in found]


def assert_equal(one: StoreCall, collection: str, other: StoreCall, its: str, *, unit_length: bool) -> None:
    """Compare two collections; vectors to the bit, unless one store keeps them at unit length."""
    (told, vectors), (its_told, its_vectors) = content(one, collection), content(other, its)
    assert told == its_told
    for mine, its_own in zip(vectors, its_vectors, strict=True):
        if unit_length:
            np.testing.assert_allclose(unit(mine), unit(its_own), rtol=0, atol=2e-7)
        else:
            assert mine.tobytes() == its_own.tobytes()


def unit(vectors: Any) -> Any:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if len(vectors) else np.zeros((0, DIMENSIONS))


def there_and_back(file: Path, *, unit_length: bool = False) -> None:
    one = StoreCall("one", file)
    with open_store(one) as opened:
        opened.adapter.open_collection(Collection("hand-book", "a" * 32, DIMENSIONS))
        for seed, source in enumerate(("docs", "f a q")):
            opened.adapter.commit("hand-book", source, documents(seed, 40))
    [done] = copy_collections(one, "hand-book", "other", None, replace_others=False)
    assert (done.copied, done.unchanged) == (80, 0)
    [again] = copy_collections(one, "hand-book", "other", None, replace_others=False)
    assert (again.copied, again.unchanged, again.removed) == (0, 80, 0)
    other = StoreCall("other", file)
    _, [view] = list_collections(other)
    assert view.stats.collection == Collection("hand-book", "a" * 32, DIMENSIONS)
    assert dict(view.stats.documents) == {"docs": 40, "f a q": 40}
    assert view.stats.chunks == 80 * 6 // 4
    copy_collections(other, "hand-book", "back", "again", replace_others=False)
    assert_equal(one, "hand-book", StoreCall("back", file), "again", unit_length=unit_length)
    assert_equal(one, "hand-book", other, "hand-book", unit_length=unit_length)
    with open_store(one) as opened:
        opened.adapter.remove("hand-book", "docs", ["docs/0-001 ü.md"])
        opened.adapter.commit("hand-book", "docs", [next(documents(9, 1))])
    [done] = copy_collections(one, "hand-book", "other", None, replace_others=True)
    assert (done.copied, done.unchanged, done.removed) == (1, 79, 1)
    assert_equal(one, "hand-book", other, "hand-book", unit_length=unit_length)


def test_a_copy_into_sqlite_and_back_is_equal_and_done_again_changes_nothing(job_file: Callable[..., Path]) -> None:
    there_and_back(job_file(other={"path": "other.db"}))


@pytest.fixture(scope="module")
def lancedb_threads() -> None:
    """Start what LanceDB keeps as long as a process."""
    import lancedb

    lancedb.connect("memory://").list_tables()


@pytest.mark.needs("lancedb")
@pytest.mark.usefixtures("lancedb_threads")
def test_a_copy_into_lancedb_and_back_is_equal_and_done_again_changes_nothing(job_file: Callable[..., Path]) -> None:
    there_and_back(job_file(other={"type": "lancedb", "path": "lance"}))


@pytest.mark.needs("postgresql")
def test_a_copy_into_pgvector_and_back_is_equal_and_done_again_changes_nothing(job_file: Callable[..., Path], postgres: Any) -> None:
    postgres.run("CREATE SCHEMA copied")
    there_and_back(job_file(other={"type": "pgvector", "url": postgres.url, "schema": "copied"}))


@pytest.mark.needs("qdrant")
@pytest.mark.filterwarnings("ignore:Local mode is not recommended:UserWarning", "ignore:Payload indexes have no effect:UserWarning")
def test_a_copy_into_qdrant_and_back_is_equal_and_done_again_changes_nothing(job_file: Callable[..., Path]) -> None:
    from tests.servers.qdrant_rest import running

    with running() as server:
        there_and_back(job_file(other={"type": "qdrant", "url": server.url}), unit_length=True)


@pytest.mark.needs("postgresql")
def test_a_store_that_is_away_is_told_before_anything_is_made(job_file: Callable[..., Path], unused_port: int) -> None:
    file = job_file(other={"type": "pgvector", "url": f"postgresql://me:hunter2hunter2@127.0.0.1:{unused_port}/db"})
    with pytest.raises(TryLaterError) as told:
        copy_collections(StoreCall("other", file), None, "back", None, replace_others=False)
    assert "hunter2" not in str(told.value) + told.value.hint
    assert not (file.parent / "back.db").exists()
