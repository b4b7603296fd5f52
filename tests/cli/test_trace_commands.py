"""`asyncrun trace`: views of recorded runs, which run is meant, and what goes out to other tools."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from asyncrun.clock import SystemClock
from asyncrun.testing.faults import Fault, error
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]
VIEWS = ("show", "timeline", "slow", "errors", "diff")


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
    asyncrun("run", str(notes / "jobs.yaml"))  # as cron does it
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


def test_pages_in_one_folder_are_named_after_their_runs_and_link_to_each_other(asyncrun: Command, notes: Path) -> None:
    (notes / "pages").mkdir()
    asyncrun("run")
    assert asyncrun("trace", "html", "-o", "pages").code == 0
    [first] = (notes / "pages").iterdir()
    asyncrun("run")
    assert asyncrun("trace", "html", "-o", "pages").code == 0
    [second] = set((notes / "pages").iterdir()) - {first}
    assert f'"link":"{first.name}"' in second.read_text()
    # Of a page that is not there, none.
    assert '"link":"' not in asyncrun("trace", "html").out


@pytest.mark.parametrize("words", ["html", "export --format json"])
def test_a_run_that_is_written_to_a_file_is_named_as_other_exports_name_what_they_wrote(asyncrun: Command, notes: Path, words: str) -> None:
    asyncrun("run")
    [run] = asyncrun("trace", "list", "--json").documents[0]["runs"]
    written = asyncrun("trace", *words.split(), "-o", "run")
    assert (written.out, written.err) == ("", f"run {run['run_id']} written\n")
    assert asyncrun("trace", *words.split(), "-o", "run", "--quiet").err == ""
    answer = asyncrun("trace", *words.split(), "-o", "run", "--json")
    assert (answer.documents, answer.err) == ([{"schema": 1, "run_id": run["run_id"]}], "")
    assert asyncrun("trace", *words.split()).err == ""


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
    monkeypatch.setattr("asyncrun.trace.exporters.otlp_sender.OtlpSender.finish", lambda *given: 1 / 0)
    answer = asyncrun("run", "--progress", "never")
    assert answer.code == 0
    assert "the trace is not sent on" in answer.err
    assert "hunter2" not in answer.err


@pytest.mark.parametrize("view", ["show", "timeline", "slow", "diff", "list"])
def test_colour_follows_the_flag_and_then_the_environment(
    asyncrun: Command, notes: Path, monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    asyncrun("run")
    asyncrun("run")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    bare = asyncrun("trace", view).out
    assert "\x1b" not in bare
    coloured = asyncrun("trace", view, "--color", "always").out
    assert re.sub("\x1b\\[[0-9;]+m", "", coloured) == bare != coloured
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert asyncrun("trace", view).out == coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert asyncrun("trace", view).out == bare
    assert asyncrun("trace", view, "--color", "always").out == coloured
    assert "\x1b" not in asyncrun("trace", view, "--json", "--color", "always").out


def test_a_terminal_of_twenty_columns_is_kept_to(asyncrun: Command, notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncrun("run")
    asyncrun("run")
    monkeypatch.setenv("COLUMNS", "20")
    for view in (*VIEWS, "list"):
        answer = asyncrun("trace", view)
        assert answer.code == 0
        assert max(map(len, answer.out.splitlines())) <= 20


@pytest.mark.parametrize("view", [*VIEWS, "list", "html"])
@pytest.mark.parametrize("damage", ["not a database", "cut off", "newer"])
def test_a_store_that_cannot_be_read_is_named_and_left_as_it_is(asyncrun: Command, notes: Path, view: str, damage: str) -> None:
    asyncrun("run")
    asyncrun("run")
    store = notes / ".asyncrun" / "traces.db"
    if damage == "not a database":
        store.write_text("no database, but long enough to be looked at " * 20)
    elif damage == "cut off":
        store.write_bytes(store.read_bytes()[:5000])
    else:
        with closing(sqlite3.connect(store)) as connection:
            connection.execute("PRAGMA user_version = 99")
    before = store.read_bytes()
    answer = asyncrun("trace", view)
    assert (answer.code, answer.out) == (74, "")
    assert "traces.db" in answer.err
    assert ("newer asyncrun" in answer.err) == (damage == "newer")
    assert store.read_bytes() == before


@pytest.mark.parametrize("view", VIEWS)
def test_an_ambiguous_beginning_ends_2_and_names_all_it_could_be(asyncrun: Command, notes: Path, view: str) -> None:
    asyncrun("run")
    asyncrun("run")
    known = [run["run_id"] for run in asyncrun("trace", "list", "--json").documents[0]["runs"]]
    answer = asyncrun("trace", view, "20")
    assert (answer.code, answer.out) == (2, "")
    assert len(known) == 2
    assert all(run in answer.err for run in known)


def test_a_run_during_which_the_machine_slept_says_so_and_loses_nothing(
    asyncrun: Command, notes: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request that was on its way breaks; the job file allows one attempt."""
    jobs = json.loads((notes / "jobs.yaml").read_text())
    jobs["jobs"][0]["embedder"]["retry"] = {"attempts": 1}
    (notes / "jobs.yaml").write_text(json.dumps(jobs))
    server.faults.append(Fault(delay=4.0, cut=-1))
    monkeypatch.setattr(SystemClock, "now", lambda _: time.time() + (3600 if server.requests else 0))
    answer = asyncrun("run")
    assert answer.code == 0
    assert "suspended for 1h 00m" in answer.err
    shown = asyncrun("trace")
    assert "suspended: 1h 00m" in shown.out
    assert json.loads((notes / "out.jsonl").read_text().splitlines()[0])["id"] == "a"


def test_a_job_file_that_is_not_there_has_no_runs(asyncrun: Command, tmp_path: Path) -> None:
    for words in (["trace"], ["trace", "list"], ["trace", "show"], ["trace", "slow"], ["trace", "diff"], ["trace", "html"]):
        answer = asyncrun(*words, "-f", "nowhere.yaml")
        assert answer.code == 2, words
        assert "nowhere.yaml is not there" in answer.err
