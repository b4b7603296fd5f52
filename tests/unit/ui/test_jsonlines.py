from __future__ import annotations

import errno
import io
import json
import os
from typing import Any

import pytest

from asyncrun.errors import StorageError
from asyncrun.records import Counts, ItemFailure, JobResult, RunResult, Status
from asyncrun.ui.jsonlines import JsonProgress


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

    def write(self, text: str) -> int:
        raise OSError(self.number, os.strerror(self.number))


def test_a_reader_that_goes_away_does_not_end_the_run(clock: Any) -> None:
    progress = JsonProgress(Failing(), clock)
    progress.run_started("r1", ["notes"])
    progress.run_finished(RunResult("r1", (), 1.0))
    progress.close()


def test_a_full_disk_is_told(clock: Any) -> None:
    stream = Failing()
    stream.number = errno.ENOSPC
    with pytest.raises(StorageError):
        JsonProgress(stream, clock).run_started("r1", ["notes"])
