"""What a flag or a job writes is nothing that is read: each flag, each file that must stay, each name of it, and the answer is 2."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.server import FakeServer
from tests.depth import first

from .conftest import Answer, Command

STAYS = {
    "notes.jsonl": "an input of the job notes",
    "docs/a.jsonl": "an input of the job docs",
    "bad.jsonl": "the skip file of the job notes",
    "prompt.jsonl": "the prompt of the job ask",
    "key.jsonl": "a key file of the job file",
    "env.jsonl": "the env file",
    "jobs.jsonl": "the job file",
    "index.jsonl": "the store of the job fill",
    "out/docs.jsonl": "the output of the job docs",
    ".asyncrun/ledger.jsonl": "in the state folder",
}
"""Files that are there, each with what it is; all of them end as an output may."""
ALONE = {
    "docs/new.jsonl": "an input of the job docs",
    "index.jsonl-wal": "the store of the job fill",
    "out/pairs.ids.txt": "the output of the job pairs",
    "out/pairs.npy": "the output of the job pairs",
    ".asyncrun/new/trace.jsonl": "in the state folder",
}
"""Paths where nothing is yet."""
FLAGS: dict[str, list[str]] = {
    "run --output": ["run", "jobs.jsonl", "notes", "--output"],
    "run --summary-file": ["run", "jobs.jsonl", "notes", "--summary-file"],
    "run --metrics-file": ["run", "jobs.jsonl", "notes", "--metrics-file"],
    "run --log-file": ["run", "jobs.jsonl", "notes", "--log-file"],
    "export -o": ["export", "jobs.jsonl", "notes", "-o"],
    "trace html -o": ["trace", "html", "-f", "jobs.jsonl", "-o"],
    "trace export -o": ["trace", "export", "--format", "json", "-f", "jobs.jsonl", "-o"],
    "ledger export -o": ["ledger", "export", "-f", "jobs.jsonl", "-o"],
}
ENV = ["--env-file", "env.jsonl"]


def symbolic(path: Path) -> Path:
    link = Path("link.jsonl")
    link.symlink_to(path)
    return link


def hard(path: Path) -> Path:
    link = Path("link.jsonl")
    link.hardlink_to(path)
    return link


WAYS: dict[str, Callable[[Path], Path]] = {
    "plain": lambda path: path,
    "absolute": lambda path: path.absolute(),
    "dotted": lambda path: Path("docs", "..", path),
    "symbolic link": symbolic,
    "hard link": hard,
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a job file that names all there is, after a run of one of its jobs."""
    folder = tmp_path_factory.mktemp("made")
    for name in STAYS:
        (folder / name).parent.mkdir(exist_ok=True, mode=0o700)
        (folder / name).write_text('{"id": "a", "text": "one"}\n')
    (folder / "key.jsonl").write_text("a-key")
    (folder / "prompt.jsonl").write_text("{question}")
    for name in ("env.jsonl", "bad.jsonl", "index.jsonl"):
        (folder / name).write_text("")
    (folder / "env.jsonl").chmod(0o600)
    with FakeServer().in_thread() as server:
        embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
        llm = {"provider": "openai", "model": "m", "base_url": server.base_url, "api_key": {"file": "key.jsonl"}}
        store = {"path": "index.jsonl"}
        shared: dict[str, Any] = {"input": "notes.jsonl", "embedder": embedder}
        jobs = [
            {**shared, "name": "notes", "kind": "embed", "output": "out/notes.jsonl", "skip": "bad.jsonl"},
            {**shared, "name": "docs", "kind": "embed", "input": "docs/*.jsonl", "output": "out/docs.jsonl"},
            {**shared, "name": "pairs", "kind": "embed", "output": "out/pairs.npy"},
            {**shared, "name": "fill", "kind": "ingest", "store": store},
            {
                **shared,
                "name": "ask",
                "kind": "query",
                "store": store,
                "llm": llm,
                "prompt": {"path": "prompt.jsonl"},
                "output": "ask.jsonl",
            },
        ]
        (folder / "jobs.jsonl").write_text(json.dumps({"jobs": jobs}))
        subprocess.run([sys.executable, "-m", "asyncrun", "run", "jobs.jsonl", "notes", "-q"], cwd=folder, check=True)
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, asyncrun: Command) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def files_in(folder: Path) -> dict[str, bytes]:
    """Return every file but those of SQLite, which who reads opens, too."""
    found = (path for path in folder.rglob("*") if path.is_file() and ".db" not in path.name)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def check_refused(answer: Answer, path: Path, what: str) -> None:
    assert (answer.code, f"{path} is {what}" in " ".join(answer.err.split())) == (2, True), answer


@pytest.mark.parametrize("way", first(list(WAYS)[::-1], quick=2))
@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_that_names_what_is_read_is_refused_and_touches_nothing(asyncrun: Command, folder: Path, flag: str, way: str) -> None:
    for name, what in STAYS.items():
        path = WAYS[way](Path(name))
        before = files_in(folder)
        check_refused(asyncrun(*FLAGS[flag], str(path), *ENV), path, what)
        assert files_in(folder) == before
        Path("link.jsonl").unlink(missing_ok=True)


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag not in ("run --output", "export -o")])
def test_so_is_a_name_where_nothing_is_yet(asyncrun: Command, folder: Path, flag: str) -> None:
    for name, what in ALONE.items():
        check_refused(asyncrun(*FLAGS[flag], name), Path(name), what)
        check_refused(asyncrun(*FLAGS[flag], str(symbolic(Path(name)))), Path("link.jsonl"), what)
        Path("link.jsonl").unlink()
        assert not Path(name).exists()


@pytest.mark.parametrize("flag", ["run --output", "export -o"])
def test_the_ids_beside_an_npy_file_count(asyncrun: Command, folder: Path, flag: str) -> None:
    Path("bad.jsonl").rename("bad.ids.txt")
    text = Path("jobs.jsonl").read_text().replace("bad.jsonl", "bad.ids.txt")
    Path("jobs.jsonl").write_text(text)
    check_refused(asyncrun(*FLAGS[flag], "bad.npy"), Path("bad.ids.txt"), STAYS["bad.jsonl"])
    assert not Path("bad.npy").exists()


def test_a_run_is_refused_before_its_log_and_its_state_folder_are_there(asyncrun: Command, folder: Path) -> None:
    shutil.rmtree(".asyncrun")
    before = files_in(folder)
    asyncrun("run", "jobs.jsonl", "notes", "--log-file", "run.log", "--summary-file", "notes.jsonl")
    assert (files_in(folder), Path(".asyncrun").exists()) == (before, False)


@pytest.mark.parametrize(
    ("words", "path", "what"),
    [
        (["--summary-file", "one.txt", "--log-file", "./one.txt"], "one.txt", "what --summary-file names, too"),
        (["--metrics-file", "one.txt", "--log-file", "./one.txt"], "one.txt", "what --metrics-file names, too"),
        (["--summary-file", "out/notes.jsonl"], "out/notes.jsonl", "the output of the job notes"),
        (["--output", "new.jsonl", "--log-file", "new.jsonl"], "new.jsonl", "the output of the job notes"),
        (["--output", "new.npy", "--log-file", "new.ids.txt"], "new.ids.txt", "the output of the job notes"),
        (["--limit", "1", "--log-file", "out/notes.limit-1.jsonl"], "out/notes.limit-1.jsonl", "the output of the job notes"),
        (["--input", "other.jsonl", "--output", "other.jsonl"], "other.jsonl", "an input of the job notes"),
        (["--state-dir", "state", "--log-file", "state/run.log"], "state/run.log", "in the state folder"),
        (["--state-dir", "out"], "out/notes.jsonl", "in the state folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_flags_and_outputs_keep_out_of_each_others_way(asyncrun: Command, folder: Path, words: list[str], path: str, what: str) -> None:
    Path("other.jsonl").write_text('{"id": "b", "text": "two"}\n')
    before = files_in(folder)
    check_refused(asyncrun("run", "jobs.jsonl", "notes", *words), Path(path), what)
    assert files_in(folder) == before


def test_a_flag_starts_at_the_working_directory_and_a_job_at_its_files_folder(
    asyncrun: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "docs")
    check_refused(asyncrun("run", "../jobs.jsonl", "notes", "--log-file", "a.jsonl"), Path("a.jsonl"), STAYS["docs/a.jsonl"])
    check_refused(asyncrun("export", "../jobs.jsonl", "notes", "-o", "../notes.jsonl"), Path("../notes.jsonl"), STAYS["notes.jsonl"])
    assert asyncrun("run", "../jobs.jsonl", "notes", "--log-file", "notes.jsonl.log").code == 0


def test_a_state_folder_that_holds_the_job_file_too_keeps_only_what_is_its_own(asyncrun: Command, folder: Path) -> None:
    asyncrun("run", "jobs.jsonl", "notes", "--state-dir", ".", "--log-file", "run.log")
    assert "notes" in Path("run.log").read_text()
    before = Path("ledger.db").read_bytes()
    check_refused(asyncrun("run", "jobs.jsonl", "notes", "--state-dir", ".", "--log-file", "ledger.db"), Path("ledger.db"), "the ledger")
    check_refused(asyncrun("trace", "html", "--state-dir", ".", "-o", "traces.db-wal"), Path("traces.db-wal"), "the traces")
    assert Path("ledger.db").read_bytes() == before


@pytest.mark.parametrize("way", WAYS)
def test_embed_is_refused_alike(asyncrun: Command, folder: Path, way: str) -> None:
    path = WAYS[way](Path("docs/a.jsonl"))
    before = files_in(folder)
    for words in (["-o", str(path)], ["-o", "new.jsonl", "--save", str(path)]):
        answer = asyncrun("embed", "docs/*.jsonl", *words)
        assert answer.code == 2
        assert "is an input of" in answer.err
    answer = asyncrun("embed", "docs/*.jsonl", "-o", ".asyncrun/ledger.jsonl")
    assert (answer.code, "the output is in the state folder" in answer.err) == (2, True)
    assert files_in(folder) == before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "what"),
    [(name, what) for name, what in STAYS.items() if name != "env.jsonl"],
)
def test_the_job_files_own_output_is_refused_with_its_place(asyncrun: Command, folder: Path, name: str, what: str, way: str) -> None:
    path = WAYS[way](Path(name))
    config = json.loads(Path("jobs.jsonl").read_text())
    config["jobs"].insert(0, {"name": "more", "kind": "embed", "input": ["docs/*.jsonl", "notes.jsonl"], "output": str(path)})
    os.truncate("jobs.jsonl", 0)
    with Path("jobs.jsonl").open("a") as file:  # A hard link to it stays one.
        json.dump(config, file)
    before = files_in(folder)
    answer = asyncrun("validate", "jobs.jsonl")
    assert answer.code == 2
    own = dict.fromkeys(["notes.jsonl", "docs/a.jsonl"], "an input of this job")
    told = {**own, "out/docs.jsonl": "writes this output too"}.get(name, what)
    assert "output: " in answer.err
    assert told in answer.err
    assert files_in(folder) == before


@pytest.mark.parametrize(
    "words", [["--log-file", "/dev/null"], ["--summary-file", "/dev/stdout"], ["--output", "-"], ["--output", "out/notes.jsonl"]]
)
def test_streams_and_the_own_output_go_on_as_before(asyncrun: Command, folder: Path, words: list[str]) -> None:
    assert asyncrun("run", "jobs.jsonl", "notes", *words).code == 0


def test_an_export_may_take_the_place_of_its_jobs_own_output(asyncrun: Command, folder: Path) -> None:
    assert asyncrun("export", "jobs.jsonl", "notes", "-o", "out/notes.jsonl").code == 0


@pytest.mark.parametrize("words", [["trace", "html"], ["trace", "export", "--format", "json"], ["ledger", "export"]])
def test_without_a_job_file_those_of_the_folder_count(asyncrun: Command, folder: Path, words: list[str]) -> None:
    check_refused(asyncrun(*words, "-o", "notes.jsonl"), Path("notes.jsonl"), STAYS["notes.jsonl"])
    Path("broken.yaml").write_text("jobs: [")
    check_refused(asyncrun(*words, "-o", "broken.yaml"), Path("broken.yaml"), "a job file")
    assert asyncrun(*words, "-o", "fine.json").code == 0
