from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from asyncrun.errors import Place, StorageError
from asyncrun.records import ItemFailure
from asyncrun.results import Counts, JobResult, RunResult, Status
from asyncrun.ui.json_lines import JsonProgress
from asyncrun.usage import Usage

SCHEMA = json.loads((Path(__file__).resolve().parents[3] / "docs" / "events.schema.json").read_text(encoding="utf-8"))
TYPES = ["run_started", "job_started", "item_failed", "progress", "job_finished", "job_finished", "summary"]


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def progress(stream: io.StringIO, clock: Any) -> JsonProgress:
    return JsonProgress(stream, clock)


def documents(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_run_is_told_event_by_event_and_the_summary_comes_last(progress: JsonProgress, stream: io.StringIO, failure: ItemFailure) -> None:
    result = JobResult("notes", "embed", Status.PARTIAL, 3, counts=Counts(items=2, ok=1, failed=1))
    progress.run_started("r1", ["notes"])
    progress.task_started("notes", 2)
    progress.item_failed("notes", failure)
    progress.advance("notes", Counts(ok=1, failed=1))
    progress.task_finished("notes", result)
    progress.run_finished(RunResult("r1", (result,), 1.0))
    progress.close()
    told = documents(stream)
    assert [line["type"] for line in told] == ["run_started", "job_started", "item_failed", "job_finished", "summary"]
    assert {line["schema"] for line in told} == {1}
    assert {line["run_id"] for line in told} == {"r1"}
    assert told[0]["jobs"] == ["notes"]
    assert (told[1]["name"], told[1]["total"]) == ("notes", 2)
    assert (told[3]["name"], told[3]["kind"], told[3]["status"], told[3]["failed"]) == ("notes", "embed", "partial", 1)
    assert told[4]["exit_code"] == 3


def test_a_failed_item_has_every_promised_name(progress: JsonProgress, stream: io.StringIO, failure: ItemFailure) -> None:
    progress.item_failed("notes", failure)
    (line,) = documents(stream)
    assert {name: line[name] for name in ("job", "id", "path", "line", "reason", "message", "attempts")} == {
        "job": "notes",
        "id": "n7",
        "path": "notes.jsonl",
        "line": 7,
        "reason": "too_long",
        "message": "300 tokens, 256 at most",
        "attempts": 2,
    }


def test_no_failed_item_is_left_out(progress: JsonProgress, stream: io.StringIO, failure: ItemFailure) -> None:
    for _ in range(100):
        progress.item_failed("notes", failure)
    assert len(documents(stream)) == 100


def test_progress_comes_every_ten_seconds_at_most(progress: JsonProgress, stream: io.StringIO, clock: Any) -> None:
    progress.run_started("r1", ["notes", "ask"])
    progress.task_started("notes", 100)
    for _ in range(90):
        clock.time += 0.25
        progress.advance("notes", Counts(ok=1, cached=1))
    progress.use("notes", Usage(requests=2, retries=1, tokens=500, cost=0.01))
    progress.waiting("notes", "the rate limit")
    clock.time += 10
    progress.waiting("notes", "the rate limit")
    told = [line for line in documents(stream) if line["type"] == "progress"]
    assert [(line["seconds"], line["ok"]) for line in told] == [(10.0, 40), (20.0, 80), (32.5, 90)]
    assert told[2]["jobs"] == [
        {
            "name": "notes",
            "status": "running",
            "total": 100,
            "items": 90,
            "ok": 90,
            "failed": 0,
            "skipped": 0,
            "cached": 90,
            "removed": 0,
            "truncated": 0,
            "requests": 2,
            "retries": 1,
            "tokens": 500,
            "cost": 0.01,
            "cost_source": "price",
            "share": 0.9,
            "seconds_left": None,
            "waiting": "the rate limit",
        }
    ]


def test_the_lines_are_ascii_whatever_the_data_hold(progress: JsonProgress, stream: io.StringIO, failure: ItemFailure) -> None:
    progress.task_started("Zürich \udce9 \x1b[2J \u202e", None)
    assert stream.getvalue().isascii()
    assert "\x1b" not in stream.getvalue()
    assert documents(stream)[0]["name"] == "Zürich \udce9 \x1b[2J \u202e"


def test_a_library_task_ends_with_what_was_counted(progress: JsonProgress, stream: io.StringIO) -> None:
    progress.task_started("squares", 2)
    progress.advance("squares", Counts(ok=2))
    progress.task_finished("squares", None)
    ended = documents(stream)[-1]
    assert (ended["status"], ended["items"], ended["cost"]) == ("succeeded", 2, None)


def test_warnings_do_not_mix_with_the_lines(stream: io.StringIO, clock: Any) -> None:
    warnings = io.StringIO()
    JsonProgress(stream, clock, warnings).warn("two items share an id")
    JsonProgress(stream, clock).warn("two items share an id")
    assert stream.getvalue() == ""
    assert warnings.getvalue() == "warning: two items share an id\n"


class Failing(io.StringIO):
    number = errno.EPIPE
    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        raise OSError(self.number, os.strerror(self.number))


def test_a_reader_that_goes_away_does_not_end_the_run_and_is_not_written_to_any_more(clock: Any) -> None:
    stream = Failing()
    progress = JsonProgress(stream, clock)
    progress.run_started("r1", ["notes"])
    progress.run_finished(RunResult("r1", (), 1.0))
    progress.close()
    assert stream.writes == 1


def test_a_full_disk_is_told(clock: Any) -> None:
    stream = Failing()
    stream.number = errno.ENOSPC
    with pytest.raises(StorageError):
        JsonProgress(stream, clock).run_started("r1", ["notes"])


@pytest.fixture
def events(progress: JsonProgress, stream: io.StringIO, clock: Any) -> list[dict[str, Any]]:
    """A run that says everything once, with what may be unknown known and unknown."""
    usage = Usage(requests=3, retries=1, tokens=400, cost=0.00002)
    failed = JobResult("ask", "query", Status.FAILED, 77, reason="the key was refused", hint="Set it.")
    done = JobResult("notes", "embed", Status.PARTIAL, 3, counts=Counts(items=9, ok=8, failed=1), usage=usage, output="out.jsonl")
    progress.run_started("r1", ["notes", "ask"])
    progress.task_started("notes", 9)
    progress.item_failed("notes", ItemFailure("n7", Place("a.md"), "too_long", "300 tokens, 256 at most", attempts=1))
    progress.use("notes", usage)
    progress.waiting("notes", "rate limit 3 s")
    clock.time += 10
    progress.advance("notes", Counts(items=9, ok=8, failed=1))
    progress.task_finished("notes", done)
    progress.task_finished("ask", failed)
    progress.run_finished(RunResult("r1", (done, failed), 12.0))
    return documents(stream)


def test_every_type_is_as_the_schema_says(events: list[dict[str, Any]]) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert [event["type"] for event in events] == TYPES
    assert [list(Draft202012Validator(SCHEMA).iter_errors(event)) for event in events] == [[]] * len(TYPES)


def test_the_schema_knows_every_name_and_no_other(events: list[dict[str, Any]]) -> None:
    validator = Draft202012Validator(SCHEMA)
    for event in events:
        assert not validator.is_valid({**event, "more": 1})
        for name in event:
            assert not validator.is_valid({key: value for key, value in event.items() if key != name}), name


def test_what_requests_have_used_so_far_is_told_on_the_way(events: list[dict[str, Any]]) -> None:
    [progress] = [event for event in events if event["type"] == "progress"]
    assert (progress["tokens"], progress["cost"], progress["requests"], progress["retries"]) == (400, 0.00002, 3, 1)
    assert progress["jobs"][0]["waiting"] == "rate limit 3 s"
