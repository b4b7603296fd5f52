"""Parts of LlamaIndex that a job file names by class: a vector store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]

pytestmark = pytest.mark.needs("llama-index")
STORE = {"type": "llama-index", "path": "out/li.db", "options": {"class": "llama_index.core.vector_stores.SimpleVectorStore"}}


def write_jobs(folder: Path, store: dict[str, Any], **ask: Any) -> None:
    pets = [{"id": "cat", "text": "Cats purr.", "lang": "en"}, {"id": "dog", "text": "Dogs bark."}]
    fill = {"name": "fill", "kind": "ingest", "input": {"items": pets, "metadata": ["lang"]}, "store": store, "collection": "pets"}
    questions = {"name": "ask", "kind": "query", "input": {"items": ["Which animal purrs?"]}, "store": store, "collection": "pets"}
    jobs = [fill, {**questions, "needs": ["fill"], "top_k": 1, "output": "answers.jsonl", **ask}]
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": jobs}))


def test_a_vector_store_is_filled_asked_and_mended(asyncrun: Command, tmp_path: Path) -> None:
    write_jobs(tmp_path, STORE)
    assert asyncrun("run").code == 0
    [answer] = map(json.loads, (tmp_path / "answers.jsonl").read_text().splitlines())
    [hit] = answer["hits"]
    assert (hit["doc_id"], hit["text"], hit["metadata"]) == ("cat", "Cats purr.", {"lang": "en"})
    [plan, _] = asyncrun("plan", "--json").documents[0]["jobs"]
    assert (plan["new"], plan["unchanged"], plan["requests"]) == (0, 2, 0)
    nodes = tmp_path / "out" / "li.db.pets.json"
    nodes.unlink()
    mended = asyncrun("run", "--refresh", "ask")
    assert mended.code == 0
    assert "lost all 2 chunks of the collection 'pets'" in mended.err
    assert len(json.loads(nodes.read_text())["embedding_dict"]) == 2


@pytest.mark.parametrize(
    ("store", "ask", "sentence"),
    [
        ({"type": "llama-index"}, {}, "store.options: missing"),
        ({**STORE, "schema": "x"}, {}, "the store type llama-index does not use it"),
        ({**STORE, "options": {"class": "no.Where"}}, {}, "there is no class 'no.Where'"),
        (STORE, {"search": "hybrid"}, "has no hybrid search"),
        (STORE, {"filter": "lang = 'en'"}, "without a filter"),
    ],
)
def test_what_it_cannot_do_is_told(asyncrun: Command, tmp_path: Path, store: dict[str, Any], ask: dict[str, Any], sentence: str) -> None:
    write_jobs(tmp_path, store, **ask)
    answer = asyncrun("run")
    assert answer.code in (1, 2)
    assert sentence in answer.err + answer.out
