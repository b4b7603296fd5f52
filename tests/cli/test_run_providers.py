"""Jobs with providers other than OpenAI: the file names one, and the rest is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from asyncrun.testing.faults import Fault
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of

Command = Callable[..., Any]
TEXTS = [f"note {number}" for number in range(40)]


@pytest.fixture
def write(tmp_path: Path, server: FakeServer) -> Callable[..., None]:
    """Write notes and a job file that embeds them; the address is the server's root."""
    rows = (json.dumps({"id": f"n{number}", "text": text}) for number, text in enumerate(TEXTS))
    (tmp_path / "notes.jsonl").write_text("".join(f"{row}\n" for row in rows))

    def write(*jobs: dict[str, Any], **embedder: Any) -> None:
        embedder = {"base_url": server.base_url.removesuffix("/v1"), **embedder}
        jobs = jobs or ({"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl"},)
        document = {"embedders": {"e": embedder}, "jobs": [{"embedder": "e", **job} for job in jobs]}
        (tmp_path / "jobs.yaml").write_text(json.dumps(document))

    return write


def rows_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("provider", ["cohere", "gemini", "tei", "huggingface", "ollama", "heroku", "azure"])
def test_a_job_runs_on_a_provider_and_a_second_run_sends_nothing(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, tmp_path: Path, provider: str
) -> None:
    write(provider=provider, model="m")
    assert asyncrun("run").code == 0
    rows = rows_of(tmp_path / "out.jsonl")
    assert [row["id"] for row in rows] == [f"n{number}" for number in range(40)]
    assert rows[7]["embedding"] == pytest.approx(vector_of(TEXTS[7]).tolist())
    sent = len(server.requests)
    assert asyncrun("run").code == 0
    assert len(server.requests) == sent


def test_documents_and_questions_are_embedded_as_such_and_meet_in_one_collection(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, tmp_path: Path
) -> None:
    store = {"type": "sqlite", "path": "index.db"}
    write(
        {"name": "fill", "kind": "ingest", "input": "notes.jsonl", "store": store, "collection": "c"},
        {
            "name": "ask",
            "kind": "query",
            "input": "notes.jsonl",
            "store": store,
            "collection": "c",
            "output": "hits.jsonl",
            "needs": ["fill"],
        },
        provider="cohere",
        model="m",
    )
    answer = asyncrun("run")
    assert answer.code == 0, answer.err
    assert {request.document["input_type"] for request in server.requests} == {"search_document", "search_query"}
    assert rows_of(tmp_path / "hits.jsonl")[3]["hits"][0]["doc_id"] == "n3"


def test_what_a_job_file_says_of_batches_leaves_the_providers_other_limits(
    asyncrun: Command, write: Callable[..., None], server: FakeServer
) -> None:
    write(provider="tei", batch={"max_tokens": 10_000})
    assert asyncrun("run").code == 0
    assert max(server.batch_sizes) == 32 - 2  # the canary goes before
    write(provider="tei", batch={"max_items": 7}, space="another")
    before = len(server.requests)
    assert asyncrun("run").code == 0
    assert max(server.batch_sizes[before:]) == 7


def test_azures_version_and_parameters_are_in_the_address(asyncrun: Command, write: Callable[..., None], server: FakeServer) -> None:
    write(provider="azure", model="mine", api_version="2024-10-21", params={"region": "x"}, api_key="k")
    assert asyncrun("run").code == 0
    assert server.requests[0].path == "/openai/deployments/mine/embeddings?api-version=2024-10-21&region=x"
    assert server.requests[0].headers["api-key"] == "k"


def test_a_tokenizer_beside_the_job_file_cuts_what_is_too_long(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, tmp_path: Path
) -> None:
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    write(provider="openai", model="m", base_url=server.base_url, tokenizer="tokenizer.json")
    assert asyncrun("run").code == 0
    write(provider="openai", model="m", base_url=server.base_url, tokenizer="another.json")
    answer = asyncrun("run")
    assert answer.code == 2
    assert "there is no tokenizer at" in answer.err


def test_what_is_odd_about_an_endpoint_is_said_once(asyncrun: Command, write: Callable[..., None], server: FakeServer) -> None:
    server.faults.append(Fault(change=lambda document: document | {"model": "another"}, times=None))
    write(provider="ollama", model="m", batch={"max_items": 5})
    answer = asyncrun("run")
    assert answer.code == 0
    assert answer.err.count("asked for the model m, it answers as another") == 1


def other_name(after: int) -> Fault:
    return Fault(change=lambda document: document | {"model": "m-2025-06"}, after=after, times=None)


def test_a_model_that_changes_its_name_ends_the_job_and_what_came_before_is_kept(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, tmp_path: Path
) -> None:
    server.faults.append(other_name(after=4))
    write(provider="ollama", model="m", batch={"max_items": 5})
    answer = asyncrun("run", "--workers", "1")
    assert answer.code == 1
    assert "answered as m before and answers as m-2025-06" in answer.err
    assert "another `space`" in answer.out
    assert not (tmp_path / "out.jsonl").exists()
    before = server.sent_texts
    assert len(server.requests) == 5
    server.faults.clear()
    assert asyncrun("run").code == 0
    # Those of the reply with the other name, and what was never sent.
    assert set(server.sent_texts[len(before) :]) == {*TEXTS} - {*before} | {*server.requests[4].texts}


def test_jobs_with_embedders_of_their_own_are_told_by_one_place_of_one_model(
    asyncrun: Command, write: Callable[..., None], server: FakeServer
) -> None:
    server.faults.append(other_name(after=9))
    first = {"provider": "ollama", "model": "m", "base_url": server.base_url.removesuffix("/v1"), "batch": {"max_items": 5}}
    second = {**first, "document_prefix": "note: ", "limits": {"concurrency": 1}}
    job = {"kind": "embed", "input": "notes.jsonl"}
    write(
        {**job, "name": "first", "output": "first.jsonl"},
        {**job, "name": "second", "output": "second.jsonl", "embedder": second, "needs": ["first"]},
        **first,
    )
    answer = asyncrun("run", "--workers", "1")
    assert answer.code == 1, answer.err
    assert len(server.requests) == 10
    assert "answers as m-2025-06" in answer.err


def test_a_key_in_the_query_string_is_a_mistake(asyncrun: Command, write: Callable[..., None], server: FakeServer) -> None:
    write(provider="gemini", model="m", params={"key": "sentinel-0123456789abcdef"})
    answer = asyncrun("run")
    assert (answer.code, server.requests) == (2, [])
    assert "would put a key into the address" in answer.err
    assert "sentinel" not in answer.err
