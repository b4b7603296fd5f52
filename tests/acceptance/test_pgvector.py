"""An ingest job on a real PostgreSQL: from files to answers, killed at random, its server killed, two at once.

`ASYNCRUN_TEST_KILLS=200` runs a longer loop, `ASYNCRUN_TEST_SEED` repeats one.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of
from tests.depth import asked_for
from tests.postgres import PostgresServer, make_folder

pytestmark = pytest.mark.needs("postgresql")

CUT = {"by": "sentence", "size": 40, "overlap": 0}
KILLS = asked_for("ASYNCRUN_TEST_KILLS", quick=4, deep=40)
SEED = int(os.environ.get("ASYNCRUN_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
DOCUMENTS, DIMENSIONS, BATCH, IN_FLIGHT = 60, 8, 4, 4


@pytest.fixture
def server():
    with FakeServer(latency=0.02, dimensions=DIMENSIONS).in_thread() as server:
        yield server


def write_job(folder: Path, server: FakeServer, schema: str, **more: object) -> None:
    (folder / "docs").mkdir(parents=True)
    for number in range(DOCUMENTS):
        (folder / "docs" / f"{number:02d}.md").write_text(text_of(number))
    embedder = {
        **{"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": BATCH}},
        "limits": {"concurrency": IN_FLIGHT},
    }
    store = {"store": "pg", "collection": "handbook", "embedder": "fake"}
    ingest = {
        **{"name": "fill", "kind": "ingest", "input": {"path": "docs/*.md"}, "prune": True, "max_delete": "50%", "chunk": CUT},
        **store,
        **more,
    }
    (folder / "questions.jsonl").write_text(json.dumps({"id": "q", "text": "zebra"}) + "\n")
    ask = {"name": "ask", "kind": "query", "input": "questions.jsonl", "search": "hybrid", "top_k": 3, "output": "answers.jsonl", **store}
    job_file = {"stores": {"pg": {"type": "pgvector", "url": "${DATABASE_URL}", "schema": schema}}, "embedders": {"fake": embedder}}
    (folder / "jobs.yaml").write_text(json.dumps({**job_file, "jobs": [{**ingest, **store, **more}, ask]}))


def text_of(number: int) -> str:
    return f"Document {number} tells of {'a zebra' if number == 7 else 'horses'}.\n\n" + f"Its words are about {number}. " * 5


def start(folder: Path, url: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "asyncrun", "run", "--quiet", *words],
        **{"cwd": folder, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True},
        env={**os.environ, "DATABASE_URL": url},
    )


def run(folder: Path, url: str, *words: str) -> tuple[int, str]:
    process = start(folder, url, *words)
    told, _ = process.communicate(timeout=120)
    return process.returncode, told


def kept(postgres: PostgresServer, schema: str) -> dict[str, list[tuple[int, int, str, list[float]]]]:
    """Return what the store holds: start, end, text and vector of each chunk, by document."""
    sql = f"""SELECT json_build_array(d.doc_id, d.chunks, json_agg(json_build_array(start, "end", text, embedding::text) ORDER BY ordinal))
              FROM {schema}.asyncrun_documents d JOIN {schema}.handbook c ON number >= first_chunk AND number < first_chunk + d.chunks
              GROUP BY d.collection, d.source, d.doc_id, d.chunks"""
    rows = [json.loads("|".join(row)) for row in postgres.run(sql)]
    assert all(count == len(chunks) for _, count, chunks in rows)
    assert postgres.run(f"SELECT count(*) FROM {schema}.handbook") == [[str(sum(count for _, count, _ in rows))]]
    return {doc_id: [(start, end, text, json.loads(vector)) for start, end, text, vector in chunks] for doc_id, _, chunks in rows}


def check(postgres: PostgresServer, schema: str) -> None:
    found = kept(postgres, schema)
    assert sorted(found) == [f"{number:02d}.md" for number in range(DOCUMENTS)]
    for number in range(DOCUMENTS):
        chunks, text = found[f"{number:02d}.md"], text_of(number)
        assert len(chunks) > 1
        assert all(part == text[start:end] for start, end, part, _ in chunks)
        assert all(vector == pytest.approx(vector_of(part, DIMENSIONS), abs=1e-6) for _, _, part, vector in chunks)
    counted = f"SELECT chunks - (SELECT count(*) FROM {schema}.handbook) FROM {schema}.asyncrun_collections WHERE name = 'handbook'"
    assert postgres.run(counted) == [["0"]]


@pytest.fixture
def schema(postgres, request):
    name = f"a{abs(hash(request.node.name))}"
    postgres.run(f"CREATE SCHEMA {name}")
    return name


def test_from_files_to_answers(postgres, server, schema, tmp_path):
    write_job(tmp_path, server, schema)
    url = postgres.url_with()
    assert run(tmp_path, url) == (0, "")
    check(postgres, schema)
    (answer,) = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert "07.md" in {hit["doc_id"] for hit in answer["hits"]}
    sent = len(server.requests)
    (tmp_path / "docs" / "07.md").rename(tmp_path / "docs" / "zz.md")  # embedded under its other name already
    (tmp_path / "docs" / "03.md").unlink()
    (tmp_path / "docs" / "nul.md").write_text("a NUL \x00 is what PostgreSQL cannot hold")
    assert run(tmp_path, url, "fill", "--json")[0] == 3
    assert len(server.requests) == sent
    names = sorted(kept(postgres, schema))
    assert names == [*(f"{number:02d}.md" for number in range(DOCUMENTS) if number not in (3, 7)), "zz.md"]
    command, environment = [sys.executable, "-m", "asyncrun", "failed"], {**os.environ, "DATABASE_URL": url}
    failed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert "nul.md" in failed.stdout
    assert "NUL" in failed.stdout


def test_kills_at_random_instants_leave_whole_documents_and_the_next_run_goes_on(postgres, server, schema, tmp_path):
    rng, kills, rounds = random.Random(SEED), 0, 0
    while kills < KILLS:
        rounds += 1
        folder, name = tmp_path / str(rounds), f"{schema}_{rounds}"
        postgres.run(f"CREATE SCHEMA {name}")
        write_job(folder, server, name)
        first, killed = len(server.requests), 0
        while True:
            begun = len(server.requests)
            process = start(folder, postgres.url, "fill")
            if kills < KILLS:
                while len(server.requests) == begun and process.poll() is None and rng.random() < 0.98:
                    time.sleep(0.005)
                time.sleep(rng.random() * 0.4)
                process.kill()
            told, _ = process.communicate(timeout=120)
            if process.returncode != -9:
                break
            kills, killed = kills + 1, killed + 1
        assert (process.returncode, told) == (0, ""), f"seed {SEED}"
        check(postgres, name)
        times = Counter(text for request in server.requests[first:] for text in request.texts)
        assert sum(times.values()) - len(times) <= killed * BATCH * IN_FLIGHT, f"seed {SEED}"


def test_a_server_that_dies_meanwhile_ends_the_run_and_the_next_one_goes_on(server, tmp_path):
    folder = make_folder()
    postgres = PostgresServer.make(folder)
    try:
        postgres.run("CREATE SCHEMA s")
        write_job(tmp_path, server, "s")
        process = start(tmp_path, postgres.url, "fill")
        while not server.requests and process.poll() is None:
            time.sleep(0.005)
        postgres.kill()
        told, _ = process.communicate(timeout=120)
        assert process.returncode == 75, told
        assert "PostgreSQL at" in told
        postgres.start()
        assert run(tmp_path, postgres.url, "fill") == (0, "")
        check(postgres, "s")
    finally:
        postgres.stop()
        postgres.remove()


def test_two_job_files_fill_one_collection_at_once(postgres, server, schema, tmp_path):
    for name in ("one", "two"):
        write_job(tmp_path / name, server, schema, source=name)
    processes = [start(tmp_path / name, postgres.url, "fill") for name in ("one", "two")]
    assert [(process.communicate(timeout=120)[0], process.returncode) for process in processes] == [("", 0), ("", 0)]
    sources = f"SELECT source, count(DISTINCT doc_id) FROM {schema}.handbook GROUP BY source ORDER BY source"
    assert postgres.run(sources) == [["one", str(DOCUMENTS)], ["two", str(DOCUMENTS)]]
