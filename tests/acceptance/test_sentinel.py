"""A key, and a header's value, that must not get out: whole processes run, and everything they leave or say is searched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from asyncrun.testing.faults import error
from asyncrun.testing.server import FakeServer

KEY = "sentinel0123456789abcdefKEY"
HEADER = "sentinel0123456789abcdefHEADER"
LOOK = [
    *(["plan", "--json"], ["validate", "--strict", "--debug"], ["failed", "--json"], ["trace", "show"], ["trace", "timeline"]),
    *(["trace", "slow"], ["trace", "errors"], ["trace", "list", "--json"], ["trace", "html", "-o", "trace.html"]),
    *(["trace", "export", "--format", form, "-o", f"trace.{form}"] for form in ("otlp", "perfetto", "json")),
    *(["ledger", "stats"], ["ledger", "export", "-o", "ledger.jsonl"], ["export", "notes", "-o", "exported.jsonl"]),
]


def run(folder: Path, *words: str) -> tuple[int, str]:
    """Run a command; return its exit code, and all that it said and all that a process list showed of it."""
    command = [sys.executable, "-m", "asyncrun", *words]
    environ = {**os.environ, "MY_KEY": KEY, "MY_HEADER": HEADER}
    child = subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    shown = Path(f"/proc/{child.pid}/cmdline").read_text()
    out, err = child.communicate(timeout=60)
    return child.returncode, f"{shown}\n{out}\n{err}"


def write_job(folder: Path, server: FakeServer) -> None:
    (folder / "notes.jsonl").write_text("".join(json.dumps({"id": f"t{n}", "text": f"text {n}"}) + "\n" for n in range(12)))
    embedder = {
        "provider": "openai",
        "model": "m",
        "base_url": server.base_url,
        "api_key": "${MY_KEY}",
        "headers": {"x-team": "${MY_HEADER}"},
    }
    embedder |= {"batch": {"max_items": 4}, "retry": {"attempts": 2, "max_wait": "2s"}}
    job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder, "max_failures": "100%"}
    (folder / "jobs.yaml").write_text(json.dumps({"trace": {"text": True}, "jobs": [job]}))


def secrets_in(folder: Path, said: str) -> list[str]:
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()} | {"what was said": said.encode()}
    return [f"{word} in {name}" for word in (KEY, HEADER) for name, data in files.items() if word.encode() in data]


@pytest.mark.parametrize(
    ("status", "codes"), [(None, {0}), (400, {1, 3}), (401, {77}), (500, {0, 3, 75})], ids=["fine", "refused", "unauthorized", "broken"]
)
def test_c37_no_secret_is_in_anything_that_is_left_or_said(tmp_path: Path, status: int | None, codes: set[int]) -> None:
    faults = [] if status is None else [error(status, f"what is {KEY} and {HEADER}, Bearer {KEY}?", times=None)]
    with FakeServer(faults=faults).in_thread() as server:
        write_job(tmp_path, server)
        code, said = run(tmp_path, "run", "--debug", "-v", "--log-file", "run.log", "--summary-file", "summary.json", "--json")
    assert code in codes, said
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.requests[0].headers["x-team"] == HEADER
    assert (tmp_path / "run.log").stat().st_size
    assert (tmp_path / "summary.json").stat().st_size
    for words in LOOK:
        said += run(tmp_path, *words)[1]
    assert {path.name for path in tmp_path.iterdir()} >= {"trace.html", "trace.otlp", "trace.perfetto", "trace.json"}
    assert secrets_in(tmp_path, said) == []


def test_c37_a_key_typed_into_the_job_file_is_not_repeated(tmp_path: Path) -> None:
    with FakeServer().in_thread() as server:
        write_job(tmp_path, server)
    text = (tmp_path / "jobs.yaml").read_text().replace("${MY_KEY}", KEY)
    (tmp_path / "jobs.yaml").write_text(text)
    code, said = run(tmp_path, "run", "--debug")
    assert code == 2
    assert "a key must not stand in the job file" in said
    assert KEY not in said
    assert server.requests == []


@pytest.mark.parametrize("name", ["ledger.db", "traces.db", "locks/jobs.yaml.lock"])
def test_c39_a_link_in_the_place_of_a_state_file_is_not_followed(tmp_path: Path, name: str) -> None:
    other, place = tmp_path / "other", tmp_path / ".asyncrun" / name
    place.parent.mkdir(mode=0o700, parents=True)
    place.symlink_to(other)
    with FakeServer().in_thread() as server:
        write_job(tmp_path, server)
        _, said = run(tmp_path, "run")
    assert not other.exists(), said
    assert "Traceback" not in said


@pytest.mark.parametrize("output", ["../above.jsonl", "deep/er/out.jsonl", "con", "x" * 300 + ".jsonl"])
def test_c39_the_output_path_is_the_users_word(tmp_path: Path, output: str) -> None:
    folder = tmp_path / "jobs"
    folder.mkdir()
    with FakeServer().in_thread() as server:
        write_job(folder, server)
        config = json.loads((folder / "jobs.yaml").read_text())
        config["jobs"][0]["output"] = {"path": output, "format": "jsonl"}
        (folder / "jobs.yaml").write_text(json.dumps(config))
        code, said = run(folder, "run")
    if len(output) > 255:
        assert code == 73, said
        assert server.requests == []
    else:
        assert code == 0, said
        assert len((folder / output).read_text().splitlines()) == 12
