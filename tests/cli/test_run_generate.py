"""`asyncrun run` with a generate job: a row an item, no answer paid for twice, and none that does not fit its schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from asyncrun.testing.batch_servers import BatchServers, ServerClock
from asyncrun.testing.chat import Chat, Said, answer_of
from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer
from tests.depth import DEEP

Command = Callable[..., Any]

ITEMS = [{"id": f"n{number}", "text": f"Note {number} about rain.", "lang": "en"} for number in range(6)]
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


def write_jobs(folder: Path, server: FakeServer, *, llm: dict[str, Any] | None = None, **job: Any) -> None:
    small = {"provider": "openai", "model": "gpt", "base_url": server.base_url, "limits": {"concurrency": 3}, **(llm or {})}
    asked = {
        "name": "sum",
        "kind": "generate",
        "input": {"items": ITEMS, "metadata": ["lang"]},
        "llm": "small",
        "prompt": "Sum up in {lang}: {text}",
        "output": "rows.jsonl",
        **job,
    }
    (folder / "jobs.yaml").write_text(json.dumps({"llms": {"small": small}, "jobs": [{k: v for k, v in asked.items() if v is not None}]}))


def rows(folder: Path, name: str = "rows.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def summary(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = answer.documents[-1]["jobs"][-1]
    return found


def failed(answer: Any) -> list[tuple[str, str]]:
    return [(each["id"], each["reason"]) for each in answer.documents if each["type"] == "item_failed"]


def test_every_item_gets_a_row_and_a_second_run_sends_nothing(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_jobs(tmp_path, server, system="Be brief.", llm={"system": "Be long.", "price_per_million_tokens": {"input": 1, "output": 2}})
    first = asyncrun("run", "--json")
    assert first.code == 0, first.err
    written = rows(tmp_path)
    assert [row["id"] for row in written] == [item["id"] for item in ITEMS]
    assert list(written[0]) == ["id", "answer", "finish_reason", "usage", "metadata"]
    for row, item in zip(written, ITEMS, strict=True):
        assert row["answer"] == answer_of(["Be brief.", f"Sum up in en: {item['text']}"])
        assert (row["finish_reason"], row["metadata"]) == ("stop", {"lang": "en"})
    spent = [row["usage"] for row in written]
    assert summary(first)["cost"] == pytest.approx(sum(each["prompt_tokens"] + 2 * each["completion_tokens"] for each in spent) / 1e6)
    before = (tmp_path / "rows.jsonl").stat()
    again = asyncrun("run", "--json")
    assert (again.code, len(server.prompts), (tmp_path / "rows.jsonl").stat()) == (0, 6, before)
    assert (summary(again)["ok"], summary(again)["cached"], summary(again)["requests"]) == (6, 6, 0)


def test_a_lost_output_is_the_same_bytes_without_a_request(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_jobs(tmp_path, server, samples=2)
    asyncrun("run")
    before = (tmp_path / "rows.jsonl").read_bytes()
    (tmp_path / "rows.jsonl").unlink()
    assert asyncrun("run").code == 0
    assert ((tmp_path / "rows.jsonl").read_bytes(), len(server.prompts)) == (before, 12)


def test_parquet_has_the_same_columns(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_jobs(tmp_path, server, output="rows.parquet")
    assert asyncrun("run").code == 0
    assert list(pq.read_table(tmp_path / "rows.parquet").to_pylist()[0]) == ["id", "answer", "finish_reason", "usage", "metadata"]


def test_the_same_words_under_several_ids_are_asked_once(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_jobs(tmp_path, server, input={"items": [{**ITEMS[0], "id": f"{number}"} for number in range(600)], "metadata": ["lang"]})
    told = asyncrun("run", "--json")
    assert (told.code, len(server.prompts), len(rows(tmp_path))) == (0, 1, 600)
    assert len({row["answer"] for row in rows(tmp_path)}) == 1


def test_what_another_job_is_asking_is_waited_for_and_not_asked_again(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    server.latency = 0.02
    write_jobs(tmp_path, server)
    file = json.loads((tmp_path / "jobs.yaml").read_text())
    [job] = file["jobs"]
    (tmp_path / "jobs.yaml").write_text(json.dumps({**file, "jobs": [job, {**job, "name": "other", "output": "other.jsonl"}]}))
    assert (asyncrun("run").code, len(server.prompts)) == (0, 6)
    assert (tmp_path / "other.jsonl").read_bytes() == (tmp_path / "rows.jsonl").read_bytes()


def test_messages_with_examples_are_sent_in_their_order(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    messages = [
        {"role": "user", "content": "Note."},
        {"role": "assistant", "content": '{{"n": 1}}'},
        {"role": "user", "content": "{id}: {text}"},
    ]
    write_jobs(tmp_path, server, prompt=None, messages=messages)
    assert asyncrun("run").code == 0
    sent = server.requests[0].document["messages"]
    assert [each["role"] for each in sent] == ["user", "assistant", "user"]
    assert sent[1]["content"] == '{"n": 1}'
    assert sorted(server.prompts)[0] == "n0: Note 0 about rain."


def test_samples_are_answers_of_their_own_with_their_usage_summed(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_jobs(tmp_path, server, samples=3)
    assert asyncrun("run").code == 0
    assert {request.document.get("seed") for request in server.requests} == {None, 1, 2}
    row = rows(tmp_path)[0]
    assert len(row["answers"]) == 3
    assert row["usage"]["prompt_tokens"] == 3 * 8
    write_jobs(tmp_path, server)
    assert asyncrun("run").code == 0
    assert len(server.prompts) == 18  # the first sample is the answer of a job that wants one


def test_fields_that_a_row_lacks_and_empty_texts_are_failed_rows(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    items = [*ITEMS[:2], {"id": "lacks", "text": "Rain."}, {"id": "empty", "text": " ", "lang": "en"}]
    write_jobs(tmp_path, server, input={"items": items})
    first = asyncrun("run", "--json")
    assert first.code == 3
    assert failed(first) == [("lacks", "bad_record"), ("empty", "empty")]
    assert "'lang'" in first.out
    assert [row["id"] for row in rows(tmp_path)] == ["n0", "n1"]
    before = (tmp_path / "rows.jsonl").stat()
    again = asyncrun("run", "--json")
    assert (again.code, len(server.prompts), (tmp_path / "rows.jsonl").stat()) == (3, 2, before)
    assert [name for name, _ in failed(again)] == ["lacks", "empty"]


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Callable[..., FakeServer]]:
    running: list[Any] = []

    def start(script: Callable[[list[str]], str | Said]) -> FakeServer:
        def answer(document: Mapping[str, Any]) -> str | Said:
            return script([message["content"] for message in document["messages"]])

        context = FakeServer(chat=Chat(answer=answer)).in_thread()
        running.append(context)
        return context.__enter__()

    yield start
    for context in running:
        context.__exit__(None, None, None)


def test_a_wrong_answer_is_asked_for_again_with_the_mistake_and_then_fails(
    asyncrun: Command, scripted: Callable[..., FakeServer], tmp_path: Path
) -> None:
    def script(contents: list[str]) -> str:
        if "Note 0" in contents[0]:
            return '```json\n{"n": 0}\n```'
        if "Note 1" in contents[0]:
            return '{"n": "one"}' if len(contents) == 1 else '{"n": 1}'
        return '{"n": 2, "m": 3}'

    server = scripted(script)
    write_jobs(tmp_path, server, schema=SCHEMA, input={"items": ITEMS[:3], "metadata": ["lang"]})
    first = asyncrun("run", "--json")
    assert (first.code, failed(first)) == (3, [("n2", "bad_answer")])
    assert [row["answer"] for row in rows(tmp_path)] == [{"n": 0}, {"n": 1}]
    assert len(server.prompts) == 5
    assert sum("/n" in prompt for prompt in server.prompts) == 1
    assert rows(tmp_path)[1]["usage"]["prompt_tokens"] > rows(tmp_path)[0]["usage"]["prompt_tokens"]
    assert '{"n": 2, "m": 3}' in asyncrun("failed", "--json").out.replace('\\"', '"')
    again = asyncrun("run", "--json")
    assert (again.code, len(server.prompts), failed(again)) == (3, 5, [("n2", "bad_answer")])
    # One more repair is one more request, and no other answer is paid for again.
    write_jobs(tmp_path, server, schema=SCHEMA, repair=2, input={"items": ITEMS[:3], "metadata": ["lang"]})
    assert (asyncrun("run").code, len(server.prompts)) == (3, 6)


def test_a_retry_asks_a_failed_row_anew_and_no_other(asyncrun: Command, scripted: Callable[..., FakeServer], tmp_path: Path) -> None:
    good = False
    server = scripted(lambda contents: '{"n": 1}' if good or "Note 1" not in contents[0] else "none")
    write_jobs(tmp_path, server, schema=SCHEMA)
    assert (asyncrun("run").code, len(server.prompts)) == (3, 7)
    good = True
    assert (asyncrun("run").code, len(server.prompts)) == (3, 7)
    assert (asyncrun("retry").code, len(server.prompts)) == (0, 8)
    assert [row["id"] for row in rows(tmp_path)] == [item["id"] for item in ITEMS]
    assert asyncrun("failed").code == 0


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Said(None, "content_filter"), "filtered"),
        (Said(""), "empty_answer"),
        (Said('{"n": 1}', "length"), "cut_off"),
        (Said(None, refusal="I cannot."), "refused"),
    ],
)
def test_what_is_no_answer_is_a_failed_row_with_its_reason(
    asyncrun: Command, scripted: Callable[..., FakeServer], tmp_path: Path, said: Said, reason: str
) -> None:
    server = scripted(lambda contents: said if "Note 3" in contents[0] else '{"n": 1}')
    write_jobs(tmp_path, server, schema=SCHEMA)
    first = asyncrun("run", "--json")
    assert (first.code, failed(first), len(rows(tmp_path)), len(server.prompts)) == (3, [("n3", reason)], 5, 6)
    assert (asyncrun("run").code, len(server.prompts)) == (3, 6)


def test_a_prompt_that_is_too_long_fails_alone_and_is_not_sent_again(asyncrun: Command, tmp_path: Path) -> None:
    with FakeServer(chat=Chat(max_input_tokens=50)).in_thread() as server:
        write_jobs(tmp_path, server, input={"items": [*ITEMS, {"id": "long", "text": "rain " * 60, "lang": "en"}], "metadata": ["lang"]})
        first = asyncrun("run", "--json")
        assert (first.code, failed(first)) == (3, [("long", "too_long")])
        sent, before = len(server.prompts), (tmp_path / "rows.jsonl").stat()
        asyncrun("run")  # what was told last is known now
        again = asyncrun("run", "--json")
        assert (again.code, len(server.prompts), failed(again)) == (3, sent, [("long", "too_long")])
        assert (tmp_path / "rows.jsonl").stat() == before


def test_a_budget_stops_before_the_request_that_would_pass_it(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_jobs(tmp_path, server, budget={"tokens": 40}, llm={"max_output_tokens": 5}, workers=1)
    first = asyncrun("run", "--json")
    assert first.code == 4
    assert 0 < len(server.prompts) < 6
    assert not (tmp_path / "rows.jsonl").exists()
    sent = len(server.prompts)
    write_jobs(tmp_path, server, budget={"tokens": 4000}, llm={"max_output_tokens": 5}, workers=1)
    assert (asyncrun("run").code, len(server.prompts)) == (0, 6)
    assert sent < 6


def test_failures_end_a_job_where_too_many_are(asyncrun: Command, tmp_path: Path) -> None:
    refusal = error(400, "not allowed", when=lambda request: "Note" in str(request.prompts), after=1, times=None)
    with FakeServer(faults=[refusal]).in_thread() as server:
        write_jobs(tmp_path, server, max_failures=1, workers=1)
        assert asyncrun("run").code == 1
        assert len(server.prompts) < 6
        assert not (tmp_path / "rows.jsonl").exists()


def test_plan_says_what_is_asked_and_foresees_answers_from_those_there_were(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_jobs(tmp_path, server, llm={"price_per_million_tokens": {"input": 1, "output": 2}})
    [before] = asyncrun("plan", "--json").documents[-1]["jobs"]
    assert (before["new"], before["requests"], len(server.requests)) == (6, 6, 0)
    assert "a guess" in asyncrun("plan").out
    asyncrun("run", "jobs.yaml", "sum", "--limit", "3")
    [after] = asyncrun("plan", "--json").documents[-1]["jobs"]
    assert (after["new"], after["unchanged"], after["requests"]) == (3, 3, 3)
    assert after["tokens"] == 3 * (8 + 5)
    assert after["cost"] == pytest.approx(3 * (8 + 10) / 1e6)


def test_a_refresh_asks_everything_again_once(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_jobs(tmp_path, server)
    asyncrun("run")
    assert (asyncrun("run", "jobs.yaml", "sum", "--refresh").code, len(server.prompts)) == (0, 12)
    assert (asyncrun("run").code, len(server.prompts)) == (0, 12)


def test_a_limit_asks_about_the_first_items_and_keeps_what_is_known_of_the_others(asyncrun: Command, tmp_path: Path) -> None:
    refusal = error(400, "not allowed", when=lambda request: "Note 5" in str(request.prompts), times=None)
    with FakeServer(faults=[refusal]).in_thread() as server:
        write_jobs(tmp_path, server)
        asyncrun("run")
        assert asyncrun("run", "jobs.yaml", "sum", "--limit", "2").code == 0
        assert [row["id"] for row in rows(tmp_path, "rows.limit-2.jsonl")] == ["n0", "n1"]
        assert "n5" in asyncrun("failed").out


def test_skipped_items_are_not_asked_about(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "skip.txt").write_text("n1\nn4\n")
    write_jobs(tmp_path, server, skip="skip.txt")
    told = asyncrun("run", "--json")
    assert (told.code, summary(told)["skipped"], len(server.prompts)) == (0, 2, 4)


def test_export_writes_what_is_answered_and_asks_nothing(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_jobs(tmp_path, server)
    asyncrun("run", "jobs.yaml", "sum", "--limit", "4")
    assert asyncrun("export", "jobs.yaml", "sum", "-o", "rows.jsonl").code == 3
    assert [row["id"] for row in rows(tmp_path)] == ["n0", "n1", "n2", "n3"]
    assert len(server.prompts) == 4


def test_shards_make_the_whole(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_jobs(tmp_path, server)
    for number in (1, 2):
        assert asyncrun("run", "--shard", f"{number}/2").code == 0
    assert len(server.prompts) == 6
    assert (asyncrun("run").code, len(server.prompts)) == (0, 6)
    assert [row["id"] for row in rows(tmp_path)] == [item["id"] for item in ITEMS]


def test_the_trace_tells_of_every_answer_in_the_words_of_gen_ai(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_jobs(tmp_path, server)
    asyncrun("run")
    exported = asyncrun("trace", "export", "--format", "otlp").out
    assert exported.count('"gen_ai.operation.name"') >= 6
    assert "Note 1 about rain" not in exported


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"prompt": "Sum up {text"}, "prompt"),
        ({"prompt": "Sum up."}, "names no field"),
        ({"prompt": 'Like {"n": 1}: {text}'}, "is JSON and no field: double its braces"),
        ({"prompt": "Sum up {text} {titel}"}, "no item has `titel`, which the prompt names; the fields are "),
        ({"prompt": "Sum up {titel}"}, "no item has `titel`, which the prompt names; the fields are "),
        ({"embedder": "local"}, "embeds nothing"),
        ({"messages": [{"role": "user", "content": "{text}"}]}, "one thing"),
        ({"schema": {"type": "nonsense"}}, "schema"),
        ({"schema": "missing.json"}, "no such file"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_told_before_anything_is_sent(
    asyncrun: Command, server: FakeServer, tmp_path: Path, job: dict[str, Any], words: str
) -> None:
    write_jobs(tmp_path, server, **job)
    told = asyncrun("run")
    assert told.code in (2, 74), told.err
    assert words in told.err
    assert server.requests == []


@pytest.mark.skipif(not DEEP, reason="the clock of a batch goes on meanwhile: ASYNCRUN_TEST_DEEP=1")
def test_answers_of_batches_are_the_rows_of_an_online_run(asyncrun: Command, tmp_path: Path) -> None:
    def answer(document: Mapping[str, Any]) -> str:
        fits = len(document["messages"]) > 1 or "Note 1" not in document["messages"][0]["content"]
        return '{"n": 1}' if fits else '{"n": "one"}'

    batches = BatchServers(clock=ServerClock(speed=20_000))
    with FakeServer(chat=Chat(answer=answer), batches=batches).in_thread() as server:
        write_jobs(tmp_path, server, schema=SCHEMA, samples=2)
        assert asyncrun("run").code == 0
        online, asked = (tmp_path / "rows.jsonl").read_bytes(), len(server.prompts)
        (tmp_path / "other").mkdir()
        llm = {"delivery": "batch", "base_url": server.vendor_url("openai"), "api_key": "k"}
        write_jobs(tmp_path / "other", server, schema=SCHEMA, samples=2, llm=llm)
        assert asyncrun("run", "other/jobs.yaml").code == 0
        assert (tmp_path / "other/rows.jsonl").read_bytes() == online
        assert len(server.prompts) == asked
        # What does not fit is asked for again in another batch.
        assert [len(batch.bodies) for batch in batches.books.created] == [12, 2]
        assert batches.books.submitted_twice() == []


def test_a_strict_check_finds_a_field_that_no_row_has_at_the_prompt_that_names_it(
    asyncrun: Command, server: FakeServer, tmp_path: Path
) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": 1, "title": "Cats", "body": "Cats purr."}\n')
    write_jobs(tmp_path, server, input="in.jsonl", prompt="Sum up {titel}: {body}")
    told = asyncrun("validate", "--strict")
    assert told.code == 2
    assert "jobs[0].prompt: " in told.err and "no item has `titel`, which `prompt` names" in told.err
    assert told.err.count("jobs[0]") == 1
    write_jobs(tmp_path, server, input="in.jsonl", prompt="Sum up {title}: {body}")
    assert asyncrun("validate", "--strict").code == 0


def test_validate_tells_what_of_a_schema_the_provider_does_not_enforce(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    loose = {name: word for name, word in SCHEMA.items() if name != "additionalProperties"}
    (tmp_path / "row.schema.json").write_text(json.dumps(loose))
    for schema in (loose, "row.schema.json"):
        write_jobs(tmp_path, server, schema=schema)
        told = asyncrun("validate")
        assert told.code == 0
        assert "sum: answers may break the schema" in told.err and "additionalProperties" in told.err
        assert len(asyncrun("validate", "--json").documents[0]["notes"]) == 1
    write_jobs(tmp_path, server, schema=SCHEMA)
    assert asyncrun("validate").err == ""


def test_a_plan_counts_the_repair_that_a_run_sends(asyncrun: Command, scripted: Callable[..., FakeServer], tmp_path: Path) -> None:
    server = scripted(lambda contents: '{"n": 1}' if "Note 1" not in contents[0] or len(contents) > 3 else "none")
    write_jobs(tmp_path, server, schema=SCHEMA, input={"items": ITEMS[:2], "metadata": ["lang"]})
    assert asyncrun("run").code == 3
    write_jobs(tmp_path, server, schema=SCHEMA, repair=2, input={"items": ITEMS[:2], "metadata": ["lang"]})
    [plan] = asyncrun("plan", "--json").documents[0]["jobs"]
    assert (plan["requests"], plan["new"]) == (1, 1)
    assert asyncrun("run").code == 0
    assert len(server.prompts) == 4
