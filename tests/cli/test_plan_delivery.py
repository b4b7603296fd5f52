"""`asyncrun plan` of a job in batches: it sends nothing, needs no key, and shows both prices and times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asyncrun.testing.batch_servers import BatchServers
from asyncrun.testing.server import FakeServer

from .conftest import Command


def write(folder: Path, *, more: str = "", **embedder: object) -> None:
    (folder / "notes.jsonl").write_text("".join(json.dumps({"id": str(n), "text": f"text number {n}"}) + "\n" for n in range(1000)))
    model = {"provider": "openai", "model": "m", "price_per_million_tokens": 1000.0, "limits": {"tokens_per_minute": 1000}, **embedder}
    (folder / "jobs.yaml").write_text(
        f"embedders: {{x: {json.dumps(model)}}}\n"
        f"jobs: [{{name: notes, kind: embed, input: notes.jsonl, output: out.jsonl, embedder: x{more}}}]\n"
    )


def test_the_table_and_the_document_have_both_ways(asyncrun: Command, tmp_path: Path) -> None:
    write(tmp_path, delivery="batch", more=", stragglers: online")
    [plan] = asyncrun("plan", "--json").documents[0]["jobs"]
    assert plan["delivery"] == "batch"
    assert plan["cost"] == plan["batch"]["cost"] == plan["online"]["cost"] / 2
    assert plan["seconds"] == plan["batch"]["seconds"] == 86_400
    assert plan["online"]["seconds"] > 100
    shown = asyncrun("plan").out
    assert "by batches of openai: ~$" in shown and ", up to 24 h; online: ~$" in shown
    assert "what a batch leaves is sent online, at the full price" in shown


def test_an_online_job_of_such_a_provider_is_told_what_it_could_save(asyncrun: Command, tmp_path: Path) -> None:
    write(tmp_path)
    [plan] = asyncrun("plan", "--json").documents[0]["jobs"]
    assert plan["delivery"] == "online"
    assert plan["cost"] == plan["online"]["cost"] == 2 * plan["batch"]["cost"]
    assert "with `delivery: batch` it costs" in asyncrun("plan").out


def test_a_provider_without_a_batch_endpoint_has_one_way(asyncrun: Command, tmp_path: Path) -> None:
    write(tmp_path, provider="cohere")
    [plan] = asyncrun("plan", "--json").documents[0]["jobs"]
    assert (plan["online"], plan["batch"]) == (None, None)


ASK = """
llms: {{m: {{provider: openai, model: m, max_output_tokens: 500, price_per_million_tokens: {{input: 100, output: 1000}}, delivery: {llm}}}}}
embedders: {{e: {{provider: openai, model: m, price_per_million_tokens: 1000, delivery: {embedder}}}}}
jobs:
- {{name: fill, kind: ingest, input: {{items: [x]}}, embedder: e}}
- {{name: ask, kind: query, input: {{items: [who?, what?]}}, needs: [fill], output: o.jsonl, embedder: e, llm: m{keys}}}
"""


@pytest.mark.parametrize(
    ("llm", "embedder", "factor", "days"), [("online", "batch", 0.999, 1), ("batch", "online", 0.501, 1), ("batch", "batch", 0.5, 2)]
)
def test_a_query_job_adds_what_its_questions_and_its_answers_cost_and_take(
    asyncrun: Command, tmp_path: Path, llm: str, embedder: str, factor: float, days: int
) -> None:
    (tmp_path / "jobs.yaml").write_text(ASK.format(llm=llm, embedder=embedder, keys=""))
    plan = asyncrun("plan", "--json").documents[0]["jobs"][1]
    assert (plan["delivery"], plan["online"]["cost"]) == ("batch", pytest.approx(2 * plan["batch"]["cost"]))
    # All but a five-hundredth is for the answers.
    assert plan["cost"] / plan["online"]["cost"] == pytest.approx(factor, abs=0.001)
    assert plan["seconds"] // 86_400 == days
    assert "steps" not in plan
    shown = asyncrun("plan").out
    assert ("ask: answers: by batches of openai: ~$" in shown) == (llm == "batch")
    assert ("ask: questions: by batches of openai: ~$" in shown) == (embedder == "batch")


def test_a_deadline_of_answers_is_planned_with(asyncrun: Command, tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(ASK.format(llm="batch", embedder="online", keys=", deadline: 8h"))
    assert "ask: answers: batches are waited for until " in asyncrun("plan").out


def test_validate_tells_all_that_is_wrong_at_once(asyncrun: Command, tmp_path: Path) -> None:
    write(tmp_path, provider="jina", delivery="batch", more=", deadline: noon")
    answer = asyncrun("validate")
    assert answer.code == 2
    assert "the provider jina has no batch endpoint" in answer.err
    assert "jobs[0].deadline: " in answer.err


def test_a_batch_of_which_nothing_is_asked_any_more_is_not_promised(asyncrun: Command, tmp_path: Path) -> None:
    with FakeServer(batches=BatchServers(seconds=3600.0)).in_thread() as server:

        def write_job(prompt: str, **more: object) -> None:
            llm = {"provider": "openai", "model": "m", "base_url": server.vendor_url("openai"), "api_key": "k", "delivery": "batch"}
            job = {"name": "sum", "kind": "generate", "input": {"items": ["rain"]}, "llm": llm, "prompt": prompt, "output": "o.jsonl"}
            (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [{**job, **more}]}))

        assert server.batches is not None
        write_job("Sum up: {text}", max_runtime="1s")
        while not server.batches.books.created:  # On a busy machine the first run may not come so far.
            assert asyncrun("run").code == 75
        assert "collected, and not sent again" in asyncrun("plan").out
        write_job("Sum up in a word: {text}")
        told = asyncrun("plan").out
    assert "collected, and not sent again" not in told
    assert "1 batch of 1 request at openai since " in told and "nothing in it is asked any more" in told
