"""Retrieval is as good as the model and the words allow: nDCG@10 on the Cranfield collection, through the command line."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

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


def test_cranfield_vector_and_hybrid_search(cranfield: Path, tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(JOBS)
    ran = subprocess.run(
        [sys.executable, "-m", "asyncrun", "run", "--json"],
        cwd=tmp_path,
        env={**os.environ, "CRANFIELD": str(cranfield.resolve())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    summary = json.loads(ran.stdout.splitlines()[-1])
    # Two of the 1,400 documents have neither title nor text.
    assert (summary["items"], summary["ok"], summary["skipped"]) == (1850, 1848, 2)
    judgements = cranfield / "qrels.tsv"
    figures = {search: ndcg_at_10(judgements, tmp_path / f"{search}.jsonl") for search in ("vector", "hybrid")}
    print(f"nDCG@10 on Cranfield: vector {figures['vector']:.4f}, hybrid {figures['hybrid']:.4f}")
    assert figures["vector"] >= 0.40
    assert figures["hybrid"] >= 0.43
