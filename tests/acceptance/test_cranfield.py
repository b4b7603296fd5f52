"""Retrieval is as good as the model and the words allow: nDCG@10 on the Cranfield collection, through the command line."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import PostgresServer

JOBS = """
jobs:
  - name: ingest
    kind: ingest
    input: {path: "${CRANFIELD}/docs.jsonl", text: "{title}. {text}", metadata: [title]}
    chunk: {by: none}
    store: {path: index.db}
    collection: cranfield
  - {name: vector, kind: query, needs: [ingest], input: "${CRANFIELD}/queries.jsonl", store: {path: index.db}, collection: cranfield,
     top_k: 10, search: vector, output: vector.jsonl}
  - {name: hybrid, kind: query, needs: [ingest, vector], input: "${CRANFIELD}/queries.jsonl", store: {path: index.db},
     collection: cranfield, top_k: 10, search: hybrid, output: hybrid.jsonl}
"""


def ndcg_at_10(judgements: Path, answers: Path) -> float:
    """Every judged pair counts as relevant, as the reference figures of the model do."""
    relevant: dict[str, set[str]] = defaultdict(set)
    for line in judgements.read_text().splitlines()[1:]:
        query, document, _ = line.split("\t")
        relevant[query].add(document)
    gains = []
    for line in answers.read_text().splitlines():
        row = json.loads(line)
        wanted = relevant[row["id"]]
        found = sum(1 / math.log2(rank + 2) for rank, hit in enumerate(row["hits"][:10]) if hit["doc_id"] in wanted)
        best = sum(1 / math.log2(rank + 2) for rank in range(min(10, len(wanted))))
        gains.append(found / best)
    assert len(gains) == 225
    return sum(gains) / len(gains)


@pytest.fixture(scope="module")
def folder(cranfield: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the jobs have run: what runs there later sends nothing again."""
    folder = tmp_path_factory.mktemp("cranfield")
    summary = run(folder, cranfield, JOBS)
    # Two of the 1,400 documents have neither title nor text.
    assert (summary["items"], summary["ok"], summary["skipped"]) == (1850, 1848, 2)
    return folder


def run(folder: Path, cranfield: Path, jobs: str, **variables: str) -> dict[str, Any]:
    (folder / "jobs.yaml").write_text(jobs)
    ran = subprocess.run(
        [sys.executable, "-m", "asyncrun", "run", "--json"],
        cwd=folder,
        env={**os.environ, "CRANFIELD": str(cranfield.resolve()), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    summary: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return summary


def test_cranfield_vector_and_hybrid_search(cranfield: Path, folder: Path) -> None:
    figures = {search: ndcg_at_10(cranfield / "qrels.tsv", folder / f"{search}.jsonl") for search in ("vector", "hybrid")}
    print(f"nDCG@10 on Cranfield: vector {figures['vector']:.4f}, hybrid {figures['hybrid']:.4f}")
    assert figures["vector"] >= 0.40
    assert figures["hybrid"] >= 0.43


@pytest.mark.needs("postgresql")
def test_cranfield_in_postgresql_is_as_good(cranfield: Path, folder: Path, postgres: PostgresServer) -> None:
    postgres.run("CREATE SCHEMA cranfield")
    jobs = JOBS.replace("{path: index.db}", '{type: pgvector, url: "${DATABASE_URL}", schema: cranfield}').replace(".jsonl}", "-pg.jsonl}")
    jobs += """
  - {name: keyword, kind: query, needs: [ingest], input: "${CRANFIELD}/queries.jsonl", collection: cranfield, top_k: 10, search: keyword,
     store: {type: pgvector, url: "${DATABASE_URL}", schema: cranfield}, output: keyword-pg.jsonl}
"""
    assert run(folder, cranfield, jobs, DATABASE_URL=postgres.url)["requests"] == 0
    figures = {search: ndcg_at_10(cranfield / "qrels.tsv", folder / f"{search}-pg.jsonl") for search in ("vector", "keyword", "hybrid")}
    print("nDCG@10 on Cranfield in PostgreSQL:", figures)
    former = ndcg_at_10(cranfield / "qrels.tsv", folder / "vector.jsonl")
    assert figures["vector"] == pytest.approx(former, abs=0.005)
    assert figures["keyword"] >= 0.37  # ts_rank by itself reaches .339
    assert figures["hybrid"] >= 0.43


@pytest.mark.needs("lancedb")
def test_cranfield_on_lancedb(cranfield: Path, folder: Path) -> None:
    by_words = JOBS + JOBS.splitlines()[-2].replace("hybrid", "keyword") + "\n" + JOBS.splitlines()[-1].replace("hybrid", "keyword")
    run(folder, cranfield, by_words.replace("{path: index.db}", "{type: lancedb, path: lance}").replace("output: ", "output: lance-"))
    figures = {search: ndcg_at_10(cranfield / "qrels.tsv", folder / f"lance-{search}.jsonl") for search in ("vector", "keyword", "hybrid")}
    print(f"nDCG@10 on Cranfield, LanceDB: {figures}")
    assert figures["vector"] >= 0.40
    assert figures["keyword"] >= 0.375
    assert figures["hybrid"] >= 0.43


@pytest.mark.needs("qdrant")
@pytest.mark.filterwarnings("ignore:Local mode is not recommended:UserWarning")
def test_cranfield_on_qdrant(cranfield: Path, folder: Path) -> None:
    from tests.servers.qdrant_rest import running

    with running() as server:
        without_words = "\n".join(JOBS.splitlines()[:-2])
        store = f'{{type: qdrant, url: "{server.url}"}}'
        run(folder, cranfield, without_words.replace("{path: index.db}", store).replace("output: ", "output: qdrant-"))
    figure = ndcg_at_10(cranfield / "qrels.tsv", folder / "qdrant-vector.jsonl")
    print(f"nDCG@10 on Cranfield, Qdrant: vector {figure:.4f}")
    assert figure >= 0.40
