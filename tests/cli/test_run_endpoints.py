"""Jobs whose model is served by several places: the file lists them, and a run goes on as long as one is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.embedders.same_model import KNOWN_TEXT
from asyncrun.testing.faults import Fault
from asyncrun.testing.named import fault
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of
from tests.depth import first

Command = Callable[..., Any]
TEXTS = [f"note {number}" for number in range(60)]
PROVIDERS = ("openai", "azure", "cohere", "voyage", "jina", "mistral", "gemini", "isaacus", "heroku", "ollama", "tei", "huggingface")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    rows = (json.dumps({"id": f"n{number}", "text": text}) for number, text in enumerate(TEXTS))
    (tmp_path / "notes.jsonl").write_text("".join(f"{row}\n" for row in rows))

    def write(*endpoints: dict[str, Any], **embedder: Any) -> None:
        embedder = {"provider": "openai", "model": "m", "batch": {"max_items": 5}, **embedder, "endpoints": endpoints}
        job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))

    return write


def at(server: FakeServer, *, root: bool = False, **more: Any) -> dict[str, Any]:
    return {"base_url": server.base_url.removesuffix("/v1") if root else server.base_url, **more}


def vectors(folder: Path) -> list[Any]:
    return [json.loads(line)["embedding"] for line in (folder / "out.jsonl").read_text().splitlines()]


def summary(answer: Any) -> Any:
    return answer.documents[-1]


@pytest.mark.parametrize("provider", first([*PROVIDERS, "vllm", "llamacpp", "infinity", "lmstudio", "litellm"], quick=6))
def test_every_provider_can_be_served_by_several_places(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, other: FakeServer, tmp_path: Path, provider: str
) -> None:
    server.latency = other.latency = 0.03
    # While the first is at work, a batch goes to the second.
    write(at(server, root=True, limits={"concurrency": 1}), at(other, root=True), provider=provider)
    answer = asyncrun("run")
    assert answer.code == 0, answer.err
    assert vectors(tmp_path) == [pytest.approx(vector_of(text).tolist(), abs=1e-6) for text in TEXTS]
    assert len(server.requests) > 1
    assert len(other.requests) > 1
    before = len(server.requests) + len(other.requests)
    assert asyncrun("run").code == 0
    assert len(server.requests) + len(other.requests) == before


def test_a_place_that_is_down_is_left_out_with_a_warning(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, unused_url: str, tmp_path: Path
) -> None:
    write({"base_url": unused_url}, at(server))
    answer = asyncrun("run")
    assert answer.code == 0
    assert "is left out: cannot reach" in answer.err
    assert len(vectors(tmp_path)) == 60


def test_when_no_place_is_left_it_is_the_key_or_later(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, other: FakeServer, unused_url: str
) -> None:
    server.key = "right"
    write(at(server, api_key="wrong"), {"base_url": unused_url}, retry={"attempts": 1})
    assert asyncrun("run").code == 77
    other.faults.append(fault("quota", times=None))
    write(at(other), {"base_url": unused_url}, retry={"attempts": 1})
    answer = asyncrun("run")
    assert answer.code == 75
    assert "no endpoint is left" in answer.err


def test_each_place_gets_its_own_key_and_limits_and_what_is_not_stated_is_the_embedders(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, other: FakeServer
) -> None:
    server.latency = other.latency = 0.3
    server.key, other.key = "first-key", "second-key"
    own = {"concurrency": 1}
    write(at(server, api_key="first-key", limits=own), at(other, api_key="second-key"), limits={"concurrency": 3})
    assert asyncrun("run").code == 0
    assert server.most_in_flight == 1
    assert 1 < other.most_in_flight <= 3


def test_a_key_may_stand_in_a_file(asyncrun: Command, write: Callable[..., None], server: FakeServer, tmp_path: Path) -> None:
    server.key = "a-long-key-of-a-server"
    (tmp_path / "key.txt").write_text(server.key)
    (tmp_path / "key.txt").chmod(0o600)
    write(at(server, api_key={"file": "key.txt"}))
    assert asyncrun("run").code == 0


def test_a_place_with_other_vectors_adds_none_not_even_in_a_later_run_that_it_is_alone_in(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, other: FakeServer, tmp_path: Path
) -> None:
    def wrong(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "data": [{**row, "embedding": vector_of("another model").tolist()} for row in document["data"]]}

    other.faults.append(Fault(change=wrong, times=None))
    write(at(server), at(other), extra_body={"encoding_format": "float"}, retry={"attempts": 1})
    answer = asyncrun("run")
    assert answer.code == 0
    assert "another vector of a known text" in answer.err
    assert vectors(tmp_path) == [pytest.approx(vector_of(text).tolist(), abs=1e-6) for text in TEXTS]
    with (tmp_path / "notes.jsonl").open("a") as notes:
        notes.write('{"id": "new", "text": "a new one"}\n')
    server.faults.append(fault("unavailable", times=None))
    assert asyncrun("run").code in (1, 75)
    assert len(vectors(tmp_path)) == 60
    assert set(other.sent_texts) == {KNOWN_TEXT}


def test_the_places_of_a_named_space_are_compared_by_one_vector_whether_there_are_several_or_one(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, other: FakeServer, tmp_path: Path
) -> None:
    write(at(server), at(other), space="mine")
    [planned] = asyncrun("plan", "--json").documents[0]["jobs"]
    assert asyncrun("run").code == 0
    assert [each.sent_texts.count(KNOWN_TEXT) for each in (server, other)] == [1, 1]
    assert planned["requests"] == len(server.requests) + len(other.requests)
    with (tmp_path / "notes.jsonl").open("a") as notes:
        notes.write('{"id": "new", "text": "a new one"}\n')

    def wrong(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "data": [{**row, "embedding": vector_of("another model").tolist()} for row in document["data"]]}

    with FakeServer(faults=[Fault(change=wrong, times=None)]).in_thread() as third:
        job = json.loads((tmp_path / "jobs.yaml").read_text())
        del job["jobs"][0]["embedder"]["endpoints"]
        job["jobs"][0]["embedder"] |= {"base_url": third.base_url, "extra_body": {}}
        (tmp_path / "jobs.yaml").write_text(json.dumps(job))
        answer = asyncrun("run")
        assert answer.code == 1
        assert "another vector of a known text" in answer.out
        assert third.sent_texts == [KNOWN_TEXT]


def test_a_place_that_joins_or_leaves_behind_the_first_makes_nothing_new(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, other: FakeServer
) -> None:
    write(at(server))
    assert asyncrun("run").code == 0
    before = len(server.requests)
    write(at(server), at(other))
    answer = asyncrun("run", "--json")
    assert summary(answer)["cached"] == 60
    assert (len(server.requests), other.requests) == (before, [])


def test_the_plan_counts_the_requests_of_a_run(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, other: FakeServer
) -> None:
    write(at(server), at(other))
    [planned] = asyncrun("plan", "--json").documents[0]["jobs"]
    done = summary(asyncrun("run", "--json"))
    assert planned["requests"] == done["requests"] == len(server.requests) + len(other.requests)
    assert planned["tokens"] == done["tokens"]


@pytest.mark.parametrize(
    ("endpoints", "more", "said"),
    [
        ([{"base_url": "http://a"}, {"base_url": "http://a"}], {}, "two of the endpoints are the same"),
        ([{"base_url": "http://a"}], {"base_url": "http://b"}, "endpoints stand instead of base_url and api_key"),
        ([{"api_key": "x"}], {}, "base_url"),
        ([{"base_url": "http://a"}], {"provider": "local", "model": "all-MiniLM-L6-v2"}, "the provider local does not use it"),
    ],
)
def test_what_cannot_be_is_a_mistake_of_the_file(
    asyncrun: Command, write: Callable[..., None], endpoints: list[dict[str, Any]], more: dict[str, Any], said: str
) -> None:
    write(*endpoints, **more)
    answer = asyncrun("validate")
    assert answer.code == 2
    assert said in answer.err


def test_an_answer_comes_from_any_place_of_its_model(
    asyncrun: Command, server: FakeServer, other: FakeServer, unused_url: str, tmp_path: Path
) -> None:
    # A place has one question at a time; the first is slow with it until the last has had some, and then the other way round.
    one = {"concurrency": 1}
    server.latency = lambda _: 0.2 if len(other.prompts) <= 10 else 0.01
    other.latency = lambda _: 0.2 if len(other.prompts) > 10 >= len(server.prompts) else 0.01
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps({"id": f"n{n}", "text": text}) + "\n" for n, text in enumerate(TEXTS)))
    store = {"type": "sqlite", "path": "index.db"}
    llm = {"provider": "openai", "model": "m", "endpoints": [at(server, limits=one), {"base_url": unused_url}, at(other, limits=one)]}
    common = {"input": "notes.jsonl", "store": store, "collection": "c", "embedder": "local"}
    ask = {"name": "ask", "kind": "query", "needs": ["fill"], "llm": llm, "output": "answers.jsonl", **common}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [{"name": "fill", "kind": "ingest", **common}, ask]}))
    answer = asyncrun("run")
    assert answer.code == 0, answer.err
    assert answer.err.count("is left out") == 1
    assert len(server.prompts) + len(other.prompts) == 60
    assert min(len(server.prompts), len(other.prompts)) > 10
    server.faults.append(fault("bad_key", times=None))
    other.faults.append(fault("bad_key", times=None))
    (tmp_path / "notes.jsonl").write_text('{"id": "x", "text": "a new question"}\n')
    assert asyncrun("run").code == 77


def test_a_place_that_breaks_down_on_the_way_is_soon_given_up_for_the_others(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, other: FakeServer, tmp_path: Path
) -> None:
    server.latency = other.latency = 0.01
    server.faults.append(fault("crash", times=None, after=2))
    write(at(server), at(other), retry={"attempts": 1}, batch={"max_items": 2})
    answer = asyncrun("run")
    assert answer.code == 0, answer.err
    assert "is left out: " in answer.err
    assert len(vectors(tmp_path)) == 60
    assert len(server.requests) < 12
