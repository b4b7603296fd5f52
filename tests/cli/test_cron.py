"""`asyncrun cron`, with a stand-in for the program crontab: what it is given, and that nothing of the user's is touched."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from .conftest import Command

HOSTILE = (
    b'# m h dom mon dow command\r\nMAILTO="me@example.org"\n\n\t \n# 15 2 * * * asyncrun # asyncrun:jobs\n'
    b"0 5 * * 1 tar -zcf /var/backups/home-\\%Y.tgz /home%stdin%more\n@reboot /bin/true \xff\xfe\x0b\xc2\x85\r\n"
)
CRONTAB = """#!/bin/sh
[ ! -e "{folder}/refuses" ] || {{ echo "you are not allowed to use this program" >&2; exit 1; }}
[ ! -e "{folder}/hangs" ] || exec sleep 30
case "$1" in
-l) [ -e "{folder}/tab" ] || {{ echo "no crontab for me" >&2; exit 1; }}; sed 's/\\r/\\\\r/g' "{folder}/tab" ;;
-e) [ ! -e "{folder}/no editor" ] || exit 1; cp "{folder}/tab" "{folder}/edited"; "$VISUAL" "{folder}/edited" ;;
-) cat >"{folder}/tab"; echo >>"{folder}/writes" ;;
*) exit 2 ;;
esac
"""


@pytest.fixture
def cron(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a stand-in for crontab: `tab` is what it keeps, a file `refuses` or `hangs` makes it do so."""
    folder = tmp_path / "cron"
    folder.mkdir()
    program = folder / "crontab"
    program.write_text(CRONTAB.format(folder=folder))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "jobs.yaml").write_text('jobs: [{name: notes, kind: embed, input: {items: ["a"]}, output: out.jsonl}]')
    return folder


def lines(cron: Path) -> list[str]:
    return (cron / "tab").read_text().splitlines()


def test_a_line_has_all_that_the_bare_environment_of_cron_lacks(asyncrun: Command, tmp_path: Path, cron: Path) -> None:
    (tmp_path / "keys.env").write_text("KEY=1\n")
    (tmp_path / "keys.env").chmod(0o600)
    flags = ("--at", "15 2 * * mon-fri", "--name", "nightly", "--jitter", "10m", "--env-file", "keys.env")
    answer = asyncrun("cron", "add", "jobs.yaml", "notes", *flags)
    assert answer.code == 0
    (line,) = lines(cron)
    assert answer.out == f"added: {line}\n"
    assert line.startswith(f"15 2 * * 1-5 {sys.executable} -c 'import random, time; time.sleep(random.uniform(0, 600))' && /")
    words = line.partition(" && ")[2].split()
    assert os.access(words[0], os.X_OK)
    assert words[1:] == [
        *("run", str(tmp_path / "jobs.yaml"), "notes", "--quiet", "--if-running", "skip"),
        *("--env-file", str(tmp_path / "keys.env"), "#", "asyncrun:nightly"),
    ]


@pytest.mark.parametrize("before", [HOSTILE, HOSTILE.removesuffix(b"\r\n"), b""], ids=["hostile", "no newline at the end", "empty"])
def test_a_crontab_is_the_same_to_the_byte_after_adding_and_removing(asyncrun: Command, cron: Path, before: bytes) -> None:
    (cron / "tab").write_bytes(before)
    assert asyncrun("cron", "add", "--at", "@daily").code == 0
    assert asyncrun("cron", "add", "--at", "@weekly", "--name", "weekly").code == 0
    added = (cron / "tab").read_bytes()
    assert added != before
    assert [
        line for line in added.split(b"\n") if not line.endswith((b"# asyncrun:jobs", b"# asyncrun:weekly")) or line.startswith(b"#")
    ] == (before.split(b"\n"))
    assert asyncrun("cron", "remove", "jobs").out == "removed: jobs\n"
    assert asyncrun("cron", "remove", "weekly").code == 0
    assert (cron / "tab").read_bytes() == before


def test_a_crontab_that_cannot_be_read_as_it_is_is_not_written(asyncrun: Command, cron: Path) -> None:
    (cron / "tab").write_bytes(HOSTILE)
    (cron / "no editor").touch()
    answer = asyncrun("cron", "add", "--at", "@daily")
    assert answer.code == 74
    assert "cannot be told: nothing is changed" in answer.err
    assert (cron / "tab").read_bytes() == HOSTILE


def test_list_and_print_show_what_is_there(asyncrun: Command, tmp_path: Path, cron: Path) -> None:
    assert asyncrun("cron").out == "no job file runs by itself; asyncrun cron add --help says how one does\n"
    asyncrun("cron", "add", "--at", "@daily")
    (tmp_path / "50% of it.yaml").write_text((tmp_path / "jobs.yaml").read_text())
    asyncrun("cron", "add", "50% of it.yaml", "--at", "0 3 * * *", "--name", "half")
    asyncrun("cron", "add", "--at", "0 4 * * *", "--name", "timer", "--systemd")
    assert "50\\% of it.yaml' --quiet" in (cron / "tab").read_text()
    document = json.loads(asyncrun("cron", "list", "--json").out)
    assert document["schema"] == 1
    assert [(entry["name"], entry["by"], entry["schedule"]) for entry in document["entries"]] == [
        ("jobs", "cron", "@daily"),
        ("half", "cron", "0 3 * * *"),
        ("timer", "systemd", "*-*-* 04:00:00"),
    ]
    assert "50% of it.yaml' --quiet" in document["entries"][1]["command"]
    table = asyncrun("cron", "list").out.splitlines()
    assert [line.split()[:2] for line in table] == [["name", "by"], ["jobs", "cron"], ["half", "cron"], ["timer", "systemd"]]
    assert asyncrun("cron", "print").out == (cron / "tab").read_text()


@pytest.mark.parametrize(("flags", "by"), [([], "cron"), (["--systemd"], "systemd")])
def test_a_program_is_told_what_was_added_and_no_more(asyncrun: Command, cron: Path, flags: list[str], by: str) -> None:
    assert asyncrun("cron", "add", "--at", "@daily", "--name", "before").code == 0
    [entry] = json.loads(asyncrun("cron", "add", "--at", "0 4 * * *", "--name", "night", *flags, "--json").out)["entries"]
    assert (entry["name"], entry["by"]) == ("night", by)


def test_print_shows_what_add_would_write_and_changes_nothing(asyncrun: Command, tmp_path: Path, cron: Path) -> None:
    shown = asyncrun("cron", "print", "jobs.yaml", "--at", "@daily").out
    units = asyncrun("cron", "print", "jobs.yaml", "--at", "@daily", "--systemd").out
    assert not (cron / "tab").exists()
    assert not (tmp_path / "config").exists()
    assert f"added: {shown}" == asyncrun("cron", "add", "jobs.yaml", "--at", "@daily").out
    assert "ExecStart=/" in units
    assert "Persistent=true" in units
    answer = asyncrun("cron", "print", "jobs.yaml")
    assert (answer.code, "without --at" in answer.err) == (2, True)


def test_the_same_line_is_added_once_and_another_one_needs_a_name_of_its_own(asyncrun: Command, cron: Path) -> None:
    assert asyncrun("cron", "add", "--at", "@daily").code == 0
    assert asyncrun("cron", "add", "--at", "@daily").code == 0
    assert len(lines(cron)) == 1
    answer = asyncrun("cron", "add", "--at", "@weekly")
    assert answer.code == 2
    assert answer.err == "asyncrun: there is an entry 'jobs' already\n  Give this one a --name, or: asyncrun cron remove jobs\n"
    assert asyncrun("cron", "add", "--at", "@weekly", "--systemd").code == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--at", "61 2 * * *"), "--at '61 2 * * *': minute: 61 is not in 0 to 59"),
        (("--at", "@daily", "--name", "a b"), "'a b' is no name for a line"),
        (("--at", "@daily", "--jitter", "soon"), "--jitter soon"),
        (("--at", "@reboot", "--systemd"), "--systemd: @reboot is no time of a calendar"),
        (("--at", "@daily", "--env-file", "open.env"), "the env file open.env can be read by others"),
        (("notse", "--at", "@daily"), "no job is named 'notse'"),
        (("bad.yaml", "--at", "@daily"), "bad.yaml:1:1: jobs: missing"),
    ],
)
def test_what_could_not_run_at_night_is_refused_now(
    asyncrun: Command, tmp_path: Path, cron: Path, flags: tuple[str, ...], message: str
) -> None:
    (tmp_path / "open.env").write_text("KEY=1\n")
    (tmp_path / "open.env").chmod(0o640)
    (tmp_path / "bad.yaml").write_text("version: 1\n")
    answer = asyncrun("cron", "add", *flags)
    assert answer.code == 2
    assert message in answer.err
    assert not (cron / "writes").exists()


def test_a_run_refuses_an_env_file_that_others_can_read(asyncrun: Command, tmp_path: Path, cron: Path) -> None:
    (tmp_path / "keys.env").write_text("KEY=1\n")
    (tmp_path / "keys.env").chmod(0o604)
    answer = asyncrun("run", "--quiet", "--env-file", "keys.env")
    assert answer.code == 2
    assert answer.err == "asyncrun: the env file keys.env can be read by others\n  It may hold keys: chmod 600 keys.env\n"


def test_a_variable_that_only_this_shell_has_is_warned_of(
    asyncrun: Command, tmp_path: Path, cron: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jobs.yaml").write_text("jobs: [{name: notes, kind: embed, input: '${NIGHT_NOTES}', output: out.jsonl}]")
    monkeypatch.setenv("NIGHT_NOTES", "x.jsonl")
    answer = asyncrun("cron", "add", "--at", "@daily")
    assert answer.code == 0
    assert "warning: jobs[0].input: the variable NIGHT_NOTES is not set" in answer.err
    assert "--env-file" in answer.err
    (cron / "tab").write_text("NIGHT_NOTES=y.jsonl\n")
    assert asyncrun("cron", "add", "--at", "@daily").err == ""
    (tmp_path / "keys.env").write_text("NIGHT_NOTES=z.jsonl\n")
    (tmp_path / "keys.env").chmod(0o600)
    assert asyncrun("cron", "add", "--at", "@daily", "--name", "b", "--systemd", "--env-file", "keys.env").err == ""


@pytest.mark.parametrize(
    ("model", "environ", "warned"),
    [
        ("openai/text-embedding-3-small", {"OPENAI_API_KEY": "only-here"}, "embedder openai: the variable OPENAI_API_KEY is not set"),
        ("openai/text-embedding-3-small", {}, "embedder openai: the variable OPENAI_API_KEY is not set"),
        ("gemini/m", {}, "embedder gemini: the variable GEMINI_API_KEY or GOOGLE_API_KEY is not set"),
        ("ollama/m", {"OLLAMA_HOST": "box"}, "embedder ollama: the variable OLLAMA_HOST is not set"),
        (
            "{provider: openai, model: m, base_url: 'https://api.openai.com/v1', api_key: '${MINE}'}",
            {"MINE": "x"},
            "variable MINE is not set",
        ),
        ("{provider: openai, model: m, base_url: 'http://localhost:1/v1'}", {"OPENAI_API_KEY": "not sent there"}, None),
        ("{provider: openai, model: m, headers: {authorization: Bearer abc}}", {}, None),
        ("ollama/m", {}, None),
        ("local", {"OPENAI_API_KEY": "of nobody"}, None),
    ],
)
def test_a_key_that_the_models_would_look_for_in_vain_is_warned_of(
    asyncrun: Command, tmp_path: Path, cron: Path, monkeypatch: pytest.MonkeyPatch, model: str, environ: dict[str, str], warned: str | None
) -> None:
    for name in ("OPENAI_API_KEY", "OLLAMA_HOST", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "jobs.yaml").write_text(f"jobs: [{{name: n, kind: embed, input: {{items: [a]}}, output: out.jsonl, embedder: {model}}}]")
    answer = asyncrun("cron", "add", "--at", "@daily")
    assert answer.code == 0
    if warned is None:
        assert answer.err == ""
    else:
        assert warned in answer.err
        assert answer.err.count("warning:") == 1
        assert "--env-file" in answer.err
    assert "only-here" not in answer.out + answer.err


def test_a_key_that_the_crontab_or_the_env_file_has_is_not_warned_of(asyncrun: Command, tmp_path: Path, cron: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(
        "llms: {small: {provider: mistral, model: m}}\njobs: [{name: n, kind: query, input: {items: [a]}, output: out.jsonl, "
        "embedder: openai/m, collection: c, llm: small}]"
    )
    assert asyncrun("cron", "add", "--at", "@daily").err.count("warning:") == 2
    (cron / "tab").write_text("OPENAI_API_KEY=k\n")
    assert "llm mistral: the variable MISTRAL_API_KEY is not set" in (told := asyncrun("cron", "add", "--at", "@daily")).err
    assert told.err.count("warning:") == 1
    (tmp_path / "keys.env").write_text("MISTRAL_API_KEY=z\nOPENAI_API_KEY=k\n")
    (tmp_path / "keys.env").chmod(0o600)
    assert asyncrun("cron", "add", "--at", "@daily", "--name", "b", "--systemd", "--env-file", "keys.env").err == ""


def test_a_crontab_that_refuses_or_hangs_or_is_not_there_is_one_sentence(
    asyncrun: Command, cron: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cron / "refuses").touch()
    answer = asyncrun("cron", "add", "--at", "@daily")
    assert answer.code == 74
    assert answer.err.startswith("asyncrun: crontab -l failed: you are not allowed to use this program\n")
    (cron / "refuses").unlink()
    (cron / "hangs").touch()
    monkeypatch.setattr("asyncrun.schedule.crontab.PROGRAM_TIMEOUT", 0.2)
    assert asyncrun("cron", "list").code == 74
    (cron / "hangs").unlink()
    monkeypatch.setenv("PATH", str(cron / "nothing"))
    answer = asyncrun("cron", "add", "--at", "@daily")
    assert answer.err == "asyncrun: there is no program crontab here\n  Install cron, or use --systemd.\n"
    assert answer.code == 2
    assert asyncrun("cron", "add", "--at", "@daily", "--systemd").code == 0
    assert asyncrun("cron", "list").code == 0


def test_units_are_written_listed_and_removed_and_foreign_ones_stay(asyncrun: Command, tmp_path: Path, cron: Path) -> None:
    folder = tmp_path / "config" / "systemd" / "user"
    folder.mkdir(parents=True)
    (folder / "asyncrun-mine.timer").write_text("[Timer]\nOnCalendar=daily\n")
    answer = asyncrun("cron", "add", "--at", "@daily", "--name", "n", "--systemd", "--jitter", "1h")
    assert answer.code == 0
    assert answer.out.endswith("now: systemctl --user daemon-reload && systemctl --user enable --now asyncrun-n.timer\n")
    assert not (cron / "tab").exists()
    assert stat.S_IMODE((folder / "asyncrun-n.timer").stat().st_mode) & 0o111 == 0
    wants = folder / "timers.target.wants"
    wants.mkdir()
    (wants / "asyncrun-n.timer").symlink_to(folder / "asyncrun-n.timer")
    assert [entry["name"] for entry in json.loads(asyncrun("cron", "list", "--json").out)["entries"]] == ["n"]
    assert asyncrun("cron", "remove", "mine").code == 2
    assert asyncrun("cron", "remove", "n").out.startswith("removed: n\nnow: systemctl --user stop asyncrun-n.timer")
    assert sorted(path.name for path in folder.rglob("*.*")) == ["asyncrun-mine.timer", "timers.target.wants"]


def test_what_is_not_there_cannot_be_removed(asyncrun: Command, cron: Path) -> None:
    assert asyncrun("cron", "remove", "jobs").err == "asyncrun: there is no entry 'jobs'\n  There is none at all.\n"
    asyncrun("cron", "add", "--at", "@daily")
    answer = asyncrun("cron", "remove", "job")
    assert (answer.code, answer.err) == (2, "asyncrun: there is no entry 'job'\n  There are: jobs.\n")
    assert len(lines(cron)) == 1
