"""What would stop a run, or make it useless, is said before: by `plan`, `validate` and `doctor`, once, and with the way out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]
ROWS = [{"key": n, "body": f"text {n}", "lang": "en"} for n in range(60)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path


def job(server: FakeServer, kind: str = "embed", *, model: str = "small", **more: Any) -> dict[str, Any]:
    given = {"path": "rows.jsonl", "text": "body", "id": "key", "metadata": ["lang"]} | more.pop("input", {})
    place = {"output": "out.jsonl"} if kind == "embed" else {"store": {"path": "index.db"}, "collection": "docs"}
    place |= {"output": "hits.jsonl"} if kind == "query" else {}
    embedder = {"provider": "openai", "model": model, "base_url": server.base_url}
    return {"name": kind, "kind": kind, "input": given, "embedder": embedder, **place, **more}


def write(folder: Path, *jobs: dict[str, Any], name: str = "jobs.yaml") -> None:
    (folder / name).write_text(json.dumps({"jobs": jobs}))


def words(text: str) -> str:
    return " ".join(text.split())


# A collection of another embedder -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ingest", "query"])
def test_a_collection_of_another_embedder_is_refused_by_plan_and_says_whose_it_is(
    asyncrun: Command, server: FakeServer, folder: Path, kind: str
) -> None:
    write(folder, job(server, "ingest"))
    assert asyncrun("run", "--quiet").code == 0
    sent = len(server.requests)
    write(folder, job(server, kind, model="large"))
    told = "the collection 'docs' was filled by another embedder than openai/large: by openai/small (model small -> large)"
    planned = asyncrun("plan")
    assert (planned.code, told in planned.err, len(server.requests)) == (1, True, sent)
    assert f"job {kind}: " in planned.err
    ran = asyncrun("run")
    assert (ran.code, told in words(ran.out), len(server.requests)) == (1, True, sent)
    assert "goes on from here" not in ran.out
    looked = asyncrun("doctor")
    assert (looked.code, f"FAIL  job {kind}: {told}" in looked.out) == (1, True)
    validated = asyncrun("validate", "--strict")
    assert (validated.code, f"jobs[0].collection: {told}" in validated.err) == (2, True)


def test_whose_a_collection_is_is_left_open_where_the_state_folder_does_not_know(
    asyncrun: Command, server: FakeServer, folder: Path
) -> None:
    write(folder, job(server, "ingest"))
    assert asyncrun("run", "--quiet", "--state-dir", "elsewhere").code == 0
    write(folder, job(server, "ingest", model="large"))
    assert "was filled by another embedder than openai/large\n" in asyncrun("plan").err


def test_questions_by_keywords_do_not_care_who_filled_the_collection(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write(folder, job(server, "ingest"))
    assert asyncrun("run", "--quiet").code == 0
    write(folder, job(server, "query", model="large", search="keyword"))
    assert asyncrun("plan").code == asyncrun("doctor").code == asyncrun("run").code == 0


# An extra that is not installed -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "where"),
    [
        ({"output": "out.parquet"}, "jobs[0].output"),
        ({"output": {"path": "out.x", "format": "parquet"}}, "jobs[0].output.format"),
        ({"input": {"path": "*.parquet"}}, "jobs[0].input.path"),
        ({"input": {"format": "parquet"}}, "jobs[0].input.format"),
    ],
)
def test_a_missing_extra_is_a_mistake_with_its_place(
    asyncrun: Command, server: FakeServer, folder: Path, monkeypatch: pytest.MonkeyPatch, part: dict[str, Any], where: str
) -> None:
    for name in ("asyncrun.writers.parquet", "asyncrun.readers.parquet"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (folder / "rows.parquet").write_bytes(b"PAR1")
    write(folder, job(server, **part))
    told = f"{where}: parquet needs the extra 'parquet', which is not installed"
    for command in (["validate"], ["validate", "--strict"], ["plan"], ["run"]):
        answer = asyncrun(*command)
        assert (answer.code, told in answer.err, "pip install 'asyncrun[parquet]'" in answer.err) == (2, True, True), command
    looked = asyncrun("doctor")
    assert (looked.code, told in looked.out) == (1, True)
    assert server.requests == []


# Fields that no item has --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["embed", "ingest"])
@pytest.mark.parametrize("text", ["text", "{title}. {body}"])
def test_a_text_that_no_item_has_is_told_once_for_the_job(
    asyncrun: Command, server: FakeServer, folder: Path, kind: str, text: str
) -> None:
    write(folder, job(server, kind, input={"text": text}))
    name = "text" if text == "text" else "title"
    told = f"no item has `{name}` (input.text); the fields are key, body, lang"
    for command in ("plan", "run"):
        answer = asyncrun(command)
        assert answer.code == 2, command
        assert (answer.out + answer.err).count("rows.jsonl") <= 3, "not once a row"
        assert told in words(answer.out + answer.err)
        assert "Set `input.text`" in answer.out + answer.err
    looked = asyncrun("doctor")
    assert (looked.code, looked.out.count(told)) == (1, 1)
    validated = asyncrun("validate", "--strict")
    assert (validated.code, f"jobs[0].input.text: rows.jsonl: {told}" in validated.err) == (2, True)
    assert not [text for text in server.sent_texts if text.startswith("text")]


def test_one_item_without_its_text_fails_alone(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    (folder / "rows.jsonl").write_text('{"key": 1, "other": "a"}\n{"key": 2, "body": "b"}\n')
    write(folder, job(server))
    assert asyncrun("plan").code == 0
    assert asyncrun("run", "--json").documents[-1]["failed"] == 1


def test_the_first_items_alone_do_not_tell_which_fields_there_are(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    (folder / "rows.jsonl").write_text('{"key": 1}\n{"key": 2, "body": "b"}\n')
    write(folder, job(server, max_failures="100%"))
    assert asyncrun("run", "--limit", "1", "--json").documents[-1]["failed"] == 1
    write(folder, job(server, input={"text": "text"}))
    assert "no item has `text`" in words(asyncrun("run", "--limit", "1").out)


@pytest.mark.parametrize(("key", "value", "near"), [("id", "kay", "key"), ("metadata", ["langue"], "lang")])
def test_another_field_that_no_item_has_is_a_warning_and_strictly_a_mistake(
    asyncrun: Command, server: FakeServer, folder: Path, key: str, value: Any, near: str
) -> None:
    write(folder, job(server, input={key: value}))
    name = value if isinstance(value, str) else value[0]
    told = f"no item has `{name}` (input.{key}); the fields are key, body, lang; did you mean '{near}'?"
    planned, ran = asyncrun("plan"), asyncrun("run")
    assert (planned.code, told in words(planned.out)) == (0, True)
    assert (ran.code, told in words(ran.err)) == (0, True)
    assert asyncrun("doctor").code == asyncrun("validate").code == 0
    validated = asyncrun("validate", "--strict")
    assert (validated.code, f"jobs[0].input.{key}: rows.jsonl: {told}" in validated.err) == (2, True)


def test_the_usual_id_need_not_be_there(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write(folder, job(server, input={"id": "id"}))
    planned = asyncrun("plan")
    assert (planned.code, "no item has" in planned.out, "60 records without an id" in planned.out) == (0, False, True)
    assert asyncrun("validate", "--strict").code == 0


@pytest.mark.parametrize("filled", [True, False])
def test_a_filter_by_a_field_that_no_document_has_is_a_warning_and_strictly_a_mistake(
    asyncrun: Command, server: FakeServer, folder: Path, filled: bool
) -> None:
    write(folder, job(server, "ingest"), job(server, "query", filter="langue = 'en' or lang = 'de'"))
    if filled:
        assert asyncrun("run", "jobs.yaml", "ingest", "--quiet").code == 0
    told = "no document of 'docs' has `langue` (filter); the fields are lang; did you mean 'lang'?"
    planned = asyncrun("plan")
    assert (planned.code, told in words(planned.out), "`lang` (filter)" in planned.out) == (0, True, False)
    validated = asyncrun("validate", "--strict")
    assert (validated.code, f"jobs[1].filter: {told}" in validated.err) == (2, True)
    ran = asyncrun("run")
    assert (ran.code, told in words(ran.err)) == (0, True)


# What fills a collection comes before what asks it ------------------------------------------------------------------------------------


def test_questions_wait_for_the_job_that_fills_their_collection(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write(folder, job(server, "query", store={"path": "./index.db"}), job(server, "ingest"))
    assert asyncrun("run", "jobs.yaml", "query", "--quiet").code == 0
    rows = [json.loads(line) for line in (folder / "hits.jsonl").read_text().splitlines()]
    assert rows[0]["hits"][0]["text"] == "text 0"
    assert [each["name"] for each in asyncrun("plan", "--json").documents[0]["jobs"]] == ["ingest", "query"]


def test_questions_do_not_wait_for_another_collection(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write(folder, job(server, "query"), job(server, "ingest", collection="others"))
    answer = asyncrun("run")
    assert (answer.code, server.requests) == (2, [])
    assert "No job of this file fills 'docs'" in answer.err


def test_what_ingests_the_answers_comes_after_the_questions(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    again = job(server, "ingest", input={"path": "hits.jsonl", "text": "query", "id": "id", "metadata": []}, source="answers")
    write(folder, job(server, "ingest"), job(server, "query"), {**again, "name": "again"})
    assert asyncrun("validate").code == 0
    assert [each["name"] for each in asyncrun("plan", "--json").documents[0]["jobs"]] == ["ingest", "query", "again"]
    assert asyncrun("run", "--quiet").code == 0


# Mistakes that nobody sees before another job has run, and keys -----------------------------------------------------------------------


def test_an_input_that_a_job_of_the_run_has_made_fails_its_reader_alone(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    (folder / "rows.jsonl").write_text('{"key": 1, "body": "same"}\n{"key": 2, "body": "same"}\n')
    reader = {**job(server, input={"path": "o*.jsonl", "text": "text", "id": "text"}, output="second.jsonl"), "name": "reader"}
    write(folder, job(server), reader)
    assert asyncrun("plan").code == 0
    answer = asyncrun("run")
    assert (answer.code, "is already that of" in answer.out) == (1, True)


def test_plan_needs_no_key_and_says_that_a_run_does(
    asyncrun: Command, server: FakeServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = job(server)
    del bare["embedder"]["base_url"]
    for api_key, told in ((None, "no key for api.openai.com"), ("${NO_SUCH_KEY}", "jobs[0].embedder.api_key: ")):
        write(folder, {**bare, "embedder": bare["embedder"] | ({"api_key": api_key} if api_key else {})})
        planned = asyncrun("plan")
        assert (planned.code, "a run is refused: " in planned.out, told in words(planned.out)) == (0, True, True)
        assert asyncrun("run").code == 2
    monkeypatch.setenv("NO_SUCH_KEY", "k")
    assert "a run is refused" not in asyncrun("plan").out


def test_a_key_file_that_is_not_there_is_said_by_plan_too(asyncrun: Command, server: FakeServer, folder: Path) -> None:
    write(folder, job(server, embedder={**job(server)["embedder"], "api_key": {"file": "key.txt"}}))
    planned = asyncrun("plan")
    assert (planned.code, "a run is refused" in planned.out) == (0, True)
    assert asyncrun("run").code == 2
