"""The trace of a run is opened whatever its file is like; the run never fails because of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from asyncrun.app.recording import hash_of, open_recorder, recorded_summary, settings_of
from asyncrun.clock import SystemClock
from asyncrun.errors import Place, Reason
from asyncrun.jobfile.loader import LoadOptions, load_job_file
from asyncrun.jobfile.sections import TraceConfig
from asyncrun.records import ItemFailure
from asyncrun.redact import Redactor
from asyncrun.results import JobResult, RunResult, Status
from asyncrun.trace.recorder import TraceRecorder
from asyncrun.trace.store import TraceStore
from asyncrun.ui.advice import ADVICE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traces.db"


def opened(path: Path, said: list[str], config: TraceConfig | None = None) -> TraceRecorder:
    return open_recorder(path, Redactor(), SystemClock(), config or TraceConfig(), said.append)


def run(recorder: TraceRecorder) -> str:
    run_id = recorder.begin_run()
    recorder.end_run(status="succeeded", exit_code=0)
    recorder.close()
    return run_id


def runs(path: Path) -> list[str]:
    with TraceStore(path, read_only=True) as store:
        return [run.run_id for run in store.runs()]


def test_a_run_is_recorded_and_nothing_is_said(path: Path) -> None:
    said: list[str] = []
    assert [run(opened(path, said)), run(opened(path, said))] == runs(path)
    assert said == []


def truncate(path: Path) -> None:
    TraceStore(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE more AS WITH n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 9999) SELECT * FROM n")
        database.commit()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096])


def scribble(path: Path) -> None:
    path.write_text("not a database, but long enough to be looked at " * 20)


@pytest.mark.parametrize("damage", [truncate, scribble])
def test_a_damaged_store_is_set_aside(path: Path, damage) -> None:
    damage(path)
    before, said = path.read_bytes(), []
    run_id = run(opened(path, said))
    assert runs(path) == [run_id]
    assert path.with_name("traces.db.damaged").read_bytes() == before
    assert len(said) == 1
    assert "set aside as traces.db.damaged" in said[0]
    # And a second time, over the first.
    scribble(path)
    again = path.read_bytes()
    run(opened(path, said))
    assert path.with_name("traces.db.damaged").read_bytes() == again
    assert len(said) == 2


def test_a_store_that_another_run_sets_aside_first_is_left_to_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def after_another(folder: Path) -> Iterator[None]:
        path.replace(folder / "traces.db.damaged")
        TraceStore(path).close()
        yield

    monkeypatch.setattr("asyncrun.app.recording.hold_folder", after_another)
    scribble(path)
    before = path.read_bytes()
    run_id = run(opened(path, []))
    assert runs(path) == [run_id]
    assert path.with_name("traces.db.damaged").read_bytes() == before


def test_a_newer_store_is_left_alone_and_the_run_goes_without_a_trace(path: Path) -> None:
    TraceStore(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before, said = path.read_bytes(), []
    assert run(opened(path, said)).count("-") == 2
    assert path.read_bytes() == before
    assert len(said) == 1
    assert "this run goes without a trace" in said[0]
    assert "newer asyncrun" in said[0]


def test_a_link_in_its_place_leaves_the_run_without_a_trace(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "elsewhere")
    said: list[str] = []
    run(opened(path, said))
    assert "this run goes without a trace: cannot open" in said[0]
    assert not (tmp_path / "elsewhere").exists()


def test_old_runs_leave_at_the_start(path: Path) -> None:
    said: list[str] = []
    _, second = run(opened(path, said)), run(opened(path, said))
    third = run(opened(path, said, TraceConfig(keep=1e-6)))
    # The latest of those before stays, to compare with.
    assert runs(path) == [second, third]


JOBS = """
embedders:
  o: {provider: openai, model: small, base_url: "http://localhost:1/v1", api_key: "${K}", headers: {X-Key: 0123456789abcdef}}
jobs:
  - {name: notes, kind: embed, input: {items: [a private text, another]}, embedder: o, output: out.jsonl, workers: 3}
"""


def test_settings_hold_what_a_run_was_made_with_and_neither_secrets_nor_texts(tmp_path: Path) -> None:
    file = tmp_path / "jobs.yaml"
    file.write_text(JOBS)
    settings = settings_of(load_job_file(file, LoadOptions(environ={"K": "sk-0123456789abcdef"})).jobs)
    assert settings["notes.embedder.model"] == "small"
    assert settings["notes.workers"] == 3
    assert settings["notes.input.items"] == 2
    assert "0123456789abcdef" not in repr(settings)
    assert "private" not in repr(settings)


def test_the_hash_is_that_of_the_file(path: Path) -> None:
    path.write_bytes(b"")
    assert hash_of(path) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert hash_of(path.with_name("gone")) is None


def test_what_failed_is_recorded_by_its_reason_with_the_first_places_and_each_sentence_once() -> None:
    def failures(reason: str, message: str, count: int) -> list[ItemFailure]:
        return [ItemFailure(f"{reason}{at}", Place("notes.jsonl", at), reason, message.format(at)) for at in range(1, count + 1)]

    kept = (*failures("too_long", "{} tokens, 256 at most", 5), *failures("server_error", "it broke", 1))
    job = JobResult("notes", "embed", Status.PARTIAL, 3, hint="Do this.", failures=kept, failed_by={"too_long": 120, "server_error": 1})
    summary = recorded_summary(
        RunResult("r1", (job, JobResult("ask", "query", Status.SUCCEEDED, 0)), 1.0), {"here": {"requests": 60.0}}, "a b.yaml"
    )
    assert summary["failures"] == [
        {
            **{"job": "notes", "reason": "too_long", "count": 120, "messages": ["1 tokens, 256 at most"]},
            "places": ["notes.jsonl:1", "notes.jsonl:2", "notes.jsonl:3"],
            "advice": ADVICE[Reason.TOO_LONG],
        },
        {
            **{"job": "notes", "reason": "server_error", "count": 1, "places": ["notes.jsonl:1"], "messages": ["it broke"]},
            "advice": "the next `asyncrun run 'a b.yaml'` sends it again",
        },
    ]
    assert summary["hints"] == {"notes": "Do this."}
    assert summary["learned_limits"] == {"here": {"requests": 60.0}}


def test_of_thousands_of_reasons_the_most_frequent_are_recorded_and_the_others_counted() -> None:
    job = JobResult("notes", "embed", Status.PARTIAL, 3, failed_by={f"reason {number}": 40 - number // 100 for number in range(3000)})
    failures = recorded_summary(RunResult("r1", (job,), 1.0), {})["failures"]
    assert len(failures) == 51
    assert failures[0]["count"] == 40
    assert sum(group["count"] for group in failures) == sum(job.failed_by.values())
    assert failures[-1]["messages"] == ["2,950 other reasons: see `asyncrun failed`"]
