"""A run in shards, side by side or on several machines, is joined into the output of an undisturbed one; nothing is sent for it."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.process_locks import hold_run_lock
from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]
REFUSED = "what nobody may ask"
ROWS = [
    *({"id": str(n), "text": f"text {n % 30}"} for n in range(40)),
    {"id": "empty", "text": " "},
    {"id": "refused", "text": REFUSED},
]


def write_jobs(folder: Path, server: FakeServer, *more: dict[str, Any], limits: dict[str, Any] | None = None, **keys: Any) -> None:
    """Write a job file whose input has equal texts, an empty one, one that the server refuses, and a record that is none."""
    folder.mkdir(exist_ok=True)
    (folder / "items.jsonl").write_text("\n".join([*map(json.dumps, ROWS), '{"id": "torn', ""]))
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": 4}, "price_per_million_tokens": 1}
    notes = {"name": "notes", "kind": "embed", "input": "items.jsonl", "output": "out.jsonl"} | keys
    written = {"embedders": {"e": embedder | ({"limits": limits} if limits else {})}, "defaults": {"embedder": "e"}}
    (folder / "jobs.yaml").write_text(json.dumps({**written, "jobs": [notes, *more]}))


@pytest.fixture
def undisturbed(asyncrun: Command, tmp_path: Path) -> tuple[bytes, str]:
    """What a run without shards writes, and what fails."""
    with FakeServer(faults=[refusal()]).in_thread() as server:
        write_jobs(tmp_path / "whole", server)
        assert asyncrun("run", "whole/jobs.yaml").code == 3
        return (tmp_path / "whole/out.jsonl").read_bytes(), failures(asyncrun, "whole/jobs.yaml")


@pytest.fixture
def picky(server: FakeServer) -> FakeServer:
    server.faults.append(refusal())
    return server


def failures(asyncrun: Command, *job_file: str) -> str:
    """Return what has failed, whatever the port of the server."""
    return re.sub(r"127\.0\.0\.1:\d+", "the server", asyncrun("failed", *job_file).out)


def sent_alone(server: FakeServer) -> Counter[str]:
    """Return how often each text was sent, but those that went with the refused one, and so went again without it."""
    with_refused = {text for request in server.requests if REFUSED in request.texts for text in request.texts}
    return Counter(text for text in server.sent_texts if text not in with_refused)


def refusal() -> Any:
    return error(400, "content policy", when=lambda request: REFUSED in request.texts, times=None)


def test_shards_in_one_folder_are_joined_by_a_run_that_sends_nothing(
    asyncrun: Command, tmp_path: Path, picky: FakeServer, undisturbed: tuple[bytes, str]
) -> None:
    rows, failed = undisturbed
    write_jobs(tmp_path, picky)
    codes = {asyncrun("run", "--shard", f"{number}/3").code for number in (3, 1, 2)}
    assert codes == {0, 3}
    parts = [(tmp_path / f"out.shard-{number}-of-3.jsonl").read_text().splitlines() for number in (1, 2, 3)]
    assert sorted(line for part in parts for line in part) == sorted(rows.decode().splitlines())
    assert set(sent_alone(picky).values()) == {1}
    sent = len(picky.requests)
    answer = asyncrun("run", "--json")
    assert (answer.code, answer.documents[-1]["requests"], len(picky.requests)) == (3, 0, sent)
    assert (tmp_path / "out.jsonl").read_bytes() == rows
    assert failures(asyncrun) == failed


def test_ledgers_of_several_machines_are_joined_and_what_failed_is_not_sent_again(
    asyncrun: Command, tmp_path: Path, picky: FakeServer, undisturbed: tuple[bytes, str]
) -> None:
    for number in (1, 2, 3):
        write_jobs(tmp_path / str(number), picky)
        asyncrun("run", f"{number}/jobs.yaml", "--shard", f"{number}/3")
        assert asyncrun("ledger", "export", "-f", f"{number}/jobs.yaml", "-o", f"{number}.jsonl").code == 0
    assert set(sent_alone(picky).values()) == {1}, "equal texts are in one shard, and are sent once"
    write_jobs(tmp_path, picky)
    sent = len(picky.requests)
    # A portable file, a state folder, and a folder with one.
    answer = asyncrun("ledger", "import", "1.jsonl", "2/.asyncrun", "3")
    assert (answer.code, answer.out.splitlines()[1:]) == (0, ["notes: all 3 shards have finished"])
    assert asyncrun("plan", "--check").code == 0
    answer = asyncrun("run", "--json")
    assert (answer.code, answer.documents[-1]["requests"], len(picky.requests)) == (3, 0, sent)
    assert ((tmp_path / "out.jsonl").read_bytes(), failures(asyncrun)) == undisturbed


def test_a_shard_that_is_missing_is_named_at_the_import_in_the_plan_and_in_the_run(
    asyncrun: Command, tmp_path: Path, server: FakeServer
) -> None:
    for number in (1, 3):
        write_jobs(tmp_path / str(number), server)
        assert asyncrun("run", f"{number}/jobs.yaml", "--shard", f"{number}/4").code in (0, 3)
    write_jobs(tmp_path, server)
    answer = asyncrun("ledger", "import", "1", "3")
    assert answer.out.splitlines()[1:] == ["notes: shards 2, 4 of 4 are missing, or have not finished"]
    [document] = asyncrun("ledger", "import", "1", "--json").documents
    assert document["shards"] == [{"job": "notes", "of": 4, "finished": [1, 3], "missing": [2, 4]}]
    told = "shards 2, 4 of 4 are missing, or have not finished: what is not finished is sent now"
    assert told in asyncrun("plan").out
    answer = asyncrun("run", "--json")
    assert answer.code == 3
    assert told in answer.err
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 41
    assert told not in asyncrun("run", "--json").err


def test_shards_of_different_numbers_are_told_apart(asyncrun: Command, tmp_path: Path, server: FakeServer) -> None:
    for name, shard in (("a", "1/2"), ("b", "3/4")):
        write_jobs(tmp_path / name, server)
        asyncrun("run", f"{name}/jobs.yaml", "--shard", shard)
    write_jobs(tmp_path, server)
    assert asyncrun("ledger", "import", "a", "b").out.splitlines()[1:] == [
        "notes: shard 2 of 2 is missing, or has not finished",
        "notes: shards 1, 2, 4 of 4 are missing, or have not finished",
    ]


def test_shards_of_another_job_file_are_named_and_what_failed_there_is_not_believed(
    asyncrun: Command, tmp_path: Path, picky: FakeServer
) -> None:
    write_jobs(tmp_path / "a", picky)
    shutil.move(tmp_path / "a/jobs.yaml", tmp_path / "a/other.yaml")
    for number in (1, 2):
        asyncrun("run", "a/other.yaml", "--shard", f"{number}/2")
    write_jobs(tmp_path, picky)
    answer = asyncrun("ledger", "import", "a")
    assert answer.out.splitlines()[1:] == ["shards of other.yaml, which is another job file: what failed is not taken in"]
    assert failures(asyncrun) == "no failed items\n"


def test_a_failure_that_came_in_late_does_not_hold_for_what_is_finished_since(asyncrun: Command, tmp_path: Path, picky: FakeServer) -> None:
    for number in (1, 2):
        write_jobs(tmp_path / str(number), picky)
        asyncrun("run", f"{number}/jobs.yaml", "--shard", f"{number}/2")
    picky.faults.clear()
    write_jobs(tmp_path, picky)
    assert asyncrun("run", "--json").documents[-1]["failed"] == 2
    asyncrun("ledger", "import", "1", "2")
    answer = asyncrun("run", "--json")
    assert (answer.documents[-1]["failed"], answer.documents[-1]["requests"]) == (2, 0)


def test_a_shard_does_not_send_again_what_has_failed_in_a_run_of_the_whole(asyncrun: Command, tmp_path: Path, picky: FakeServer) -> None:
    write_jobs(tmp_path, picky)
    assert asyncrun("run").code == 3
    told, sent = failures(asyncrun), len(picky.requests)
    ends = [asyncrun("run", "--shard", f"{number}/2", "--json").documents[-1] for number in (1, 2)]
    assert (sum(end["failed"] for end in ends), len(picky.requests)) == (3, sent)
    assert failures(asyncrun) == told


def test_import_names_a_folder_without_a_ledger_and_the_ledger_itself(asyncrun: Command, tmp_path: Path, server: FakeServer) -> None:
    write_jobs(tmp_path, server)
    asyncrun("run", "--shard", "1/2")
    (tmp_path / "empty").mkdir()
    answer = asyncrun("ledger", "import", "empty")
    assert (answer.code, "a folder without a ledger" in answer.err) == (2, True)
    answer = asyncrun("ledger", "import", ".asyncrun")
    assert (answer.code, "it is the ledger that would be filled" in answer.err) == (2, True)


@pytest.mark.parametrize("words", ["0/4", "5/4", "four", "1/0"])
def test_a_shard_that_is_none_is_refused(asyncrun: Command, tmp_path: Path, server: FakeServer, words: str) -> None:
    write_jobs(tmp_path, server)
    for command in (["run"], ["plan"], ["embed", "items.jsonl", "-o", "rows.jsonl"]):
        answer = asyncrun(*command, "--shard", words)
        assert (answer.code, f"--shard {words}: " in answer.err) == (2, True)
    assert server.requests == []


@pytest.mark.parametrize("flags", [["--limit", "3"], ["notes", "--refresh"], ["--rebuild"]])
def test_what_a_shard_cannot_do_is_refused(asyncrun: Command, tmp_path: Path, server: FakeServer, flags: list[str]) -> None:
    write_jobs(tmp_path, server)
    answer = asyncrun("run", *flags, "--shard", "1/2")
    assert (answer.code, "do not go together" in answer.err) == (2, True)


def test_a_shard_runs_beside_others_and_not_beside_itself_or_the_whole(asyncrun: Command, tmp_path: Path, server: FakeServer) -> None:
    write_jobs(tmp_path, server)
    assert asyncrun("run", "--shard", "1/2").code in (0, 3)
    locks = tmp_path / ".asyncrun" / "locks"
    with hold_run_lock(locks / "jobs.yaml.lock", 0.0, shared=True), hold_run_lock(locks / "jobs.yaml.shard-1-of-2.lock", 0.0):
        assert asyncrun("run", "--shard", "2/2").code in (0, 3)
        answer = asyncrun("run", "--shard", "1/2")
        assert (answer.code, "another run of the shard 1/2 of this job file is going on" in answer.err) == (75, True)
        answer = asyncrun("run")
        assert (answer.code, "another run of this job file is going on" in answer.err) == (75, True)
    with hold_run_lock(locks / "jobs.yaml.lock", 0.0):
        assert asyncrun("run", "--shard", "1/2").code == 75


def test_the_summary_and_the_trace_say_which_shard_it_was(asyncrun: Command, tmp_path: Path, server: FakeServer) -> None:
    write_jobs(tmp_path, server)
    summary = asyncrun("run", "--shard", "02/2", "--json").documents[-1]
    assert (summary["shard"], summary["jobs"][0]["output"]) == ("2/2", "out.shard-2-of-2.jsonl")
    [told] = asyncrun("trace", "show", "--json").documents
    assert told["run"]["settings"]["shard"] == "2/2"
    assert "shard" not in asyncrun("run", "--json").documents[-1]


def test_a_job_that_reads_the_rows_of_another_takes_all_of_its_shard(asyncrun: Command, tmp_path: Path, server: FakeServer) -> None:
    more = {"name": "again", "kind": "embed", "input": {"path": "out.jsonl", "text": "{id}: {text}"}, "output": "again.jsonl"}
    write_jobs(tmp_path, server, more)
    for number in (1, 2):
        asyncrun("run", "--shard", f"{number}/2")
    parts = [
        [json.loads(line)["id"] for line in (tmp_path / f"again.shard-{number}-of-2.jsonl").read_text().splitlines()] for number in (1, 2)
    ]
    sent = len(server.requests)
    assert asyncrun("run", "--json").documents[-1]["requests"] == 0
    assert len(server.requests) == sent
    whole = [json.loads(line)["id"] for line in (tmp_path / "again.jsonl").read_text().splitlines()]
    assert sorted(parts[0] + parts[1]) == sorted(whole)


def test_a_job_that_reads_rows_and_more_is_no_work_for_shards(asyncrun: Command, tmp_path: Path, server: FakeServer) -> None:
    write_jobs(tmp_path, server, {"name": "both", "kind": "embed", "input": ["out.jsonl", "items.jsonl"], "output": "both.jsonl"})
    answer = asyncrun("run", "--shard", "1/2")
    assert (answer.code, "the job both reads the output of another job and more" in answer.err) == (2, True)


def test_stated_limits_and_budgets_are_divided_by_the_number_of_shards(asyncrun: Command, tmp_path: Path, server: FakeServer) -> None:
    write_jobs(tmp_path, server, limits={"requests_per_minute": 6})
    [whole], [part] = (asyncrun("plan", *flags, "--json").documents[0]["jobs"] for flags in ([], ["--shard", "1/2"]))
    assert part["requests"] < 0.6 * whole["requests"]
    assert part["seconds"] > 0.8 * whole["seconds"], "half of the requests at half of the pace"
    assert "shard 1 of 2: stated rates, concurrency and budgets are divided by 2" in asyncrun("plan", "--shard", "1/2").out


def test_a_shard_stops_at_its_part_of_a_budget(asyncrun: Command, tmp_path: Path, server: FakeServer) -> None:
    write_jobs(tmp_path, server, budget={"tokens": 8})
    assert "the budget of 2 tokens is reached" in asyncrun("run", "--shard", "1/4").out
    write_jobs(tmp_path, server)
    assert "--max-cost 1e-06 is reached" in asyncrun("run", "--shard", "1/4", "--max-cost", "0.000004").out


def test_documents_are_cut_and_embedded_in_shards_and_stored_by_the_joined_run(
    asyncrun: Command, tmp_path: Path, server: FakeServer
) -> None:
    more = [
        {"name": "pages", "kind": "ingest", "input": "items.jsonl", "store": "s"},
        {
            "name": "ask",
            "kind": "query",
            "input": {"items": ["text 3", "text 4"]},
            "store": "s",
            "collection": "documents",
            "output": "hits.jsonl",
        },
    ]

    def write(name: str) -> str:
        write_jobs(tmp_path / name, server, *more)
        path = tmp_path / name / "jobs.yaml"
        path.write_text(json.dumps({**json.loads(path.read_text()), "stores": {"s": {"type": "sqlite", "path": "index.db"}}}))
        return f"{name}/jobs.yaml"

    whole = write("whole")
    assert asyncrun("run", whole).code == 3
    for number in (1, 2):
        shard = write(str(number))
        assert asyncrun("run", shard, "pages", "--shard", f"{number}/2", "--json").code in (0, 3)
        assert not (tmp_path / str(number) / "index.db").exists()
    left = "ask: the store that it asks is filled by the run that joins the shards, and it is left to that"
    assert left in asyncrun("plan", shard, "--shard", "1/2").out
    answer = asyncrun("run", shard, "ask", "--shard", "2/2", "--json")
    assert (left in answer.err, [job["name"] for job in answer.documents[-1]["jobs"]]) == (True, ["pages"])
    answer = asyncrun("run", shard, "ask", "--no-needs", "--shard", "1/2")
    assert (answer.code, "--shard fills no store: run `asyncrun run 2/jobs.yaml pages` first, without it." in answer.err) == (2, True)
    joined, sent = write("joined"), len(server.requests)
    assert "pages: all 2 shards have finished" in asyncrun("ledger", "import", "1", "2", "-f", joined).out
    assert asyncrun("run", joined, "pages", "--json").documents[-1]["requests"] == 0
    assert len(server.requests) == sent
    assert asyncrun("run", joined).code == 3
    for output in ("out.jsonl", "hits.jsonl"):
        assert (tmp_path / "joined" / output).read_bytes() == (tmp_path / "whole" / output).read_bytes()


def test_shards_that_were_made_with_another_model_are_named(asyncrun: Command, tmp_path: Path, server: FakeServer) -> None:
    for number, model in ((1, "m"), (2, "other")):
        write_jobs(tmp_path / str(number), server)
        path = tmp_path / str(number) / "jobs.yaml"
        path.write_text(path.read_text().replace('"model": "m"', f'"model": "{model}"'))
        asyncrun("run", f"{number}/jobs.yaml", "--shard", f"{number}/2")
    write_jobs(tmp_path, server)
    assert "notes: shards of 2 were made with different settings" in asyncrun("ledger", "import", "1", "2").out
    assert "shards of 2 were made with other settings: model other -> m" in asyncrun("plan").out


def test_what_failed_in_shards_can_be_sent_again_before_they_are_joined(
    asyncrun: Command, tmp_path: Path, picky: FakeServer, undisturbed: tuple[bytes, str]
) -> None:
    write_jobs(tmp_path, picky)
    for number in (1, 2):
        asyncrun("run", "--shard", f"{number}/2")
    assert failures(asyncrun) == undisturbed[1]
    picky.faults.clear()
    assert asyncrun("retry", "--id", "refused", "--json").documents[-1]["requests"] == 1
    assert "refused" not in failures(asyncrun)
    assert asyncrun("run", "--json").documents[-1]["requests"] == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 41


def test_a_changed_letter_of_what_is_said_of_a_shard_is_named_and_nothing_is_taken_in(
    asyncrun: Command, tmp_path: Path, server: FakeServer
) -> None:
    write_jobs(tmp_path / "1", server)
    asyncrun("run", "1/jobs.yaml", "--shard", "1/2")
    asyncrun("ledger", "export", "-f", "1/jobs.yaml", "-o", "1.jsonl")
    write_jobs(tmp_path, server)
    whole = (tmp_path / "1.jsonl").read_text()
    (tmp_path / "1.jsonl").write_text(whole.replace('"number":1', '"number":2'))
    answer = asyncrun("ledger", "import", "1.jsonl")
    assert (answer.code, "1.jsonl:2: not a whole batch: it does not fit its checksum" in answer.err) == (74, True)
    (tmp_path / "1.jsonl").write_text(whole)
    assert asyncrun("ledger", "import", "1.jsonl", "--json").documents[0]["known"] == 0
