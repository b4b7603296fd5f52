"""Budgets: reserved before a call, counted since the job last finished, kept over restarts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import Fault
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]

ITEMS, TOKENS_EACH = 10, 5


@pytest.fixture
def write(tmp_path: Path, server: FakeServer) -> Callable[..., None]:
    """Ten texts of 20 bytes, which are five tokens each for the server, two a request."""
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps({"id": str(n), "text": f"text number {n:08}"}) + "\n" for n in range(ITEMS)))

    def write(budget: dict[str, Any] | None = None, price: float | None = 1000.0, **job: Any) -> None:
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": 2}}
        embedder |= {} if price is None else {"price_per_million_tokens": price}
        described = {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder, "workers": 1}
        described |= {} if budget is None else {"budget": budget}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [described | job]}))

    return write


def tokens_sent(server: FakeServer) -> int:
    return len(server.sent_texts) * TOKENS_EACH


@pytest.mark.parametrize("budget", [{"tokens": 30}, {"cost": 0.03}])
def test_the_call_that_would_pass_the_budget_is_not_made(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, tmp_path: Path, budget: dict[str, float]
) -> None:
    write(budget)
    answer = asyncrun("run", "--json")
    assert answer.code == 4
    [job] = answer.documents[-1]["jobs"]
    assert (job["status"], job["ok"]) == ("stopped", 6)
    assert "budget" in job["reason"]
    assert tokens_sent(server) == 30
    assert not (tmp_path / "out.jsonl").exists()


def test_small_money_is_said_in_digits_that_mean_something(asyncrun: Command, write: Callable[..., None]) -> None:
    write({"cost": 0.0003}, price=10.0)
    assert "the budget of $0.0003 is reached: $0.00025 used, the next call needs about $0.00005" in asyncrun("run").out


def test_running_again_spends_nothing_until_it_is_raised(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, tmp_path: Path
) -> None:
    write({"tokens": 33})
    assert asyncrun("run", "--quiet").code == 4
    assert asyncrun("run", "--quiet").code == 4
    write({"tokens": 33}, workers=4)
    assert asyncrun("run", "--quiet").code == 4
    assert tokens_sent(server) == 30
    write({"tokens": 50})
    assert asyncrun("run", "--quiet").code == 0
    assert tokens_sent(server) == 50
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == ITEMS


def test_it_counts_anew_once_the_job_has_finished(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, tmp_path: Path
) -> None:
    write({"tokens": 50})
    assert asyncrun("run", "--quiet").code == 0
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps({"id": str(n), "text": f"other text {n:09}"}) + "\n" for n in range(ITEMS)))
    assert asyncrun("run", "--quiet").code == 0
    assert tokens_sent(server) == 100


def test_many_calls_in_flight_keep_to_it(asyncrun: Command, write: Callable[..., None], server: FakeServer) -> None:
    server.latency = 0.05
    write({"tokens": 30}, workers=8)
    assert asyncrun("run", "--quiet").code == 4
    assert tokens_sent(server) == 30


def test_a_server_that_counts_more_than_expected_passes_it_by_what_was_in_flight_at_most(
    asyncrun: Command, write: Callable[..., None], server: FakeServer
) -> None:
    def dearer(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "usage": {"prompt_tokens": 3 * document["usage"]["prompt_tokens"]}}

    server.faults.append(Fault(change=dearer, times=None))
    server.latency = 0.02
    write({"tokens": 90}, workers=2)
    for _ in range(2):
        assert asyncrun("run", "--quiet").code == 4
        assert 60 <= 3 * tokens_sent(server) <= 90 + 2 * 2 * 3 * TOKENS_EACH


def test_a_refused_key_costs_nothing(asyncrun: Command, write: Callable[..., None], server: FakeServer) -> None:
    write({"tokens": 50})
    server.key = "another"
    assert asyncrun("run", "--quiet").code == 77
    server.key = None
    assert asyncrun("run", "--quiet").code == 0


def test_a_limit_of_money_for_one_run(asyncrun: Command, write: Callable[..., None], server: FakeServer) -> None:
    write()
    answer = asyncrun("run", "--max-cost", "0.03", "--json")
    assert answer.code == 4
    assert tokens_sent(server) == 30
    assert asyncrun("run", "--max-cost", "0.02", "--quiet").code == 0
    assert tokens_sent(server) == 50


def test_money_needs_a_price(asyncrun: Command, write: Callable[..., None], server: FakeServer) -> None:
    write({"cost": 1.0}, price=None)
    answer = asyncrun("run")
    assert answer.code == 2
    assert "jobs.yaml:1:" in answer.err
    assert "jobs[0].budget.cost" in answer.err
    write(price=None)
    assert asyncrun("run", "--max-cost", "1").code == 2
    assert server.requests == []


def test_what_is_left_pays_for_a_part_of_a_batch(asyncrun: Command, write: Callable[..., None], server: FakeServer, tmp_path: Path) -> None:
    write({"tokens": 23})
    job_file = json.loads((tmp_path / "jobs.yaml").read_text())
    job_file["jobs"][0]["embedder"]["batch"] = {"max_items": 8}
    (tmp_path / "jobs.yaml").write_text(json.dumps(job_file))
    answer = asyncrun("run", "--json")
    assert (answer.code, answer.documents[-1]["ok"], tokens_sent(server)) == (4, 4, 20)
    assert asyncrun("run", "--quiet").code == 4
    assert tokens_sent(server) == 20
