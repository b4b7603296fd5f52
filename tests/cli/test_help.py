"""What `--help` shows: a screen with an example for each command; flags before and after its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncrun.cli._app import build_app

Command = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]


def names(group: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*above, name)
        if hasattr(command, "commands"):
            yield from names(command, (*above, name))


COMMANDS = list(names(build_app()))
LONG = {("run",): 34, ("embed",): 25, ("generate",): 30}
"""Commands that have more flags of their own than a screen of 24 lines holds."""


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_a_command_fits_a_screen_and_has_an_example(
    asyncrun: Command, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    answer = asyncrun(*command, "--help")
    lines = answer.out.splitlines()
    assert answer.code == 0
    assert any(line.startswith("  Example: asyncrun ") for line in lines)
    assert max(map(len, lines)) <= 80
    assert len(lines) <= LONG.get(command, 24)
    assert asyncrun(*command, "-h").out == answer.out


def test_the_help_of_the_whole_names_every_command_in_a_whole_sentence(asyncrun: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    answer = asyncrun("--help")
    assert "..." not in answer.out.replace("[ARGS]...", "")
    assert all(re.search(rf"^  {command[0]} ", answer.out, re.M) for command in COMMANDS)
    assert len(answer.out.splitlines()) <= 42  # every command, and every flag that all of them take


def test_a_call_without_a_command_shows_the_help_and_is_a_mistake(asyncrun: Command) -> None:
    answer = asyncrun()
    assert answer.code == 2
    assert answer.out == asyncrun("--help").out


def test_the_version_is_told_before_and_after_any_command(asyncrun: Command) -> None:
    told = asyncrun("--version").out
    assert told.startswith("asyncrun ")
    for command in COMMANDS:
        assert asyncrun(*command, "--version").out == told


def test_global_flags_stand_before_and_after_groups_and_their_commands(asyncrun: Command, tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text("jobs: [{name: n, kind: embed, input: {items: [], allow_empty: true}, output: out.jsonl}]\n")
    assert asyncrun("run", "-q").code == 0
    answers = [
        asyncrun(*words).documents
        for words in (
            ["--json", "trace", "list"],
            ["trace", "--json", "list"],
            ["trace", "list", "--json"],
            ["--color", "never", "trace", "list", "--json"],
        )
    ]
    assert answers[0]
    assert answers.count(answers[0]) == 4


def test_a_wrong_flag_is_told_in_one_sentence_with_the_way_out(asyncrun: Command) -> None:
    answer = asyncrun("run", "--colour", "never")
    assert answer.code == 2
    assert answer.err.startswith("asyncrun: No such option: --colour")
    assert answer.err.splitlines()[-1] == "  See asyncrun run --help."
    assert asyncrun("nonsense").err.splitlines()[-1] == "  See asyncrun --help."


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name, *below in COMMANDS if not below and f"`asyncrun {name}" not in readme] == []


def test_a_file_that_is_not_there_is_never_replaced_by_the_default_one(asyncrun: Command, tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text("jobs: [{name: n, kind: embed, input: {items: [], allow_empty: true}, output: out.jsonl}]\n")
    for command in ("validate", "clean"):
        answer = asyncrun(command, "nightly")
        assert answer.code == 2
        assert "nightly" in answer.err


def test_a_folder_with_the_name_of_a_job_does_not_hide_the_job(asyncrun: Command, tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text("jobs: [{name: notes, kind: embed, input: {items: [], allow_empty: true}, output: out.jsonl}]\n")
    (tmp_path / "notes").mkdir()
    assert asyncrun("run", "notes").code == 0


@pytest.mark.parametrize("command", ["run", "plan", "validate", "failed", "retry", "clean"])
def test_the_file_is_asyncrun_yaml_before_jobs_yaml(asyncrun: Command, tmp_path: Path, command: str) -> None:
    (tmp_path / "jobs.yaml").write_text("jobs: 5\n")
    assert asyncrun(command).code == 2
    (tmp_path / "asyncrun.yaml").write_text("jobs: [{name: n, kind: embed, input: {items: [], allow_empty: true}, output: out.jsonl}]\n")
    assert asyncrun(command).code == 0
