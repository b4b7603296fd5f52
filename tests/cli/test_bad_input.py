"""Bad input: one clear sentence with the place and the way out; never a traceback."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]


def write_job(folder: Path, server: FakeServer, **job: Any) -> None:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    whole = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "out/vectors.jsonl", "embedder": embedder, **job}
    (folder / "jobs.yaml").write_text(json.dumps({"jobs": [whole]}))


def test_no_job_file_at_all(asyncrun: Command) -> None:
    answer = asyncrun("run")
    assert answer.code == 2
    assert "asyncrun.yaml or jobs.yaml" in answer.err


def test_a_job_file_that_is_not_there_with_its_near_name(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    write_job(tmp_path, server)
    answer = asyncrun("run", "jbos.yaml")
    assert answer.code == 2
    assert "did you mean 'jobs.yaml'" in answer.err


def test_every_mistake_of_a_job_file_at_once_with_line_column_and_suggestion(asyncrun: Command, tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text("jobs:\n  - name: notes\n    kind: embd\n  - {name: ask, kind: query, neds: [notes]}\n")
    answer = asyncrun("run")
    assert answer.code == 2
    lines = answer.err.splitlines()
    assert any(line.startswith("jobs.yaml:3:11: jobs[0].kind: ") and "did you mean 'embed'?" in line for line in lines)
    assert any(line.startswith("jobs.yaml:4:") and "did you mean 'needs'?" in line for line in lines)
    assert answer.out == ""


def test_a_job_that_is_not_in_the_file(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text('{"text": "one"}\n')
    write_job(tmp_path, server)
    answer = asyncrun("run", "jobs.yaml", "nots")
    assert answer.code == 2
    assert "nots" in answer.err
    assert "notes" in answer.err


def test_a_missing_input_and_a_glob_without_a_match(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    for path in ("notes.jsonl", "notes/**/*.md"):
        write_job(tmp_path, server, input=path)
        answer = asyncrun("run")
        assert answer.code == 2
        assert answer.err.startswith("jobs.yaml:1:")
        assert path in answer.err
    assert server.requests == []


def test_an_empty_input_is_nothing_to_do(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text("")
    write_job(tmp_path, server)
    answer = asyncrun("run", "--json")
    assert answer.code == 0
    assert answer.documents[-1]["items"] == 0
    assert (tmp_path / "out/vectors.jsonl").read_text() == ""


def test_a_file_that_cannot_be_read_to_its_end_fails_the_job_with_74(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    # /proc/self/mem can be opened but not read, by root either.
    (tmp_path / "notes.jsonl").symlink_to("/proc/self/mem")
    write_job(tmp_path, server)
    answer = asyncrun("run")
    assert answer.code == 74
    assert "notes.jsonl" in answer.out
    assert not (tmp_path / "out/vectors.jsonl").exists()


def test_a_repeated_id_is_named_with_both_places(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text('{"id": 1, "text": "a"}\n{"id": 2, "text": "b"}\n{"id": 1, "text": "c"}\n')
    write_job(tmp_path, server)
    answer = asyncrun("run")
    assert answer.code == 2
    assert "notes.jsonl:3" in answer.out
    assert "notes.jsonl:1" in answer.out
    assert server.requests == []


def test_an_output_folder_that_cannot_be_made_is_found_before_anything_is_sent(
    asyncrun: Command, server: FakeServer, tmp_path: Path
) -> None:
    (tmp_path / "notes.jsonl").write_text('{"text": "one"}\n')
    (tmp_path / "out").write_text("a file, not a folder")
    write_job(tmp_path, server)
    answer = asyncrun("run")
    assert answer.code == 73
    assert "out" in answer.out
    assert server.requests == []


def test_a_missing_output_folder_is_made(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text('{"text": "one"}\n')
    write_job(tmp_path, server, output="deep/er/vectors.jsonl")
    assert asyncrun("run").code == 0
    assert (tmp_path / "deep/er/vectors.jsonl").is_file()


def test_a_state_folder_that_cannot_be_written(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text('{"text": "one"}\n')
    write_job(tmp_path, server)
    (tmp_path / "file").write_text("")
    answer = asyncrun("run", "--state-dir", "file/state")
    assert answer.code == 74
    assert "--state-dir" in answer.err


@pytest.mark.parametrize("command", [["plan"], ["failed"], ["export", "jobs.yaml", "notes", "-o", "-"]])
def test_who_only_looks_needs_no_ledger_but_a_place_for_an_empty_one(
    asyncrun: Command, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    (tmp_path / "notes.jsonl").write_text('{"text": "one"}\n')
    write_job(tmp_path, server)
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        answer = asyncrun(*command)
        assert answer.code == 74
        assert answer.err.startswith("asyncrun: no temporary folder can be made: No such file or directory")
    assert asyncrun("run").code == 0
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert asyncrun(*command).code == 0


def test_an_unknown_command_and_an_unknown_flag(asyncrun: Command) -> None:
    assert asyncrun("rnu").code == 2
    assert asyncrun("run", "--quick").code == 2


def test_text_from_outside_moves_no_cursor(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text(
        json.dumps({"id": "\x1b]0;title\x07\x1b[2J\u202e", "txt": 1}) + "\n" + '{"id": "b", "text": "fine"}\n'
    )
    write_job(tmp_path, server)
    answer = asyncrun("run")
    assert answer.code == 3
    assert not {"\x1b", "\x07", "\u202e"} & set(answer.out + answer.err)
    assert "\\x1b]0;title" in answer.out + answer.err


@pytest.mark.parametrize(
    "content", [b"", b"# only a comment\n", b"\x00\x01\x02", b"jobs: [", b"\xff\xfej\x00o\x00", b"jobs: !!python/object:os.system {}\n"]
)
def test_a_file_that_is_no_job_file(asyncrun: Command, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "jobs.yaml").write_bytes(content)
    answer = asyncrun("run")
    assert answer.code == 2
    assert answer.err.startswith("jobs.yaml")


def test_an_env_file_that_others_can_read_is_refused(asyncrun: Command, server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text('{"text": "one"}\n')
    write_job(tmp_path, server, embedder={"provider": "openai", "model": "${MODEL}", "base_url": server.base_url})
    env = tmp_path / "secrets.env"
    env.write_text("# comment\nexport MODEL='from the file'\n")
    assert asyncrun("run", "--env-file", "secrets.env").code == 2
    env.chmod(0o600)
    assert asyncrun("run", "--env-file", "secrets.env").code == 0
    assert {request.document["model"] for request in server.requests} == {"from the file"}


@pytest.mark.parametrize(("content", "why"), [(None, "No such file or directory"), (b"A=\xff\n", "not a text in UTF-8")])
def test_an_env_file_that_cannot_be_read_is_told_in_words(asyncrun: Command, tmp_path: Path, content: bytes | None, why: str) -> None:
    if content is not None:
        (tmp_path / "keys.env").write_bytes(content)
    (tmp_path / "jobs.yaml").write_text("jobs: []\n")
    answer = asyncrun("run", "--env-file", "keys.env")
    assert answer.code == 74
    assert answer.err.splitlines()[0] == f"asyncrun: cannot read the env file keys.env: {why}"


def test_variables_come_from_the_flag_before_the_environment(
    asyncrun: Command, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.jsonl").write_text('{"text": "one"}\n')
    write_job(tmp_path, server, embedder={"provider": "openai", "model": "${MODEL}", "base_url": server.base_url})
    assert "MODEL" not in os.environ
    missing = asyncrun("run")
    assert missing.code == 2
    assert "MODEL" in missing.err
    monkeypatch.setenv("MODEL", "environment")
    assert asyncrun("run", "--var", "MODEL=flag").code == 0
    assert asyncrun("run", "--var", "MODEL").code == 2
    assert {request.document["model"] for request in server.requests} == {"flag"}
