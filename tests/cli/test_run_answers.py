"""`asyncrun run` with a query job that answers from its hits: rows with sources, and no question is paid for twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from asyncrun.testing.chat import answer_of
from asyncrun.testing.faults import Fault, error
from asyncrun.testing.named import fault
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]

QUESTIONS = [{"id": f"q{number}", "text": f"How do I resume {number} times after a crash?", "lang": "en"} for number in range(6)]
PROMPT = "{context}\n\n{question} ({metadata.lang})"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/resume.md").write_text("Run the same command again after a crash.\n")
    (tmp_path / "docs/limits.md").write_text("Requests and tokens per minute are kept.\n")
    return tmp_path


def write_jobs(folder: Path, server: FakeServer, *, llm: dict[str, Any] | None = None, **query: Any) -> None:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "space": "same"}
    small = {
        "provider": "openai",
        "model": "gpt",
        "base_url": server.base_url,
        "temperature": 0,
        "limits": {"concurrency": 2},
        **(llm or {}),
    }
    shared = {"store": {"path": "index.db"}, "collection": "docs", "embedder": embedder}
    jobs = [
        {"name": "fill", "kind": "ingest", "input": {"path": "docs/*"}, **shared},
        {
            "name": "ask",
            "kind": "query",
            "needs": ["fill"],
            "input": {"items": QUESTIONS, "metadata": ["lang"]},
            "llm": "small",
            "prompt": PROMPT,
            "output": "answers.jsonl",
            "search": "keyword",
            **shared,
            **query,
        },
    ]
    (folder / "jobs.yaml").write_text(json.dumps({"llms": {"small": small}, "jobs": jobs}))


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "answers.jsonl").read_text().splitlines()]


def summary(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.documents[-1]["jobs"][-1]
    return found


@pytest.mark.parametrize("search", ["keyword", "vector", "hybrid"])
def test_every_question_gets_an_answer_with_its_sources_and_a_second_run_sends_nothing(
    asyncrun: Command, server: FakeServer, folder: Path, search: str
) -> None:
    write_jobs(folder, server, search=search, llm={"price_per_million_tokens": {"input": 1, "output": 2}, "system": "Be brief."})
    first = asyncrun("run", "--json")
    assert first.code == 0, first.err
    written = rows(folder)
    assert [row["id"] for row in written] == [question["id"] for question in QUESTIONS]
    assert list(written[0]) == ["id", "query", "hits", "answer", "citations", "finish_reason", "usage"]
    for row, question in zip(written, QUESTIONS, strict=True):
        context = "\n\n".join(f"[{number}] {hit['text']}" for number, hit in enumerate(row["hits"], 1))
        prompt = f"{context}\n\n{question['text']} (en)"
        assert prompt in server.prompts
        assert row["answer"] == answer_of(["Be brief.", prompt])
        assert row["citations"] == [row["hits"][0]["id"]]
        assert row["finish_reason"] == "stop"
        assert row["usage"]["total_tokens"] == row["usage"]["prompt_tokens"] + row["usage"]["completion_tokens"] > 0
    told = summary(first)
    spent = [row["usage"] for row in written]
    assert (told["ok"], told["cached"]) == (6, 0)
    assert told["cost"] == pytest.approx(sum(usage["prompt_tokens"] + 2 * usage["completion_tokens"] for usage in spent) / 1e6)
    before, sent = (folder / "answers.jsonl").stat(), len(server.requests)
    again = asyncrun("run", "--json")
    assert (again.code, len(server.requests)) == (0, sent)
    assert (summary(again)["ok"], summary(again)["cached"], summary(again)["requests"]) == (6, 6, 0)
    assert (folder / "answers.jsonl").stat() == before


def test_a_lost_output_is_written_again_without_a_request(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write_jobs(folder, server)
    asyncrun("run")
    before, sent = (folder / "answers.jsonl").read_bytes(), len(server.requests)
    (folder / "answers.jsonl").unlink()
    assert asyncrun("run").code == 0
    assert ((folder / "answers.jsonl").read_bytes(), len(server.requests)) == (before, sent)


def test_parquet_has_the_same_columns(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write_jobs(folder, server, output="answers.parquet")
    assert asyncrun("run").code == 0
    table = pq.read_table(folder / "answers.parquet").to_pylist()
    assert list(table[0]) == ["id", "query", "hits", "answer", "citations", "finish_reason", "usage"]
    assert json.loads(table[0]["citations"]) == [table[0]["hits"][0]["id"]]
    assert json.loads(table[0]["usage"])["total_tokens"] > 0


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "Please: " + PROMPT},
        {"llm": {"temperature": 1}},
        {"llm": {"model": "larger"}},
        {"llm": {"system": "Be long."}},
        {"llm": {"max_output_tokens": 2}},
        {"context_tokens": 12},
    ],
    ids=str,
)
def test_what_changes_the_answers_asks_for_them_again(asyncrun: Command, server: FakeServer, folder: Path, change: dict[str, Any]) -> None:
    write_jobs(folder, server)
    asyncrun("run")
    write_jobs(folder, server, **change)
    assert asyncrun("run").code == 0
    assert len(server.prompts) == 12


def test_a_question_is_asked_again_when_other_passages_are_found(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write_jobs(folder, server, search="keyword")
    asyncrun("run")
    (folder / "docs/resume.md").write_text("After a crash, run it once more.\n")
    assert asyncrun("run").code == 0
    assert len(server.prompts) == 12
    assert "once more" in rows(folder)[0]["hits"][0]["text"]
    (folder / "docs/other.md").write_text("Penguins.\n")
    assert asyncrun("run").code == 0
    assert len(server.prompts) == 12


def test_the_same_question_under_two_ids_is_asked_once(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    twice = [QUESTIONS[0], {**QUESTIONS[0], "id": "again"}, QUESTIONS[1]]
    write_jobs(folder, server, input={"items": twice, "metadata": ["lang"]})
    assert asyncrun("run").code == 0
    assert len(server.prompts) == 2
    assert rows(folder)[0]["answer"] == rows(folder)[1]["answer"]


def test_a_prompt_may_stand_in_a_file_and_there_is_one_for_those_who_write_none(
    asyncrun: Command, server: FakeServer, folder: Path
) -> None:
    (folder / "prompt.txt").write_text("Tell: {question}\n")
    write_jobs(folder, server, prompt={"path": "prompt.txt"})
    assert asyncrun("run").code == 0
    assert f"Tell: {QUESTIONS[0]['text']}" in server.prompts
    write_jobs(folder, server, prompt=None)
    assert asyncrun("run").code == 0
    assert "[1] Run the same command" in server.prompts[-1]
    assert server.prompts[-1].endswith("after a crash?")


def test_one_refused_question_leaves_the_others_and_is_not_asked_again(asyncrun: Command, folder: Path) -> None:
    refusal = error(
        400, "This model's maximum context length is 5 tokens", when=lambda request: "3 times" in str(request.prompts), times=None
    )
    with FakeServer(faults=[refusal]).in_thread() as server:
        write_jobs(folder, server)
        first = asyncrun("run", "--json")
        assert first.code == 3
        assert [row["id"] for row in rows(folder)] == ["q0", "q1", "q2", "q4", "q5"]
        assert "q3" in asyncrun("failed").out
        sent = len(server.requests)
        again = asyncrun("run", "--json")
        assert (again.code, len(server.requests)) == (3, sent)
        assert (summary(again)["ok"], summary(again)["cached"], summary(again)["failed"]) == (5, 5, 1)


@pytest.mark.parametrize("workers", [1, 8])
def test_equal_questions_that_are_refused_are_asked_once_and_all_of_them_fail(asyncrun: Command, folder: Path, workers: int) -> None:
    equal = [{**QUESTIONS[3], "id": f"again {number}"} for number in range(12)]
    refusal = error(400, "not allowed", when=lambda request: "3 times" in str(request.prompts), times=None)
    with FakeServer(faults=[refusal], latency=0.02).in_thread() as server:
        write_jobs(folder, server, input={"items": [QUESTIONS[0], *equal, QUESTIONS[1]], "metadata": ["lang"]}, workers=workers)
        first = asyncrun("run", "--json")
        assert (first.code, len(server.prompts)) == (3, 3)
        assert (summary(first)["ok"], summary(first)["failed"]) == (2, 12)
        told = [(each["reason"], each["message"].rpartition(": ")[2]) for each in first.documents if each["type"] == "item_failed"]
        assert told == [("refused", "not allowed")] * 12
        again = asyncrun("run", "--json")
        assert (again.code, len(server.prompts)) == (3, 3)


def test_a_server_error_is_asked_again_by_the_next_run(asyncrun: Command, folder: Path) -> None:
    boom = error(500, "boom", when=lambda request: "3 times" in str(request.prompts), times=None)
    with FakeServer(faults=[boom], latency=0.01).in_thread() as server:
        write_jobs(folder, server, llm={"retry": {"attempts": 1}})
        assert asyncrun("run").code == 3
        assert len(rows(folder)) == 5
        server.faults.clear()
        sent = len(server.prompts)
        assert asyncrun("run").code == 0
        assert server.prompts[sent:] == [prompt for prompt in server.prompts if "3 times" in prompt][-1:]
        assert len(rows(folder)) == 6


def test_a_refused_key_stops_at_once_and_what_is_answered_stays_answered(asyncrun: Command, folder: Path) -> None:
    refusal = error(401, "no", code="invalid_api_key", when=lambda request: bool(request.prompts), after=3, times=None)
    with FakeServer(faults=[refusal]).in_thread() as server:
        write_jobs(folder, server)
        assert asyncrun("run").code == 77
        assert not (folder / "answers.jsonl").exists()
        answered = set(server.prompts[:3])
        server.faults.clear()
        before = len(server.prompts)
        assert asyncrun("run").code == 0
        assert answered.isdisjoint(server.prompts[before:])
        assert len(rows(folder)) == 6


def test_results_that_are_no_answers_are_rows_too(asyncrun: Command, folder: Path) -> None:
    def change(document: dict[str, Any]) -> dict[str, Any]:
        document["choices"][0] = {"message": {"content": None}, "finish_reason": "content_filter"}
        return document

    filtered = Fault(change=change, when=lambda request: "2 times" in str(request.prompts), times=None)
    with FakeServer(faults=[filtered]).in_thread() as server:
        write_jobs(folder, server, llm={"max_output_tokens": 2})
        assert asyncrun("run").code == 0
    found = {row["id"]: (row["answer"], row["finish_reason"], row["citations"]) for row in rows(folder)}
    assert found["q2"] == (None, "content_filter", [])
    assert found["q1"][1] == "length"


def test_a_budget_stops_before_the_question_that_would_pass_it(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    # All six take 144, in whatever order they are answered.
    write_jobs(folder, server, llm={"max_output_tokens": 50}, budget={"tokens": 140})
    stopped = asyncrun("run")
    assert stopped.code == 4
    assert 0 < len(server.prompts) < 6
    assert not (folder / "answers.jsonl").exists()
    write_jobs(folder, server, llm={"max_output_tokens": 50}, budget={"tokens": 20_000})
    assert asyncrun("run").code == 0
    assert len(server.prompts) == 6


def test_plan_counts_what_the_answers_would_take(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write_jobs(folder, server, llm={"max_output_tokens": 50, "price_per_million_tokens": {"input": 1, "output": 2}})
    before = asyncrun("plan", "--json").documents[-1]
    [ask] = [job for job in before["jobs"] if job["name"] == "ask"]
    assert (ask["new"], ask["requests"]) == (6, 6)
    assert ask["tokens"] > 6 * 50
    assert ask["cost"] > 6 * 50 * 2 / 1e6
    assert "answers: 6 requests; tokens are an estimate" in asyncrun("plan").out
    assert server.requests == []
    asyncrun("run")
    [ask] = [job for job in asyncrun("plan", "--json").documents[-1]["jobs"] if job["name"] == "ask"]
    assert (ask["new"], ask["unchanged"], ask["requests"], ask["tokens"]) == (0, 6, 0, 0)


def test_the_context_is_counted_by_the_tokenizer_of_the_model_or_else_in_bytes(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write_jobs(folder, server, context_tokens=12, prompt="{context}|{question}")
    assert "context_tokens counts bytes" in asyncrun("plan").out
    asyncrun("run")
    assert {prompt.split("|")[0] for prompt in server.prompts} == {"[1] Run the "}
    server.requests.clear()
    write_jobs(folder, server, context_tokens=12, prompt="{context}|{question}", llm={"tokenizer": "all-MiniLM-L6-v2"})
    assert "context_tokens counts bytes" not in asyncrun("plan").out
    asyncrun("run")
    assert {prompt.split("|")[0] for prompt in server.prompts} == {"[1] Run the same command again after a crash."}
    write_jobs(folder, server, context_tokens=12, llm={"tokenizer": "none.json"})
    assert "there is no tokenizer at" in asyncrun("run").err


def test_the_trace_tells_of_every_question_and_holds_no_word_of_it(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write_jobs(folder, server)
    asyncrun("run")
    exported = asyncrun("trace", "export", "--format", "otlp").out
    spans = [span for resource in json.loads(exported)["resourceSpans"] for scope in resource["scopeSpans"] for span in scope["spans"]]
    chats = [span for span in spans if span["name"] == "chat gpt"]
    assert len(chats) == 6
    told = {each["key"]: each["value"] for each in chats[0]["attributes"]}
    assert told["gen_ai.operation.name"] == {"stringValue": "chat"}
    answered = [{each["key"]: each["value"] for each in span["attributes"]}.get("gen_ai.response.model") for span in spans]
    assert answered.count({"stringValue": "gpt"}) == 6
    assert answered.count({"stringValue": "m"}) == len([span for span in spans if span["name"] == "embeddings m"]) > 0
    assert told["gen_ai.response.finish_reasons"] == {"arrayValue": {"values": [{"stringValue": "stop"}]}}
    assert int(told["gen_ai.usage.output_tokens"]["intValue"]) == 5
    assert "resume" not in json.dumps(chats)
    assert "as [1] says" not in exported


def test_an_unknown_model_or_a_missing_key_is_told_before_anything_is_sent(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write_jobs(folder, server)
    (folder / "jobs.yaml").write_text((folder / "jobs.yaml").read_text().replace('"llm": "small"', '"llm": "smal"'))
    assert "did you mean 'small'?" in asyncrun("run").err
    write_jobs(folder, server, llm={"base_url": None})
    missing = asyncrun("run")
    assert missing.code == 2
    assert "OPENAI_API_KEY" in missing.err
    assert server.requests == []


def test_a_refresh_asks_everything_again_once(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write_jobs(folder, server)
    asyncrun("run")
    assert asyncrun("run", "jobs.yaml", "ask", "--refresh").code == 0
    assert len(server.prompts) == 12
    assert asyncrun("run").code == 0
    assert len(server.prompts) == 12


def test_a_refresh_that_was_cut_off_asks_what_is_left_and_new_answers_take_the_place_of_the_old(
    asyncrun: Command, server: FakeServer, folder: Path
) -> None:
    write_jobs(folder, server)
    assert asyncrun("run").code == 0
    server.faults.append(fault("quota", times=None, when=lambda request: len(server.prompts) > 9))
    assert asyncrun("run", "jobs.yaml", "ask", "--refresh").code == 75
    server.faults.clear()
    asked = sorted(server.prompts)
    planned = asyncrun("plan", "jobs.yaml", "ask", "--json").documents[0]["jobs"][-1]
    server.requests.clear()
    assert asyncrun("run").code == 0
    assert planned["new"] == len(server.prompts) < 6
    assert len(asked) + len(server.prompts) >= 12
    [sizes] = [space for space in asyncrun("ledger", "stats", "--json").documents[0]["spaces"] if space["answers"]]
    assert sizes["answers"] == 6
    assert asyncrun("clean").out == "nothing to remove\n"
    server.requests.clear()
    assert asyncrun("run").code == 0
    assert server.requests == []


def test_a_retry_asks_the_failed_questions_and_no_other(asyncrun: Command, folder: Path) -> None:
    refusal = error(
        400, "This model's maximum context length is 5 tokens", when=lambda request: "3 times" in str(request.prompts), times=None
    )
    with FakeServer(faults=[refusal]).in_thread() as server:
        write_jobs(folder, server)
        assert asyncrun("run").code == 3
        server.faults.clear()
        sent = len(server.prompts)
        answer = asyncrun("retry", "jobs.yaml", "ask")
        assert answer.code == 0, answer.err
        assert ["3 times" in prompt for prompt in server.prompts[sent:]] == [True]
        assert len(rows(folder)) == 6


def test_export_writes_the_questions_that_are_answered_and_asks_none(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write_jobs(folder, server)
    nothing = asyncrun("export", "jobs.yaml", "ask", "-o", "so-far.jsonl")
    assert nothing.code == 3
    assert "0 rows written, 6 missing" in nothing.err
    asyncrun("run", "jobs.yaml", "fill")
    asyncrun("run", "jobs.yaml", "ask", "--limit", "2")
    server.requests.clear()
    part = asyncrun("export", "jobs.yaml", "ask", "-o", "so-far.jsonl")
    assert part.code == 3
    assert "2 rows written, 4 missing" in part.err
    assert (folder / "so-far.jsonl").read_bytes() == (folder / "answers.limit-2.jsonl").read_bytes()
    assert server.requests == []
    assert not (folder / "answers.jsonl").exists()
    assert asyncrun("run").code == 0
    assert asyncrun("export", "jobs.yaml", "ask", "-o", "so-far.jsonl").code == 0
    assert (folder / "so-far.jsonl").read_bytes() == (folder / "answers.jsonl").read_bytes()


@pytest.mark.parametrize("search", ["keyword", "vector", "hybrid"])
def test_export_writes_the_hits_of_what_is_embedded(asyncrun: Command, server: FakeServer, folder: Path, search: str) -> None:
    write_jobs(folder, server, search=search)
    config = json.loads((folder / "jobs.yaml").read_text())
    for key in ("llm", "prompt"):
        del config["jobs"][1][key]
    (folder / "jobs.yaml").write_text(json.dumps(config))
    asyncrun("run", "jobs.yaml", "fill")
    asyncrun("run", "jobs.yaml", "ask", "--limit", "2")
    part = asyncrun("export", "jobs.yaml", "ask", "-o", "so-far.jsonl", "--json")
    wanted = {"keyword": (0, 6, 0), "vector": (3, 2, 4), "hybrid": (3, 2, 4)}[search]
    assert (part.code, part.documents[0]["rows"], part.documents[0]["missing"]) == wanted
    assert asyncrun("run").code == 0
    assert asyncrun("export", "jobs.yaml", "ask", "-o", "so-far.jsonl").code == 0
    assert (folder / "so-far.jsonl").read_bytes() == (folder / "answers.jsonl").read_bytes()


def test_export_searches_no_collection_of_another_space(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write_jobs(folder, server, search="vector")
    assert asyncrun("run").code == 0
    config = json.loads((folder / "jobs.yaml").read_text())
    config["jobs"][1]["embedder"] = {"provider": "openai", "model": "other", "base_url": server.base_url}
    (folder / "jobs.yaml").write_text(json.dumps(config))
    answer = asyncrun("export", "jobs.yaml", "ask", "-o", "so-far.jsonl")
    assert answer.code == 1
    assert "filled by another embedder" in answer.err
    assert not (folder / "so-far.jsonl").exists()


def test_a_limit_answers_the_first_questions(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write_jobs(folder, server)
    asyncrun("run", "jobs.yaml", "fill")
    assert asyncrun("run", "jobs.yaml", "ask", "--limit", "2").code == 0
    assert len(server.prompts) == 2
    assert asyncrun("run").code == 0
    assert len(server.prompts) == 6
    assert len(rows(folder)) == 6


def test_answers_are_taken_out_and_in_and_not_asked_for_again(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write_jobs(folder, server)
    assert asyncrun("run").code == 0
    before = (folder / "answers.jsonl").read_bytes()
    sizes = asyncrun("ledger", "stats", "--json").documents[0]["spaces"]
    assert [size["answers"] for size in sizes if size["space"].get("model") == "gpt"] == [6]
    exported = asyncrun("ledger", "export", "-o", "portable.jsonl", "--json").documents[0]
    assert exported == {"schema": 1, "vectors": sum(size["vectors"] for size in sizes), "answers": 6}
    for name in (".asyncrun", "index.db"):
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "answers.jsonl").unlink()
    server.requests.clear()
    taken = exported["vectors"] + 6
    assert asyncrun("ledger", "import", "portable.jsonl", "--json").documents == [{"schema": 1, "taken": taken, "known": 0}]
    assert asyncrun("ledger", "import", "portable.jsonl", "--json").documents == [{"schema": 1, "taken": 0, "known": taken}]
    assert asyncrun("run").code == 0
    assert (folder / "answers.jsonl").read_bytes() == before
    assert server.prompts == []


def test_an_exported_answer_that_was_changed_is_refused(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write_jobs(folder, server)
    asyncrun("run")
    asyncrun("ledger", "export", "-o", "portable.jsonl")
    lines = (folder / "portable.jsonl").read_text().splitlines(keepends=True)
    [at] = [number for number, line in enumerate(lines) if "answers" in json.loads(line)]
    lines[at] = lines[at].replace("finish_reason", "finish_reasin", 1)
    (folder / "bad.jsonl").write_text("".join(lines))
    refused = asyncrun("ledger", "import", "bad.jsonl")
    assert refused.code == 74
    assert f"bad.jsonl:{at + 1}: not a whole batch: it does not fit its checksum" in refused.err


def test_answers_of_a_model_that_no_job_file_uses_are_cleaned_and_the_others_stay(
    asyncrun: Command, server: FakeServer, folder: Path
) -> None:
    write_jobs(folder, server)
    asyncrun("run")
    assert asyncrun("clean").out == "nothing to remove\n"
    write_jobs(folder, server, llm={"model": "larger"})
    asyncrun("run")
    assert "removed 1 space that no job file here uses: 6 answers, " in asyncrun("clean").out
    spaces = asyncrun("ledger", "stats", "--json").documents[0]["spaces"]
    assert {space["space"].get("model"): space["answers"] for space in spaces} == {None: 0, "larger": 6}
    server.requests.clear()
    assert asyncrun("run").code == 0
    assert server.requests == []
