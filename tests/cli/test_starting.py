"""`init`, `schema`, `plugins` and what a shell completes: the first steps of a new user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

Command = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]


def test_the_starter_runs_as_it_is_and_its_schema_is_valid_for_it(asyncrun: Command, tmp_path: Path) -> None:
    assert asyncrun("init").code == 0
    first, *_ = (tmp_path / "asyncrun.yaml").read_text().splitlines()
    kept = tmp_path / first.removeprefix("# yaml-language-server: $schema=")
    validator = jsonschema.Draft202012Validator(json.loads(kept.read_text()))
    validator.validate(yaml.safe_load((tmp_path / "asyncrun.yaml").read_text()))
    assert asyncrun("validate", "--strict").code == 0
    assert asyncrun("run", "-q").code == 0
    assert len((tmp_path / "out/notes.jsonl").read_text().splitlines()) == 2


def test_what_the_starter_has_as_comments_is_right_too(asyncrun: Command, tmp_path: Path) -> None:
    asyncrun("init", "all.yaml")
    text = (tmp_path / "all.yaml").read_text()
    lines = [line.replace("# ", "", 1) if line.startswith(("  # - ", "  #   ", "    # ")) else line for line in text.splitlines()]
    assert len(yaml.safe_load("\n".join(lines))["jobs"]) == 4
    (tmp_path / "all.yaml").write_text("\n".join(lines))
    answer = asyncrun("validate", "all.yaml")
    assert answer.code == 0, answer.err


@pytest.mark.parametrize("there", ["asyncrun.yaml", "jobs.yaml"])
def test_init_never_writes_over_a_file(asyncrun: Command, tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    answer = asyncrun("init")
    assert answer.code == 73
    assert there in answer.err
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_text() == "mine"


def test_init_writes_through_no_link_and_keeps_a_schema(asyncrun: Command, tmp_path: Path) -> None:
    (tmp_path / "asyncrun.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    assert asyncrun("init").code == 73
    assert not (tmp_path / "elsewhere.yaml").exists()
    (tmp_path / "asyncrun.schema.json").write_text("mine")
    assert asyncrun("init", "new.yaml").code == 0
    assert (tmp_path / "asyncrun.schema.json").read_text() == "mine"


def test_the_schema_validates_the_example_and_refuses_what_the_job_file_refuses(asyncrun: Command) -> None:
    schema = json.loads(asyncrun("schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(yaml.safe_load((ROOT / "jobs.example.yaml").read_text(encoding="utf-8")))
    wrong = [
        {"jobs": []},
        {"jobs": [{"name": "n", "kind": "embed", "input": "i", "output": "o.jsonl", "outputs": "x"}]},
        {"jobs": [{"name": "N!", "kind": "embed", "input": "i", "output": "o.jsonl"}]},
        {"jobs": [{"name": "n", "kind": "embed", "input": "i", "output": "o.jsonl", "workers": 0}]},
    ]
    assert [document for document in wrong if validator.is_valid(document)] == []


def test_plugins_are_told_with_their_distribution_and_what_is_broken_with_the_reason(
    asyncrun: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "asyncrun_maria-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: asyncrun-maria\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[asyncrun.stores]\nmaria = asyncrun_maria_not_there:Store\n")
    monkeypatch.syspath_prepend(tmp_path)
    shown = asyncrun("plugins").out
    assert "asyncrun-maria 1.2\n  stores     maria\n" in shown
    [part] = [part for part in asyncrun("plugins", "--json").documents[0]["parts"] if part["distribution"] != "asyncrun"]
    assert part == {
        **{"port": "stores", "name": "maria", "distribution": "asyncrun-maria", "version": "1.2"},
        **{"target": "asyncrun_maria_not_there:Store", "extra": None},
        "problem": "the plugin 'maria' of asyncrun-maria cannot be imported: No module named 'asyncrun_maria_not_there'",
    }
    assert f"\n  not used: stores maria: {part['problem']}\n" in shown


@pytest.mark.parametrize(
    ("port", "name", "command"), [("embedders", "local", "run"), ("writers", "jsonl", "plan"), ("kinds", "embed", "run")], ids=str
)
def test_a_name_that_two_distributions_offer_is_refused_with_both(
    asyncrun: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: str, name: str, command: str
) -> None:
    info = tmp_path / "site" / "asyncrun_twin-1.2.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: asyncrun-twin\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[asyncrun.{port}]\n{name} = asyncrun_twin_not_there:part\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    (tmp_path / "jobs.yaml").write_text("jobs: [{name: n, kind: embed, input: {items: [a]}, output: out.jsonl}]\n")
    answer = asyncrun(command)
    assert answer.code == 2
    assert f"{port} name '{name}' is offered by asyncrun and asyncrun-twin" in answer.err
    checked = asyncrun("doctor")
    assert checked.code == 1
    assert "is offered by asyncrun and asyncrun-twin" in checked.out


def test_a_run_looks_at_the_installed_distributions_once(asyncrun: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []

    def look(**chosen: str) -> metadata.EntryPoints:
        looks.append(chosen)
        return metadata.entry_points(**chosen)

    monkeypatch.setattr("asyncrun.plugins.entry_points", look)
    (tmp_path / "notes.md").write_text("a text\n")
    jobs = "{name: n, kind: embed, input: notes.md, output: out.jsonl}, {name: docs, kind: ingest, input: notes.md}"
    (tmp_path / "jobs.yaml").write_text(f"jobs: [{jobs}]\n")
    assert asyncrun("run").code == 0
    assert len(looks) == 1


def completed(words: str, folder: Path) -> list[str]:
    """Return what bash is offered after these words."""
    environ = {**os.environ, "_ASYNCRUN_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    ran = subprocess.run([sys.executable, "-m", "asyncrun"], cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert ran.stderr == ""
    return ran.stdout.split()


def test_a_shell_completes_files_jobs_and_runs(asyncrun: Command, tmp_path: Path) -> None:
    job = "{name: NAME, kind: embed, input: {items: [], allow_empty: true}, output: NAME.jsonl}"
    (tmp_path / "jobs.yaml").write_text(
        f"jobs: [{job.replace('NAME', 'notes')}, {job.replace('NAME', 'news')}, {job.replace('NAME', 'x')}]\n"
    )
    (tmp_path / "broken.yaml").write_text("jobs: [")
    run_id = asyncrun("run", "--json").documents[-1]["run_id"]
    assert completed("asyncrun run n", tmp_path) == ["notes", "news"]
    assert completed("asyncrun plan ", tmp_path) == ["broken.yaml", "jobs.yaml", "notes", "news", "x"]
    assert completed("asyncrun run jobs.yaml notes n", tmp_path) == ["news"]
    assert completed("asyncrun run broken.yaml ", tmp_path) == []
    assert completed("asyncrun trace show ", tmp_path) == ["latest", run_id]
    (tmp_path / "stores.yaml").write_text("stores: {docs: {path: own.db}, other: {}}\njobs: []\n")
    (tmp_path / "index.db").write_bytes(b"")
    assert completed("asyncrun store list -f stores.yaml ", tmp_path) == ["docs", "other", "index.db"]
    assert completed("asyncrun store copy -f stores.yaml docs c --to o", tmp_path) == ["other"]
    assert completed("asyncrun store list -f broken.yaml i", tmp_path) == ["index.db"]
    assert completed("asyncrun trace show 2", tmp_path / "..") in ([], [run_id])


def test_a_real_bash_completes_with_the_script_that_is_shown(asyncrun: Command, tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text("jobs: [{name: notes, kind: embed, input: {items: [], allow_empty: true}, output: o.jsonl}]\n")
    program = tmp_path / "bin/asyncrun"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m asyncrun "$@"\n')
    program.chmod(0o700)
    script = """
        source <(asyncrun --show-completion bash)
        complete_words() {
            COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); COMPREPLY=()
            [[ $(complete -p asyncrun) =~ -F\\ ([^ ]+) ]]
            "${BASH_REMATCH[1]}" asyncrun "${COMP_WORDS[COMP_CWORD]}"
            echo "${COMPREPLY[*]}"
        }
        complete_words asyncrun r; complete_words asyncrun trace s; complete_words asyncrun run jobs.yaml ""
        complete_words asyncrun run --pro; complete_words asyncrun --color a
    """
    environ = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    ran = subprocess.run(["bash", "--norc", "-c", script], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == ["run retry", "show slow serve", "notes", "--progress", "auto always"]
