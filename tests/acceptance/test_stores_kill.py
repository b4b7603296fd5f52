"""SIGKILL while a store is filled: each document is there wholly or not at all, and in the end all are, each once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asyncrun.stores.interface import SearchRequest, StoredDocument
from asyncrun.stores.sqlite import SqliteStore
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of
from tests.depth import asked_for, times

KILLS = {name: asked_for("ASYNCRUN_TEST_KILLS", quick=1, deep=40 if name == "sqlite" else 15) for name in ("sqlite", "lancedb", "qdrant")}
SEED = random.SystemRandom().randrange(2**32)
DOCUMENTS, DIMENSIONS = times(quick=40, deep=150), 8

pytestmark = pytest.mark.filterwarnings("ignore:Local mode is not recommended:UserWarning")


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("lancedb", marks=pytest.mark.needs("lancedb")),
        pytest.param("qdrant", marks=pytest.mark.needs("qdrant")),
    ]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[dict[str, str], Callable[[], Any]]]:
    """What a job file says of a store, and what opens it."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            yield {"type": "sqlite", "path": "index.db"}, lambda: SqliteStore(tmp_path / "index.db")
        elif request.param == "lancedb":
            from asyncrun.stores.lancedb import LanceDBStore

            yield {"type": "lancedb", "path": "index"}, lambda: LanceDBStore(tmp_path / "index")
        else:
            from asyncrun.stores.qdrant import QdrantStore
            from tests.servers.qdrant_rest import running

            url = stack.enter_context(running()).url
            yield {"type": "qdrant", "url": url}, lambda: QdrantStore(url)


@pytest.fixture(scope="module", autouse=True)
def started(request: pytest.FixtureRequest) -> None:
    if any("[lancedb" in item.name for item in request.session.items):
        request.getfixturevalue("lancedb_runs")


def text_of(document: int, version: int) -> str:
    """Return the text of a document; every third one is another one in each version."""
    told = version if document % 3 == 0 else 0
    return " ".join(f"Document {document} says in part {part} of version {told} that words say little." for part in range(4))


def write_rows(folder: Path, version: int) -> None:
    rows = ({"id": f"{n:03d}", "text": text_of(n, version), "n": n} for n in range(DOCUMENTS))
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_jobs(folder: Path, server: FakeServer, store: dict[str, str]) -> None:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": 20}}
    fill = {
        "kind": "ingest",
        "embedder": embedder,
        "store": store,
        "collection": "kb",
        "chunk": {"by": "sentence", "size": 24, "overlap": 0},
    }
    job = {"name": "fill", "input": {"path": "rows.jsonl", "metadata": ["n"]}, **fill}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))


def start(folder: Path, file: str = "jobs.yaml") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "asyncrun", "run", file, "--quiet"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def broken(store: Any, version: int) -> list[str]:
    """Say what is wrong with a store: a document that is not wholly of one version, or a hit that is of none."""
    if store.fingerprint("kb") is None:
        return []
    known = {each.doc_id: each for _, each in store.documents("kb")}
    wrong = [name for name, each in known.items() if not any(is_whole(each, text_of(int(name), n)) for n in range(1, version + 1))]
    chunks = sum(len(each.chunks) for each in known.values())
    hits = store.search("kb", [SearchRequest("", np.ones(DIMENSIONS, dtype=np.float32), top_k=chunks + 1_000)])[0]
    if len(hits) != chunks or len({hit.id for hit in hits}) != len(hits):
        wrong.append(f"{len(hits)} hits of {chunks} chunks")
    return wrong


def is_whole(document: StoredDocument, text: str) -> bool:
    ends = [0, *(chunk.end for chunk in document.chunks)]
    return (
        ends[-1] == len(text)
        and all(chunk.text == text[chunk.start : chunk.end] for chunk in document.chunks)
        and all(chunk.start <= before + 1 for chunk, before in zip(document.chunks, ends, strict=False))
        and all(
            np.allclose(vector, vector_of(chunk.text, DIMENSIONS), atol=1e-6)
            for chunk, vector in zip(document.chunks, document.vectors, strict=True)
        )
    )


def test_whatever_a_kill_interrupts_each_document_is_whole(store: tuple[dict[str, str], Callable[[], Any]], tmp_path: Path) -> None:
    settings, open_store = store
    rng, kills = random.Random(SEED), KILLS[settings["type"]]
    killed = rounds = 0
    with FakeServer(dimensions=DIMENSIONS, latency=0.01).in_thread() as server:
        write_jobs(tmp_path, server, settings)
        while killed < kills:
            rounds += 1
            write_rows(tmp_path, rounds)
            code = -9
            while code == -9:
                before = len(server.requests)
                process = start(tmp_path)
                while killed < kills and len(server.requests) == before and process.poll() is None and rng.random() > 0.002:
                    time.sleep(0.002)
                if killed < kills:
                    time.sleep(rng.random() * 0.6)
                    process.kill()
                told, _ = process.communicate(timeout=120)
                code = process.returncode
                killed += code == -9
                found = open_store()
                assert broken(found, rounds) == [], f"seed {SEED} after {killed} kills"
                found.close()
            assert code == 0, (told, SEED)
            found = open_store()
            assert len(found.marks("kb", "fill")) == DOCUMENTS
            assert all(is_whole(each, text_of(int(each.doc_id), rounds)) for _, each in found.documents("kb"))
            found.close()
        sent = len(server.sent_texts)
        ended = start(tmp_path)
        assert (ended.communicate(timeout=120)[1], ended.returncode) == (None, 0)
        assert len(server.sent_texts) == sent
    print(f"seed {SEED}: {killed} kills in {rounds} rounds on {settings['type']}")
    assert killed >= kills


def test_two_ingests_at_once_fill_one_collection(store: tuple[dict[str, str], Callable[[], Any]], tmp_path: Path) -> None:
    settings, open_store = store
    with FakeServer(dimensions=DIMENSIONS, latency=0.01).in_thread() as server:
        write_rows(tmp_path, 1)
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            write_jobs(tmp_path, server, settings)
            job = json.loads((tmp_path / "jobs.yaml").read_text())
            job["jobs"][0]["source"] = name
            (tmp_path / f"{name}.yaml").write_text(json.dumps(job))
        runs = [start(tmp_path, f"{name}.yaml") for name in ("one", "two")]
        assert [(run.communicate(timeout=120)[0], run.returncode) for run in runs] == [("", 0), ("", 0)]
    found = open_store()
    assert {source: len(found.marks("kb", source)) for source in ("one", "two")} == {"one": DOCUMENTS, "two": DOCUMENTS}
    assert dict(found.stats("kb").documents) == {"one": DOCUMENTS, "two": DOCUMENTS}
    found.close()


@pytest.mark.needs("qdrant")
def test_a_qdrant_server_that_dies_in_the_middle_is_told_and_filled_on_when_it_is_back(tmp_path: Path) -> None:
    from asyncrun.stores.qdrant import QdrantStore
    from tests.servers.qdrant_rest import started_process

    rng = random.Random(SEED)
    write_rows(tmp_path, 1)
    with FakeServer(dimensions=DIMENSIONS, latency=0.01).in_thread() as server:
        codes = []
        rest, url = started_process(tmp_path / "points")
        try:
            write_jobs(tmp_path, server, {"type": "qdrant", "url": url})
            for _ in range(KILLS["qdrant"] // 2 + 1):
                before = len(server.requests)
                process = start(tmp_path)
                while len(server.requests) == before and process.poll() is None:
                    time.sleep(0.002)
                time.sleep(rng.random() * 0.3)
                rest.kill()
                rest.communicate()
                told, _ = process.communicate(timeout=120)
                codes.append(process.returncode)
                assert process.returncode == 0 or (process.returncode, "the Qdrant server 127.0.0.1" in told) == (75, True), told
                rest, url = started_process(tmp_path / "points", int(url.rpartition(":")[2]))
                found = QdrantStore(url)
                assert broken(found, 1) == [], f"seed {SEED}"
                found.close()
            ended = start(tmp_path)
            assert (ended.communicate(timeout=120)[0], ended.returncode) == ("", 0)
            found = QdrantStore(url)
            assert len(found.marks("kb", "fill")) == DOCUMENTS
            found.close()
        finally:
            rest.kill()
            rest.communicate()
    print(f"seed {SEED}: the runs ended with {codes}")
