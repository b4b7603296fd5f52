"""`asyncrun doctor`: what a job file runs with and whether its models answer, before a run has to find out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import Fault
from asyncrun.testing.named import fault
from asyncrun.testing.quota import Quota
from asyncrun.testing.server import FakeServer
from asyncrun.testing.vectors import vector_of

Command = Callable[..., Any]
KEY = "sentinel-key-of-the-doctor-0123456789"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    (tmp_path / "notes.jsonl").write_text('{"id": "a", "text": "hello"}\n')

    def write(embedder: Any, **more: Any) -> None:
        job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job], **more}))

    return write


def found(answer: Any) -> Any:
    [document] = answer.documents
    return document


def settings(checkup: Any) -> dict[str, tuple[str, str]]:
    return {setting["name"]: (setting["value"], setting["source"]) for setting in checkup["settings"]}


def test_a_healthy_job_file_is_told_as_such(asyncrun: Command, write: Callable[..., None], server: FakeServer, tmp_path: Path) -> None:
    write({"provider": "openai", "model": "fake-embedding", "base_url": server.base_url})
    answer = asyncrun("doctor")
    assert answer.code == 0, answer.out
    assert f"ok    embedder openai/fake-embedding at 127.0.0.1:{server.base_url.split(':')[2][:-3]}: 8 dimensions" in answer.out
    assert "it lists the model" in answer.out
    assert not (tmp_path / ".asyncrun").exists()
    assert asyncrun("doctor", "--quiet").out == ""


def test_the_default_embedder_needs_nothing(asyncrun: Command, write: Callable[..., None]) -> None:
    write("local")
    [local] = found(asyncrun("doctor", "--json"))["models"]
    assert (local["ok"], local["dimensions"], local["where"]) == (True, 384, None)


def test_each_setting_has_its_source(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.key = KEY
    monkeypatch.setenv("EMBEDDING_KEY", KEY)
    monkeypatch.setenv("EMBEDDING_URL", server.base_url.removesuffix("/v1"))
    monkeypatch.setenv("ASYNCRUN_COLOR", "never")
    write({"provider": "heroku", "model": "m", "limits": {"requests_per_minute": 300}, "headers": {"x-team": "blue-team"}})
    document = found(asyncrun("--json", "doctor", "--progress", "never"))
    whole = {setting["name"]: setting["source"] for setting in document["settings"]}
    assert (whole["color"], whole["progress"], whole["json"], whole["job file"]) == ("environment", "flag", "flag", "default")
    [model] = document["models"]
    known = settings(model)
    assert known["address"][1] == "environment, EMBEDDING_URL"
    assert known["key"] == ("present", "environment, EMBEDDING_KEY")
    assert known["model"] == ("m", "job file")
    assert known["requests per minute"] == ("300", "job file")
    assert known["headers"] == ("x-team", "job file")


def test_a_setting_that_the_job_file_does_not_state_is_not_said_to_be_there(
    asyncrun: Command, write: Callable[..., None], server: FakeServer
) -> None:
    write({"provider": "openai", "model": "m", "base_url": server.base_url, "timeout": "33s"})
    [model] = found(asyncrun("doctor", "--json"))["models"]
    assert settings(model)["timeout"] == ("33.0", "job file")
    assert "retry" not in settings(model)


def test_no_key_is_ever_shown(asyncrun: Command, write: Callable[..., None], server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    monkeypatch.setenv("HTTPS_PROXY", "http://me:password-of-proxy@proxy:3128")
    server.key = "another"
    write({"provider": "openai", "model": "m", "base_url": server.base_url, "api_key": "${MY_KEY}", "headers": {"x": "${MY_KEY}"}})
    for flags in ((), ("--json",)):
        answer = asyncrun("doctor", *flags)
        assert answer.code == 1
        assert KEY not in answer.out + answer.err
        assert "password-of-proxy" not in answer.out + answer.err
        assert "proxy:3128" in answer.out


@pytest.mark.parametrize(
    ("trouble", "said"),
    [("bad_key", "401"), ("quota", "billing"), ("unknown_model", "does not exist"), ("html", "not JSON"), ("redirect", "redirects")],
)
def test_what_is_wrong_with_an_endpoint_is_said_in_its_words(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, trouble: str, said: str
) -> None:
    server.faults.append(fault(trouble, times=None))
    write({"provider": "openai", "model": "m", "base_url": server.base_url})
    answer = asyncrun("doctor")
    assert answer.code == 1
    assert said in next(line for line in answer.out.splitlines() if line.startswith("FAIL"))


def test_an_address_where_nobody_listens_and_a_missing_key_with_what_to_do(
    asyncrun: Command, write: Callable[..., None], unused_url: str
) -> None:
    write({"provider": "openai", "model": "m", "base_url": unused_url})
    answer = asyncrun("doctor")
    assert "cannot reach" in answer.out
    assert "      Check the address and the network" in answer.out
    write({"provider": "openai", "model": "m"})
    answer = asyncrun("doctor")
    assert answer.code == 1
    assert "no key for api.openai.com" in answer.out
    assert "      Set the variable OPENAI_API_KEY" in answer.out
    [model] = asyncrun("doctor", "--json").documents[0]["models"]
    assert model["hint"].startswith("Set the variable OPENAI_API_KEY")


def test_every_place_of_a_model_is_looked_at_and_they_are_compared(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, other: FakeServer, unused_url: str
) -> None:
    def wrong(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "data": [{**row, "embedding": vector_of("another").tolist()} for row in document["data"]]}

    other.faults.append(Fault(change=wrong, times=None, when=lambda request: request.method == "POST"))
    places = [{"base_url": url} for url in (server.base_url, other.base_url, unused_url)]
    write({"provider": "openai", "model": "m", "endpoints": places, "extra_body": {"encoding_format": "float"}})
    document = found(asyncrun("doctor", "--json"))
    assert [model["ok"] for model in document["models"]] == [True, False, False]
    assert "another vector" in document["models"][1]["error"]


def test_limits_that_the_server_tells_are_shown(asyncrun: Command, write: Callable[..., None]) -> None:
    with FakeServer(quota=Quota(requests=600, tokens=90_000)).in_thread() as server:
        write({"provider": "openai", "model": "m", "base_url": server.base_url})
        [model] = found(asyncrun("doctor", "--json"))["models"]
    assert settings(model)["requests per minute"] == ("600", "server")
    assert settings(model)["tokens per minute"] == ("90,000", "server")


@pytest.mark.parametrize(
    ("provider", "path", "reply", "said"),
    [
        (
            "tei",
            "/info",
            {"model_id": "m", "max_client_batch_size": 32, "max_input_length": 512, "auto_truncate": True},
            {"one request": "32 texts", "one text": "512 tokens, a longer one is cut", "known": "it lists the model"},
        ),
        ("ollama", "/api/show", {"model_info": {"bert.context_length": 2048}}, {"one text": "2,048 tokens"}),
        ("vllm", "/models", {"data": [{"id": "another"}]}, {"known": "it does not list the model"}),
    ],
)
def test_a_server_is_asked_what_it_says_of_itself(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, provider: str, path: str, reply: Any, said: dict[str, str]
) -> None:
    body = json.dumps(reply).encode()
    server.faults.append(Fault(body=body, times=None, when=lambda request: request.path.endswith(path)))
    write({"provider": provider, "model": "m", "base_url": server.base_url.removesuffix("/v1")})
    document = found(asyncrun("doctor", "--json"))
    assert document["ok"]
    known = settings(document["models"][0])
    assert {name: known[name][0] for name in said} == said


def test_a_server_that_says_nothing_of_itself_is_as_healthy(asyncrun: Command, write: Callable[..., None], server: FakeServer) -> None:
    server.faults.append(Fault(status=404, body=b"no", times=None, when=lambda request: request.method == "GET"))
    write({"provider": "openai", "model": "m", "base_url": server.base_url})
    assert asyncrun("doctor").code == 0


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_chat_model_is_asked_for_its_list_alone(
    asyncrun: Command, server: FakeServer, tmp_path: Path, unused_url: str, provider: str
) -> None:
    (tmp_path / "q.jsonl").write_text('{"id": "a", "text": "hello"}\n')
    for url, code in ((server.base_url, 0), (unused_url, 1)):
        llm = {"provider": provider, "model": "fake-embedding", "base_url": url}
        job = {
            "name": "q",
            "kind": "query",
            "input": "q.jsonl",
            "collection": "c",
            "store": {"type": "sqlite"},
            "output": "o.jsonl",
            "llm": llm,
        }
        fill = {"name": "f", "kind": "ingest", "input": "q.jsonl", "collection": "c", "store": {"type": "sqlite"}}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job, fill]}))
        answer = asyncrun("doctor")
        assert answer.code == code, answer.out
        assert f"llm {provider}/fake-embedding" in answer.out
        assert ("it lists the model" in answer.out) == (code == 0)
    assert server.prompts == []


def test_mistakes_of_the_job_file_are_named_with_their_place(asyncrun: Command, write: Callable[..., None]) -> None:
    write({"provider": "openai", "model": "m", "api_key": "${NOT_SET_ANYWHERE}"})
    answer = asyncrun("doctor")
    assert answer.code == 1
    assert "jobs.yaml:1:" in answer.out
    assert "NOT_SET_ANYWHERE" in answer.out


def test_without_a_job_file_there_is_the_environment(asyncrun: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    answer = asyncrun("doctor")
    assert answer.code == 0
    assert "NO_PROXY" in answer.out
    assert "gone.pem is not there" in answer.out
    assert asyncrun("doctor", "gone.yaml").code != 0


def test_under_cron_the_shells_variables_are_missed(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    server.key = KEY
    write({"provider": "openai", "model": "m", "base_url": server.base_url, "api_key": "${MY_KEY}"})
    assert asyncrun("doctor").code == 0
    answer = asyncrun("doctor", "--cron")
    assert answer.code == 1
    assert "the variable MY_KEY is not set" in answer.out
    env_file = tmp_path / "keys.env"
    env_file.write_text(f"MY_KEY={KEY}\n")
    env_file.chmod(0o600)
    answer = asyncrun("doctor", "--cron", "--json", "--env-file", "keys.env")
    assert answer.code == 0, answer.out + answer.err
    assert found(answer)["ok"]
    assert KEY not in answer.out


def test_a_model_is_looked_at_once_and_says_which_jobs_use_it(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "timeout": "33s"}
    store = {"store": {"path": "index.db"}, "collection": "c", "embedder": "one"}
    jobs = [
        {"name": "embed-it", "kind": "embed", "input": {"items": ["x"]}, "output": "out.jsonl", "embedder": "one"},
        {"name": "ingest-it", "kind": "ingest", "input": {"items": ["x"]}, **store},
        {"name": "ask", "kind": "query", "needs": ["ingest-it"], "input": {"items": ["x"]}, "output": "hits.jsonl", **store},
        {"name": "other", "kind": "embed", "input": {"items": ["x"]}, "output": "o.jsonl", "embedder": {**embedder, "on_empty": "skip"}},
    ]
    (tmp_path / "jobs.yaml").write_text(json.dumps({"embedders": {"one": embedder}, "jobs": jobs}))
    one, other = found(asyncrun("doctor", "--json"))["models"]
    assert (one["jobs"], other["jobs"]) == (["embed-it", "ingest-it", "ask"], ["other"])
    assert "on empty" not in settings(one)
    assert settings(other)["on empty"] == ("skip", "job file")
    assert re.search(r"^ +jobs +embed-it, ingest-it, ask$", asyncrun("doctor").out, re.MULTILINE)


def test_a_key_in_a_header_of_the_job_file_is_not_said_to_be_the_environments(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "another-key-of-the-environment")
    write({"provider": "openai", "model": "m", "base_url": server.base_url, "headers": {"Authorization": "Bearer ${OPENAI_API_KEY}"}})
    [model] = found(asyncrun("doctor", "--json"))["models"]
    assert settings(model)["key"] == ("present", "job file")


def stores(folder: Path, server: FakeServer, **named: Any) -> None:
    """Write a job file that fills the store `docs`, and has others that no job uses."""
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    fill = {"name": "fill", "kind": "ingest", "input": "notes.jsonl", "store": "docs", "collection": "notes", "embedder": embedder}
    (folder / "notes.jsonl").write_text('{"id": "a", "text": "hello"}\n')
    (folder / "jobs.yaml").write_text(json.dumps({"stores": {"docs": {"path": "index.db"}, **named}, "jobs": [fill]}))


def test_every_store_of_the_file_is_looked_at(asyncrun: Command, tmp_path: Path, server: FakeServer) -> None:
    stores(tmp_path, server, spare={"path": "spare/other.db"})
    answer = asyncrun("doctor")
    assert answer.code == 0, answer.out
    assert re.search(r"ok    store docs \(sqlite\) at index.db: SQLite 3[.0-9]+, no file yet\n      jobs  fill\n", answer.out)
    assert not list(tmp_path.rglob("*.db"))
    assert asyncrun("run").code == 0
    docs, spare = found(asyncrun("doctor", "--json"))["stores"]
    assert (docs["ok"], docs["jobs"], spare["ok"], spare["jobs"]) == (True, ["fill"], True, [])
    assert settings(docs)["notes"][0].startswith("openai/m at 127.0.0.1:")
    assert "no file yet" not in docs["found"]


def test_a_store_that_stands_in_a_job_is_looked_at_once(asyncrun: Command, tmp_path: Path, server: FakeServer) -> None:
    stores(tmp_path, server)
    document = json.loads((tmp_path / "jobs.yaml").read_text())
    [fill] = document["jobs"]
    document["jobs"] = [{**fill, "store": {"path": "own.db"}}, {**fill, "name": "more", "store": {"path": "./own.db"}, "collection": "b"}]
    (tmp_path / "jobs.yaml").write_text(json.dumps(document))
    docs, own = found(asyncrun("doctor", "--json"))["stores"]
    assert (docs["what"], docs["jobs"]) == ("store docs (sqlite)", [])
    assert (own["what"], own["where"], own["jobs"]) == ("store sqlite", "own.db", ["fill", "more"])


def test_a_store_that_cannot_be_used_is_a_finding_and_the_rest_is_told(asyncrun: Command, tmp_path: Path, server: FakeServer) -> None:
    stores(tmp_path, server, spare={"path": "${NOT_SET_ANYWHERE}"})
    (tmp_path / "index.db").write_bytes(b"no database" * 100)
    answer = asyncrun("doctor", "--json")
    assert answer.code == 1
    docs, spare = found(answer)["stores"]
    assert not docs["ok"]
    assert "not a SQLite database" in docs["error"]
    assert not spare["ok"]
    assert "NOT_SET_ANYWHERE is not set" in spare["error"]
    assert found(answer)["models"][0]["ok"]
    assert found(answer)["mistakes"] == []
    shown = asyncrun("doctor").out
    assert "FAIL  store docs (sqlite) at index.db: " in shown
    assert shown.count("not a SQLite database") == 1


def test_a_server_is_not_said_to_be_at_the_path_of_a_file(asyncrun: Command, tmp_path: Path, server: FakeServer) -> None:
    stores(tmp_path, server, there={"type": "pgvector", "url": "${NOT_SET_ANYWHERE}"})
    docs, there = found(asyncrun("doctor", "--json"))["stores"]
    assert (docs["where"], there["where"]) == ("index.db", None)


@pytest.mark.needs("postgresql")
def test_a_database_says_who_answers_and_one_that_is_away_is_a_finding(
    asyncrun: Command, tmp_path: Path, server: FakeServer, postgres: Any, unused_port: int
) -> None:
    from tests.postgres import PASSWORD

    there = {"type": "pgvector", "url": postgres.url_with(), "schema": "doctor"}
    away = {"type": "pgvector", "url": f"postgresql://me:{KEY}@127.0.0.1:{unused_port}/db"}
    wrong = {"type": "pgvector", "url": postgres.url_with(KEY)}
    stores(tmp_path, server, there=there, away=away, wrong=wrong)
    answer = asyncrun("doctor", "--json")
    assert answer.code == 1
    by_name = {checkup["what"].split()[1]: checkup for checkup in found(answer)["stores"]}
    assert re.match(r"PostgreSQL [0-9.]+, .*pgvector.*; the schema 'doctor' is not there$", by_name["there"]["found"])
    assert (by_name["docs"]["ok"], by_name["there"]["ok"]) == (True, True)
    assert not by_name["away"]["ok"]
    assert by_name["away"]["where"] == f"127.0.0.1:{unused_port}"
    assert not by_name["wrong"]["ok"]
    stores(tmp_path, server, there=there, wrong=wrong)
    postgres.run("CREATE SCHEMA doctor")
    shown = asyncrun("doctor").out
    assert re.search(r"ok    store there \(pgvector\) at 127.0.0.1:[0-9]+: PostgreSQL [0-9.]+, [^;]*pgvector[^;]*$", shown, re.M)
    for text in (shown, answer.out):
        assert KEY not in text
        assert PASSWORD not in text
