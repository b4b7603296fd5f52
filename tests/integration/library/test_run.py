"""Jobs run from Python: the same jobs, the same rows, the same sentences as from the shell."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import pickle
import shutil
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asyncrun
from asyncrun.app.recorded_runs import read_trace
from asyncrun.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from asyncrun.errors import JobFileError, LockedError, StorageError, UnknownRunError, UsageError
from asyncrun.jobs import EmbedJob, IngestJob, QueryJob
from asyncrun.results import Status
from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer

KEY = "sk-a-key-that-nobody-may-see"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.jsonl").write_text('{"id": "a", "text": "one", "year": 1}\n{"id": "b", "text": "two", "year": 2}\n')
    return tmp_path


def embedder(server: FakeServer, **settings: Any) -> dict[str, Any]:
    return {"provider": "openai", "model": "m", "base_url": server.base_url, "api_key": KEY, **settings}


def notes(server: FakeServer, **keys: Any) -> EmbedJob:
    return EmbedJob(**{"name": "notes", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder(server)} | keys)


@pytest.mark.parametrize("form", ["path", "text", "mapping", "object", "objects", "entry"])
def test_a_job_has_the_same_rows_in_whatever_form_it_is_given(form: str, server: FakeServer, folder: Path) -> None:
    entry = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder(server)}
    # In a file keys are variables.
    text = json.dumps({"jobs": [entry]}, indent=1).replace(KEY, "${KEY}")
    (folder / "jobs.yaml").write_text(text)
    forms: dict[str, Any] = {
        "path": "jobs.yaml",
        "text": text,
        "mapping": {"jobs": [entry]},
        "object": notes(server),
        "objects": [notes(server)],
        "entry": entry,
    }
    report = asyncrun.run(forms[form], variables={"KEY": KEY})
    assert (report.status, report.exit_code, list(report.jobs)) == (Status.SUCCEEDED, 0, ["notes"])
    assert [row["id"] for row in report.rows()] == ["a", "b"]
    written = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert np.array_equal(report.array(), np.array([row["embedding"] for row in written], dtype=np.float32))


@pytest.mark.parametrize(("own", "meanwhile"), [(700, 10_000), (50_000, 50_000), (0, 0)])
def test_the_collector_is_as_it_was_when_the_run_has_ended(own: int, meanwhile: int, server: FakeServer) -> None:
    former, seen = gc.get_threshold(), []

    class Looks(LlamaDebugHandler):
        def on_event_start(self, *what: Any, **more: Any) -> str:
            seen.append(gc.get_threshold()[0])
            return super().on_event_start(*what, **more)

    gc.set_threshold(own, *former[1:])
    try:
        asyncrun.run(notes(server), callback_manager=CallbackManager([Looks(print_trace_on_end=False)]))
        assert set(seen) == {meanwhile}
        assert gc.get_threshold() == (own, *former[1:])
    finally:
        gc.set_threshold(*former)


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "npy"])
def test_rows_and_arrays_are_read_from_every_format(form: str, server: FakeServer) -> None:
    report = asyncrun.run(notes(server, output=f"out.{form}"))
    assert [row["id"] for row in report.rows("notes")] == ["a", "b"]
    array = report.array("notes")
    assert (array.dtype, len(array)) == (np.float32, 2)
    assert all(np.array_equal(row["embedding"], vector) for row, vector in zip(report.rows(), array, strict=True))
    assert report.table("notes").num_rows == 2


def test_what_is_finished_is_sent_by_no_later_call(server: FakeServer) -> None:
    asyncrun.run(notes(server))
    sent = len(server.requests)
    report = asyncrun.run(notes(server))
    assert (len(server.requests), report.jobs["notes"].counts.cached) == (sent, 2)


def test_jobs_are_selected_by_name_with_what_they_need(server: FakeServer) -> None:
    jobs = [
        IngestJob(name="fill", input={"path": "notes.jsonl"}, embedder=embedder(server), store={"path": "index.db"}, collection="c"),
        QueryJob(
            name="ask",
            needs=["fill"],
            input={"items": ["one"]},
            embedder=embedder(server),
            store={"path": "index.db"},
            collection="c",
            output="hits.jsonl",
        ),
        notes(server),
    ]
    report = asyncrun.run(jobs, "ask")
    assert list(report.jobs) == ["fill", "ask"]
    assert next(report.rows("ask"))["hits"][0]["doc_id"] == "a"


def test_the_options_of_the_command_line_are_a_record(server: FakeServer, folder: Path) -> None:
    report = asyncrun.run(notes(server), options=asyncrun.RunOptions(limit=1))
    assert [row["id"] for row in report.rows()] == ["a"]
    assert (folder / "out.limit-1.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"limit": -1}, "limit is -1, and must be a whole number of 1 or more"),
        ({"limit": "3"}, "limit is '3'"),
        ({"workers": 0}, "workers is 0"),
        ({"max_cost": float("nan")}, "max_cost is nan, and must be a number of 0 or more"),
    ],
)
def test_options_that_no_flag_takes_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        asyncrun.RunOptions(**options)


def test_failed_items_are_named_and_the_rest_is_there(server: FakeServer, folder: Path) -> None:
    (folder / "notes.jsonl").write_text('{"id": "a", "text": "one"}\n{"id": "b", "text": ""}\n')
    report = asyncrun.run(notes(server))
    assert (report.status, report.exit_code) == (Status.PARTIAL, 3)
    assert [(failure.id, str(failure.reason)) for failure in report.failures("notes")] == [("b", "empty")]
    assert report.failures() == report.failures("notes")
    assert [row["id"] for row in report.rows()] == ["a"]


def test_a_job_that_fails_is_told_by_the_report_and_raises_nothing(server: FakeServer) -> None:
    server.faults = [error(401, "wrong key")]
    report = asyncrun.run(notes(server))
    assert (report.status, report.exit_code) == (Status.FAILED, 77)
    assert report.jobs["notes"].reason is not None


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"name": "No Name"}, "name: not a name; allowed: small letters a-z, digits, '_' and '-'; did you mean 'no-name'?"),
        ({"embeder": "local"}, "embeder: unknown key;"),
        ({"embedder": "openay/m"}, "did you mean 'openai'?"),
        (
            {"max_failures": "many"},
            "max_failures: the text 'many' stands here; allowed: a whole number such as 10, or",
        ),
        ({"output": {"path": "out.jsonl", "colums": ["id"]}}, "output.colums: unknown key; allowed: path, format, columns"),
    ],
)
def test_a_wrong_key_of_a_job_is_told_at_once_in_the_words_of_a_job_file(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(JobFileError) as caught:
        EmbedJob(**{"name": "notes", "input": "notes.jsonl", "output": "out.jsonl"} | keys)
    assert sentence in str(caught.value)
    assert "jobs[0]" not in str(caught.value)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(JobFileError, match=r"^input: missing"):
        EmbedJob(name="notes", output="out.jsonl")  # type: ignore[call-arg]
    entry = {"kind": "embed", "name": "notes", "input": {"items": ["one"]}}
    with pytest.raises(JobFileError, match=r"jobs\[0\]\.output: missing"):
        asyncrun.run({"jobs": [entry]})


def test_what_is_wrong_among_jobs_is_told_without_lines(server: FakeServer) -> None:
    with pytest.raises(JobFileError) as caught:
        asyncrun.run([notes(server), notes(server)])
    [first, *_] = caught.value.mistakes
    assert (first.place, first.path.startswith("jobs[")) == (None, True)


def test_mistakes_of_a_text_have_their_lines(server: FakeServer) -> None:
    with pytest.raises(JobFileError) as caught:
        asyncrun.run("jobs:\n  - nme: notes\n")
    assert {mistake.place.line for mistake in caught.value.mistakes if mistake.place} == {2}


def test_jobs_run_inside_of_a_running_loop(server: FakeServer) -> None:
    async def cell() -> tuple[Status, Status]:
        awaited = await asyncrun.arun(notes(server))
        return awaited.status, asyncrun.run(notes(server)).status

    assert asyncio.run(cell()) == (Status.SUCCEEDED, Status.SUCCEEDED)


def test_handlers_are_told_of_the_events_of_a_run(server: FakeServer) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    asyncrun.run(notes(server), callback_manager=CallbackManager([debug]))
    assert len(debug.get_event_pairs(CBEventType.EMBEDDING)) == 1


def test_a_cancelled_run_keeps_what_is_finished_and_the_next_one_goes_on(server: FakeServer, folder: Path) -> None:
    texts = "".join(json.dumps({"id": str(number), "text": f"text {number}"}) + "\n" for number in range(40))
    (folder / "notes.jsonl").write_text(texts)
    job = notes(server, embedder=embedder(server, batch={"max_items": 1}), workers=1)

    async def cut_short() -> None:
        running = asyncio.create_task(asyncrun.arun(job))
        while len(server.requests) < 10:
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cut_short())
    state = folder / ".asyncrun"
    stopped, _ = read_trace(state, "latest")
    assert (stopped.status, stopped.exit_code, stopped.summary["jobs"][0]["reason"]) == ("stopped", 75, "cancelled")
    report = asyncrun.run(job)
    assert (report.status, report.jobs["notes"].counts.cached >= 8) == (Status.SUCCEEDED, True)
    # The known text of the space is sent by each run, and what was in flight is sent again.
    assert len(server.requests) <= 40 + 1 + 2


def test_two_runs_of_the_same_jobs_are_not_at_once(server: FakeServer) -> None:
    server.latency = 0.2

    async def both() -> None:
        results = await asyncio.gather(asyncrun.arun(notes(server)), asyncrun.arun(notes(server)), return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["LockedError", "Report"]
        assert any(isinstance(result, LockedError) for result in results)

    asyncio.run(both())


def test_a_key_of_a_job_is_in_no_file_and_in_no_text_of_it(server: FakeServer, folder: Path) -> None:
    job = notes(server)
    report = asyncrun.run(job)
    left = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert [KEY.encode() in content for content in left] == [False] * len(left)
    assert KEY not in f"{job!r}{report!r}{report.request!r}{report.trace()}{report.html()}"
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {KEY}"}


def test_a_report_shows_the_trace_as_text_and_in_a_notebook(server: FakeServer) -> None:
    report = asyncrun.run(notes(server))
    assert "|_async_job notes" in report.trace()
    assert repr(report) == f"<Report of {report.run_id}: notes succeeded>"
    assert "Timing summary" in report.trace()
    shown = report._repr_html_()  # what Jupyter asks for
    assert shown.startswith("<iframe srcdoc=")
    assert "<script" not in shown


def test_progress_is_shown_where_it_is_wanted(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> None:
    asyncrun.run(notes(server))
    assert capsys.readouterr() == ("", "")
    asyncrun.run(notes(server), show_progress=True)
    streams = capsys.readouterr()
    assert (streams.out, "notes: succeeded" in streams.err) == ("", True)


def test_rows_of_what_is_not_there_are_refused(server: FakeServer) -> None:
    report = asyncrun.run([notes(server), notes(server, name="more", output="more.jsonl")])
    with pytest.raises(UsageError, match="several jobs have rows: notes, more"):
        report.array()
    with pytest.raises(UsageError, match="the run has no job 'nots'; it has notes, more; did you mean 'notes'"):
        report.failures("nots")


def test_standard_input_belongs_to_the_program(server: FakeServer) -> None:
    with pytest.raises(UsageError, match="belongs to the program"):
        asyncrun.run(notes(server, input="-"))


def test_failures_are_told_when_the_input_is_gone(server: FakeServer, folder: Path) -> None:
    (folder / "notes.jsonl").write_text('{"id": "a", "text": "one"}\n{"id": "b", "text": ""}\n')
    report = asyncrun.run(notes(server))
    (folder / "notes.jsonl").unlink()
    assert [failure.id for failure in report.failures()] == ["b"]


def test_a_report_whose_files_are_gone_says_so(server: FakeServer, folder: Path) -> None:
    report = asyncrun.run(notes(server))
    (folder / "out.jsonl").unlink()
    for ask in (report.array, report.table, lambda: list(report.rows())):
        with pytest.raises(StorageError, match=r"out\.jsonl"):
            ask()
    shutil.rmtree(folder / ".asyncrun")
    for ask in (report.failures, report.trace, report.html):
        with pytest.raises((StorageError, UnknownRunError)):
            ask()
    assert (report.status, report.jobs["notes"].counts.ok) == (Status.SUCCEEDED, 2)


@pytest.mark.parametrize("form", ["jsonl", "csv", "npy"])
def test_rows_are_read_as_they_are_asked_for(form: str, server: FakeServer, folder: Path) -> None:
    (folder / "notes.jsonl").write_text("".join(json.dumps({"id": f"id {n}", "text": f"text {n}"}) + "\n" for n in range(5_000)))
    report = asyncrun.run(notes(server, output=f"out.{form}"))
    tracemalloc.start()
    try:
        rows = sum(1 for _ in report.rows())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # All rows together take 5 MB and more.
    assert (rows, peak < 2_000_000) == (5_000, True)
    array, table = report.array(), report.table()
    assert (array.shape, array.flags.writeable, table.num_rows) == ((5_000, 8), True, 5_000)
    assert str(table.schema.field("embedding").type) == "list<item: float>"
    assert np.array_equal(np.array(table["embedding"].to_pylist(), dtype=np.float32), array)


def test_embeddings_of_two_sizes_are_no_array(server: FakeServer, folder: Path) -> None:
    report = asyncrun.run(notes(server))
    (folder / "out.jsonl").write_text('{"id": "a", "embedding": [1, 2]}\n{"id": "b", "embedding": [1, 2, 3]}\n')
    with pytest.raises(StorageError, match="embeddings of 2 and of 3 numbers"):
        report.array()


@pytest.mark.parametrize("embedding", ['"x"', '{"a": 1}', "3", "[[1, 2]]", '[1, "b"]'])
def test_a_row_whose_embedding_cannot_be_read_says_so(embedding: str, server: FakeServer, folder: Path) -> None:
    report = asyncrun.run(notes(server))
    (folder / "out.jsonl").write_text(f'{{"id": "a", "embedding": {embedding}}}\n')
    for ask in (report.array, lambda: list(report.rows())):
        with pytest.raises(StorageError, match=r"out\.jsonl:1: the embedding is no list of numbers"):
            ask()


def test_an_array_that_is_not_that_of_the_run_is_not_believed(server: FakeServer, folder: Path) -> None:
    report = asyncrun.run(notes(server, output="out.npy"))
    np.save(folder / "out.npy", np.zeros((1, 8), dtype=np.float32))
    with pytest.raises(StorageError, match=r"does not have an id for each row of .*out\.npy"):
        list(report.rows())
    np.save(folder / "out.npy", np.zeros(2, dtype=np.float32))
    with pytest.raises(StorageError, match=r"has no rows of numbers but float32 of the shape \(2,\)"):
        report.array()


def test_a_pickled_report_holds_no_key(server: FakeServer, folder: Path) -> None:
    environ = {"ANY_TOKEN": "a-secret-of-the-environment"}
    report = asyncrun.run(notes(server, embedder=embedder(server, api_key="sk-a-secret")), environ=environ, variables={"KEY": "sk-another"})
    pickled = pickle.dumps(report)
    assert not any(secret in pickled for secret in (b"a-secret", b"sk-another"))
    again = pickle.loads(pickled)
    assert (again.status, again.array().shape, again.failures()) == (report.status, report.array().shape, [])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only a process that forks hands its objects on")
def test_a_fork_that_ends_takes_no_rows_away(server: FakeServer) -> None:
    report = asyncrun.run(EmbedJob(name="notes", input={"items": ["one"]}, embedder=embedder(server)))
    if (child := os.fork()) == 0:
        del report
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    assert len(list(report.rows())) == 1


class Raising(LlamaDebugHandler):
    """Raises in one of its methods."""

    def __init__(self, method: str) -> None:
        super().__init__(print_trace_on_end=False)
        setattr(self, method, self.fail)

    def fail(self, *_: Any, **__: Any) -> str:
        raise RuntimeError("a handler that is broken")


@pytest.mark.parametrize("method", ["on_event_start", "on_event_end", "on_event_error", "start_trace", "end_trace"])
def test_a_handler_that_raises_ends_no_run(method: str, server: FakeServer, caplog: pytest.LogCaptureFixture) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    report = asyncrun.run(notes(server), callback_manager=CallbackManager([Raising(method), debug]))
    assert (report.status, len(report.array())) == (Status.SUCCEEDED, 2)
    assert len(debug.get_event_pairs(CBEventType.EMBEDDING)) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only where names of files are bytes")
def test_a_folder_whose_name_is_not_utf8_is_a_folder_like_others(server: FakeServer, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    jobs = EmbedJob(name="notes", input={"items": ["one"]}, embedder=embedder(server), output="out.npy")
    reports = [asyncrun.run(jobs, folder=folder) for _ in range(2)]
    assert [(report.status, report.usage.requests) for report in reports] == [(Status.SUCCEEDED, 1), (Status.SUCCEEDED, 0)]
    assert (folder / "out.npy").is_file()
    assert reports[0].array().shape == (1, 8)


def test_jobs_run_in_a_thread(server: FakeServer) -> None:
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(asyncrun.run, notes(server)).result().status is Status.SUCCEEDED


def test_different_jobs_run_at_once_in_one_loop(server: FakeServer) -> None:
    async def both() -> list[Status]:
        jobs = (notes(server, name=name, output=f"{name}.jsonl") for name in ("one", "two", "three"))
        return [report.status for report in await asyncio.gather(*map(asyncrun.arun, jobs))]

    assert asyncio.run(both()) == [Status.SUCCEEDED] * 3


@pytest.mark.parametrize("form", ["object", "mapping"])
def test_a_job_without_an_output_has_its_rows_in_the_report_and_leaves_no_file(form: str, server: FakeServer, folder: Path) -> None:
    keys: dict[str, Any] = {"name": "notes", "input": "notes.jsonl", "embedder": embedder(server)}
    before = set(folder.iterdir())
    report = asyncrun.run(EmbedJob(**keys) if form == "object" else {**keys, "kind": "embed"})
    assert (report.status, report.array().shape) == (Status.SUCCEEDED, (2, 8))
    assert [(row["id"], row["text"]) for row in report.rows()] == [("a", "one"), ("b", "two")]
    assert {path.name for path in set(folder.iterdir()) - before} == {".asyncrun"}
    [(path, _)] = report.ran.outputs.values()
    again = asyncrun.run(EmbedJob(**keys) if form == "object" else {**keys, "kind": "embed"})
    assert (again.jobs["notes"].counts.cached, len(server.sent_texts)) == (2, 2)
    assert (again.array() == report.array()).all()
    del report
    gc.collect()
    assert not path.parent.exists()
    assert len(again.array()) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "No Name"},
        {"workers": "many"},
        {"input": {"path": "notes.jsonl", "texd": "x"}},
        {"max_failures": "150%"},
        {"output": {"path": "out.nothing"}},
        {"embedder": {"provider": "openai", "model": "m", "dimensions": -1}},
        {"budget": {"tokens": "lots"}, "max_runtime": "soon"},
    ],
)
def test_a_wrong_field_of_a_job_has_the_sentence_of_the_job_file_without_line_and_column(wrong: dict[str, Any]) -> None:
    keys: dict[str, Any] = {"name": "notes", "input": "notes.jsonl", "output": "out.jsonl"} | wrong
    with pytest.raises(JobFileError) as of_file:
        asyncrun.run(json.dumps({"jobs": [{"kind": "embed", **keys}]}, indent=1))
    with pytest.raises(JobFileError) as of_object:
        EmbedJob(**keys)
    said = [(mistake.path.removeprefix("jobs[0]."), mistake.message) for mistake in of_file.value.mistakes]
    assert [(mistake.path, mistake.message) for mistake in of_object.value.mistakes] == said
    assert all(mistake.place is not None for mistake in of_file.value.mistakes)
    assert not any(f"{number}:" in str(of_object.value) for number in range(10))
