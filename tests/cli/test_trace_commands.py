"""`asyncrun trace`: views of recorded runs, which run is meant, and what goes out to other tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]
VIEWS = ("show", "timeline", "slow", "errors", "diff")


@pytest.fixture
def notes(tmp_path: Path, server: FakeServer) -> Path:
    (tmp_path / "notes.jsonl").write_text('{"id": "a", "text": "one secret"}\n{"id": "b", "text": "two"}\n')
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    return tmp_path


@pytest.mark.parametrize("view", VIEWS)
def test_an_unknown_run_ends_2_and_names_the_nearest(asyncrun: Command, notes: Path, view: str) -> None:
    asyncrun("run")
    [known] = [run["run_id"] for run in asyncrun("trace", "list", "--json").documents[0]["runs"]]
    answer = asyncrun("trace", view, "19990101")
    assert (answer.code, answer.out) == (2, "")
    assert known in answer.err


@pytest.mark.parametrize("view", VIEWS)
def test_without_any_run_it_ends_2(asyncrun: Command, notes: Path, view: str) -> None:
    answer = asyncrun("trace", view)
    assert (answer.code, answer.out) == (2, "")


def test_the_timeline_has_a_lane_for_each_job(asyncrun: Command, notes: Path) -> None:
    asyncrun("run")
    answer = asyncrun("trace", "timeline")
    assert answer.code == 0
    assert any(line.startswith("notes ") for line in answer.out.splitlines())
    [lane] = asyncrun("trace", "timeline", "--json").documents[0]["lanes"]
    assert (lane["job"], lane["most"], len(lane["levels"])) == ("notes", 1, 100)


def test_slow_shows_as_many_events_as_are_asked_for(asyncrun: Command, notes: Path) -> None:
    asyncrun("run")
    assert len(asyncrun("trace", "slow", "-n", "1").out.splitlines()) == 3
    events = asyncrun("trace", "slow", "--json").documents[0]["events"]
    assert {event["type"] for event in events} == {"async_job", "embedding"}
    assert [event["own_seconds"] for event in events] == sorted((event["own_seconds"] for event in events), reverse=True)


def test_errors_with_none_are_one_line_and_0(asyncrun: Command, notes: Path) -> None:
    asyncrun("run")
    answer = asyncrun("trace", "errors")
    assert (answer.code, len(answer.out.splitlines())) == (0, 1)
    assert asyncrun("trace", "errors", "--json").documents[0]["errors"] == []


def test_errors_name_the_event_and_its_reason(asyncrun: Command, notes: Path, server: FakeServer) -> None:
    server.faults.append(error(401, "the key is wrong"))
    assert asyncrun("run").code == 77
    answer = asyncrun("trace", "errors")
    assert answer.code == 0
    assert "async_job notes > embedding" in answer.out
    assert "AuthError" in answer.out
    assert "the key is wrong" in answer.out


def test_diff_compares_with_the_run_before_of_the_same_job_file(asyncrun: Command, notes: Path) -> None:
    asyncrun("run")
    (notes / "other.yaml").write_text((notes / "jobs.yaml").read_text().replace("out.jsonl", "other.jsonl"))
    asyncrun("run", "other.yaml")
    assert asyncrun("trace", "diff").code == 2
    with (notes / "notes.jsonl").open("a") as file:
        file.write('{"id": "c", "text": "three"}\n')
    asyncrun("run")
    runs = [run["run_id"] for run in asyncrun("trace", "list", "--json").documents[0]["runs"]]
    [document] = asyncrun("trace", "diff", "--json").documents
    assert (document["before"], document["after"]) == (runs[0], runs[2])
    changes = {(change["group"], change["name"]): (change["before"], change["after"]) for change in document["changes"]}
    assert changes["work", "items"] == (2, 3)
    assert changes["work", "new items"] == (2, 1)
    assert f"A  {runs[0]}" in asyncrun("trace", "diff").out
    assert f"B  {runs[1]}" in asyncrun("trace", "diff", runs[0], runs[1]).out


def test_the_list_is_narrowed_by_job_status_and_time(asyncrun: Command, notes: Path, server: FakeServer) -> None:
    server.faults.append(error(401, "no"))
    asyncrun("run")
    server.faults.clear()
    asyncrun("run")
    both = asyncrun("trace", "list", "--json").documents[0]["runs"]
    assert [run["status"] for run in both] == ["failed", "succeeded"]

    def listed(*flags: str) -> list[Any]:
        return list(asyncrun("trace", "list", *flags, "--json").documents[0]["runs"])

    assert listed("--status", "failed") == both[:1]
    assert listed("--job", "notes", "--since", "7d") == both
    assert listed("--job", "elsewhere") == []
    assert asyncrun("trace", "list", "--job", "elsewhere").out == "No run matches.\n"
    assert asyncrun("trace", "list", "--status", "perfect").code == 2
    assert asyncrun("trace", "list", "--since", "soon").code == 2


@pytest.mark.parametrize(("form", "key"), [("otlp", "resourceSpans"), ("perfetto", "traceEvents"), ("json", "spans")])
def test_export_writes_a_run_to_standard_output_or_a_file(asyncrun: Command, notes: Path, form: str, key: str) -> None:
    asyncrun("run")
    answer = asyncrun("trace", "export", "--format", form)
    assert answer.code == 0
    [document] = answer.documents
    assert document[key]
    assert "one secret" not in answer.out
    written = asyncrun("trace", "export", "latest", "--format", form, "-o", "out/run.json")
    assert (written.code, written.out) == (0, "")
    assert json.loads((notes / "out" / "run.json").read_text()) == document


def test_html_writes_the_same_page_to_standard_output_or_a_file(asyncrun: Command, notes: Path) -> None:
    asyncrun("run")
    answer = asyncrun("trace", "html", "--color", "always")
    assert answer.code == 0
    assert answer.out.startswith("<!doctype html>")
    assert "one secret" not in answer.out
    written = asyncrun("trace", "html", "latest", "-o", "out/run.html")
    assert (written.code, written.out) == (0, "")
    assert (notes / "out" / "run.html").read_text() == answer.out
    assert asyncrun("trace", "html", "nobody").code == 2


def test_export_mistakes(asyncrun: Command, notes: Path) -> None:
    asyncrun("run")
    assert asyncrun("trace", "export").code == 2
    assert asyncrun("trace", "export", "--format", "xml").code == 2
    assert asyncrun("trace", "export", "nobody", "--format", "json").code == 2
    (notes / "file").write_text("")
    answer = asyncrun("trace", "export", "--format", "json", "-o", "file/below.json")
    assert answer.code == 73
    assert "file/below.json" in answer.err


def test_a_run_whose_trace_cannot_be_sent_on_goes_well_and_says_so(asyncrun: Command, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:hunter2hunter2@127.0.0.1:9")
    monkeypatch.setattr("asyncrun.app.telemetry.send_run", lambda *given: 1 / 0)
    answer = asyncrun("run", "--progress", "never")
    assert answer.code == 0
    assert "the trace is not sent on" in answer.err
    assert "hunter2" not in answer.err
