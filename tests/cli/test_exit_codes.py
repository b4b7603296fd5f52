"""Every exit code, each in a test that begins with its number; what else a code stands for is tested where it belongs:

129, 130, 143   acceptance/test_streams_of_commands: a_shell_sees_129_130_143; acceptance/test_signals
1               integration/faults/test_endpoint_faults: c17 (a redirect), c18 (a certificate); test_reply_faults: c12 (another model);
                cli/test_run_ingest_query: more_deletions_than_max_delete_are_refused; cli/test_doctor: what does not answer
2               cli/test_trace_commands: an_unknown_run_ends_2; unit/jobfile: every mistake of a job file
4               cli/test_budget
73              acceptance/test_disk_faults: c20 (a folder, read only, no parent)
74              acceptance/test_disk_faults: c19 (a full disk); acceptance/test_streams_of_commands: a full standard output;
                cli/test_bad_input: an input that ends early
75              integration/faults/test_endpoint_faults: c02 (a quota), c03 (a long Retry-After), c04 (an open circuit);
                integration/test_notify: the_planned_end_of_max_runtime; acceptance/test_kill_and_resume: c28 (two runs at once)
77              cli/test_run_embed, cli/test_run_answers: a key that is refused
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.process_locks import hold_run_lock
from asyncrun.results import winning_exit_code
from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]
REFUSED = error(400, "this text is not allowed", when=lambda request: "poison" in request.texts, times=None)


@pytest.fixture
def write(tmp_path: Path, server: FakeServer) -> Callable[..., None]:
    """A job of three texts, the second of which is refused when the server has the fault."""
    (tmp_path / "notes.jsonl").write_text('{"id": "a", "text": "one"}\n{"id": "b", "text": "poison"}\n{"id": "c", "text": "three"}\n')

    def write(embedder: dict[str, Any] | None = None, **job: Any) -> None:
        described = {"provider": "openai", "model": "m", "base_url": server.base_url, **(embedder or {})}
        entry = {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": described, **job}
        (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [entry]}))

    write()
    return write


def test_0_when_every_item_has_its_row_and_when_there_is_nothing_to_do(asyncrun: Command, write: Callable[..., None]) -> None:
    assert asyncrun("run").code == 0
    assert asyncrun("run").code == 0


def test_1_when_a_job_failed(asyncrun: Command, write: Callable[..., None], server: FakeServer) -> None:
    server.faults.append(REFUSED)
    write(max_failures=0)
    assert asyncrun("run").code == 1


def test_1_from_a_check_that_finds_something_and_0_once_it_is_done(asyncrun: Command, write: Callable[..., None]) -> None:
    assert asyncrun("plan", "--check").code == 1
    asyncrun("run")
    assert asyncrun("plan", "--check").code == 0
    assert asyncrun("failed", "--check").code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--nonsense"],
        ["nonsense"],
        ["run", "nobody"],
        ["run", "nowhere.yaml"],
        ["validate", "nowhere.yaml"],
        ["trace", "show", "19990101"],
    ],
    ids=" ".join,
)
def test_2_for_a_wrong_call_and_nothing_ran(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, tmp_path: Path, words: list[str]
) -> None:
    assert asyncrun(*words).code == 2
    assert server.requests == []
    assert not (tmp_path / ".asyncrun").exists()


def test_2_for_a_mistake_in_the_job_file(asyncrun: Command, write: Callable[..., None], server: FakeServer) -> None:
    write(worker=3)
    assert (asyncrun("run").code, asyncrun("plan").code, asyncrun("validate").code) == (2, 2, 2)
    assert server.requests == []


def test_3_when_some_items_failed_and_when_an_export_misses_rows(asyncrun: Command, write: Callable[..., None], server: FakeServer) -> None:
    server.faults.append(REFUSED)
    assert asyncrun("run").code == 3
    assert asyncrun("export", "n", "-o", "so-far.jsonl").code == 3
    assert asyncrun("failed").code == 0


def test_4_when_a_budget_is_reached(asyncrun: Command, write: Callable[..., None]) -> None:
    write(embedder={"batch": {"max_items": 1}}, budget={"tokens": 1}, workers=1)
    assert asyncrun("run").code == 4


def test_70_for_a_bug_of_ours_in_two_sentences(asyncrun: Command, write: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("asyncrun.app.plan.plan_jobs", broken)
    answer = asyncrun("plan")
    assert answer.code == 70
    assert len(answer.err.splitlines()) == 2


def test_73_when_an_output_cannot_be_created(asyncrun: Command, write: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, no folder")
    write(output="taken/out.jsonl")
    assert asyncrun("run").code == 73


def test_73_when_the_summary_cannot_be_created_though_the_run_went_well(
    asyncrun: Command, write: Callable[..., None], tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file, no folder")
    answer = asyncrun("run", "--summary-file", "taken/summary.json")
    assert answer.code == 73
    assert "Succeeded: all 3 items done" in answer.out
    assert (tmp_path / "out.jsonl").exists()


def test_74_when_a_file_cannot_be_read(asyncrun: Command, write: Callable[..., None]) -> None:
    assert asyncrun("run", "--env-file", "nowhere.env").code == 74


def test_75_when_another_run_holds_the_lock_and_0_when_that_is_to_be_skipped(
    asyncrun: Command, write: Callable[..., None], server: FakeServer, tmp_path: Path
) -> None:
    lock = tmp_path / ".asyncrun/locks/jobs.yaml.lock"
    lock.parent.mkdir(parents=True)
    with hold_run_lock(lock, 0.0):
        assert asyncrun("run").code == 75
        assert asyncrun("run", "--if-running", "skip").code == 0
    assert server.requests == []


def test_75_when_nobody_answers(asyncrun: Command, write: Callable[..., None], unused_url: str) -> None:
    write(embedder={"base_url": unused_url, "retry": {"attempts": 1}})
    assert asyncrun("run").code == 75


def test_77_when_the_key_is_refused(asyncrun: Command, write: Callable[..., None], server: FakeServer) -> None:
    server.faults.append(error(401, "no such key", times=None))
    assert asyncrun("run").code == 77


def test_without_failures_trace_errors_says_so_in_a_line_and_ends_with_0(asyncrun: Command, write: Callable[..., None]) -> None:
    asyncrun("run")
    answer = asyncrun("trace", "errors")
    assert (answer.code, len(answer.out.splitlines())) == (0, 1)


def test_of_two_codes_the_one_wins_that_the_page_names_first() -> None:
    page = (Path(__file__).parents[2] / "docs" / "exit-codes.md").read_text()
    order = [int(code) for code in re.findall(r"\d+", page.partition("a signal wins over ")[2].partition(".")[0].partition("in this")[0])]
    assert sorted(order) == [1, 2, 3, 4, 70, 73, 74, 75, 77]
    codes = [129, *order, 0]
    for position, winner in enumerate(codes):
        for loser in codes[position:]:
            assert winning_exit_code([winner, loser]) == winning_exit_code([loser, winner]) == winner


def test_the_worst_of_several_codes_wins(asyncrun: Command, write: Callable[..., None], server: FakeServer, tmp_path: Path) -> None:
    server.faults.append(error(401, "no such key", times=None))
    (tmp_path / "taken").write_text("a file, no folder")
    assert asyncrun("run", "--summary-file", "taken/summary.json").code == 77
