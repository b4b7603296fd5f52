"""Runs with an executor: the bytes, the failures and the limits of a run without one; no secret on the way; a text that ends its worker."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.faults import Fault, error
from asyncrun.testing.server import FakeServer
from tests.depth import DEEP

Command = Callable[..., Any]
KEY = "sentinel-0123456789abcdef"
PROGRAMS = Path(__file__).resolve().parents[1] / "programs"


def write_jobs(folder: Path, embedder: dict[str, Any], texts: list[str], *outputs: str) -> None:
    (folder / "notes.jsonl").write_text("".join(json.dumps({"id": str(n), "text": text}) + "\n" for n, text in enumerate(texts)))
    jobs = [
        {"name": f"n{n}", "kind": "embed", "input": "notes.jsonl", "output": output, "embedder": embedder}
        for n, output in enumerate(outputs)
    ]
    (folder / "jobs.yaml").write_text(json.dumps({"executor": {"type": "processes", "processes": 2}, "jobs": jobs}))


def outputs_of(asyncrun: Command, folder: Path, *flags: str) -> tuple[int, dict[str, bytes], dict[str, Any]]:
    """Return the exit code of a run in a fresh state folder, what is in its outputs, and its summary."""
    shutil.rmtree(folder / ".asyncrun", ignore_errors=True)
    for path in folder.glob("out.*"):
        path.unlink()
    answer = asyncrun("run", "--json", *flags)
    return answer.code, {path.name: path.read_bytes() for path in folder.glob("out.*")}, json.loads(answer.out.splitlines()[-1])


def test_outputs_of_a_server_are_the_same_with_and_without_processes(asyncrun: Command, tmp_path: Path, server: FakeServer) -> None:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": 4}}
    write_jobs(tmp_path, embedder, [f"text {n}" for n in range(30)], "out.jsonl", "out.npy", "out.parquet")
    server.faults += [error(400, "This text is refused", when=lambda request: "text 7" in request.texts, times=None)]
    code, there, told = outputs_of(asyncrun, tmp_path)
    assert code == 3
    assert len(there) >= 3
    assert told["workers"], "nothing was done elsewhere"
    here = outputs_of(asyncrun, tmp_path, "--executor", "local")
    assert (code, there) == here[:2]
    counted = ("items", "ok", "failed", "skipped", "cached", "tokens")
    assert {name: told[name] for name in counted} == {name: here[2][name] for name in counted}


def test_outputs_of_the_local_model_are_the_same_with_and_without_processes(asyncrun: Command, tmp_path: Path) -> None:
    write_jobs(tmp_path, {"provider": "local"}, ["a cat", "a pet that purrs", "word " * 400, " ", "the tax office"], "out.jsonl")
    there, here = outputs_of(asyncrun, tmp_path), outputs_of(asyncrun, tmp_path, "--executor", "local")
    assert there[0] == here[0] == 3
    assert there[1] == here[1]
    assert there[2]["truncated"] == here[2]["truncated"] == 1


@pytest.mark.skipif(not DEEP, reason="it takes some seconds on a busy machine: ASYNCRUN_TEST_DEEP=1")
def test_answers_about_rows_are_the_same_with_and_without_processes(asyncrun: Command, tmp_path: Path, server: FakeServer) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    llm = {"provider": "openai", "model": "m", "base_url": server.base_url}
    job = {"name": "n", "kind": "generate", "input": {"items": [f"text {n}" for n in range(6)]}, "llm": llm, "output": "out.jsonl"}
    job |= {"prompt": "Of: {text}", "schema": schema, "samples": 2}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"executor": {"type": "processes", "processes": 2}, "jobs": [job]}))
    server.faults += [
        error(400, "This text is refused", when=lambda request: any("text 4" in each for each in request.prompts), times=None)
    ]
    there, here = outputs_of(asyncrun, tmp_path), outputs_of(asyncrun, tmp_path, "--executor", "local")
    assert there[0] == here[0] == 3
    assert there[1] == here[1]
    assert len(there[1]["out.jsonl"].splitlines()) == 5
    assert there[2]["workers"], "nothing was done elsewhere"


@pytest.mark.needs("ray")
def test_a_plan_needs_no_cluster(asyncrun: Command, tmp_path: Path, unused_port: int) -> None:
    (tmp_path / "note.md").write_text("One thing is said. Another thing is said.")
    job = {"name": "n", "kind": "ingest", "input": "*.md", "store": {"path": "index.db"}, "embedder": {"provider": "local"}}
    executor = {"type": "ray", "address": f"127.0.0.1:{unused_port}"}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"executor": executor, "jobs": [job]}))
    answer = asyncrun("plan", "--json")
    assert (answer.code, answer.documents[0]["jobs"][0]["requests"]) == (0, 1)
    assert asyncrun("run").code == 75


def children() -> list[Path]:
    """Return the processes that this one has started, by their folders in /proc."""
    tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
    return [Path("/proc", child) for task in tasks for child in (task / "children").read_text().split()]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are looked at in /proc")
def test_no_process_file_or_stream_shows_the_key(asyncrun: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def look(_: object) -> float:
        seen.extend(part.read_bytes() for child in children() for part in (child / "cmdline", child / "environ"))
        return 0.0

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FakeServer(key=KEY, latency=look, faults=[Fault(status=500, body=f"not with {KEY}".encode(), after=1)]).in_thread() as server:
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "api_key": "${OPENAI_API_KEY}"}
        write_jobs(tmp_path, embedder, ["one", "two", "three"], "out.jsonl")
        answer = asyncrun("run", "-v", "--log-file", "run.log")
    assert answer.code == 0
    assert seen
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert [words for words in (*seen, *kept, (answer.out + answer.err).encode()) if KEY.encode() in words] == []


@pytest.fixture
def poisoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The embedder of an installed plugin; a text that holds `poison` ends the process that embeds it."""
    info = tmp_path / "site" / "asyncrun_poisoned-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: asyncrun-poisoned\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[asyncrun.embedders]\npoisoned = asyncrun_poisoned:Embedding\n")
    shutil.copy(PROGRAMS / "asyncrun_poisoned.py", tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return {"provider": "poisoned", "model": "m", "limits": {"requests_per_minute": 6000}}


def test_a_text_that_ends_its_worker_costs_one_item(asyncrun: Command, tmp_path: Path, poisoned: dict[str, Any]) -> None:
    texts = [f"text {n}" for n in range(12)]
    texts[5] = "poison"
    write_jobs(tmp_path, poisoned, texts, "out.jsonl")
    code, outputs, told = outputs_of(asyncrun, tmp_path)
    assert (code, told["ok"], told["failed"]) == (3, 11, 1)
    assert [json.loads(row)["id"] for row in outputs["out.jsonl"].splitlines()] == [str(n) for n in range(12) if n != 5]
    assert told["retries"] > 0
    assert told["lost_workers"] > 0
    [failed] = json.loads(asyncrun("failed", "--json").out)["items"]
    assert (failed["id"], failed["reason"]) == ("5", "worker_lost")
    assert "segmentation fault" in failed["message"]
