"""Every block of the README and the docs is what it says: Python and commands run, job files are valid, scripts make transcripts."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from asyncrun import Store
from asyncrun.registry import BUILT_IN
from asyncrun.testing.__main__ import build_parser
from asyncrun.testing.batch_servers import BASE_PATHS
from asyncrun.testing.server import FakeServer
from tests.depth import first

from .conftest import Command

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCED = re.compile(r"(?P<above>[^\n]*\n)```(?P<language>[^\n]*)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
FOLLOWED = re.compile(r"^## Documents, stores and a change of model$.*?(?=^## )", re.DOTALL | re.MULTILINE)
"""A section that needs a folder of documents: tests/cli/test_documents_recipe.py follows it there."""

NOT_RUN = {
    "python3 -m venv .venv && . .venv/bin/activate && pip install .": "needs a package index; .ci/run does the same with the wheel",
    "python3 -m venv .venv && .venv/bin/pip install '.[dev]'": "is run by .ci/run as it stands",
    "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]'": "needs a package index, and hooks a clone of git",
    "pip install '.[docs]' && mkdocs": "needs a package index; .ci/run builds the site",
    "pip install '.[bench]' && python tests/benchmarks/": "takes minutes: its output is the page",
    "python tests/benchmarks/": "takes minutes: its output is the page",
    "uv venv venvs/": "installs other programs from a package index: its output is the page",
    "asyncrun trace serve": "goes on until Ctrl-C: tests/integration/test_trace_serve.py starts it",
    "python scripts/public_names.py --check": "is run by tests/architecture/test_pages.py",
    "export RAY_AUTH_MODE=token": "prepares the cluster that is started below it",
    "(umask 077; ray ": "makes the token of a cluster",
    "ray ": "needs Ray, and stays: tests/ray_cluster.py starts one for the tests",
    "asyncrun run jobs.yaml --executor ray": "needs a cluster: tests/acceptance/test_ray.py runs on one",
}
"""Commands that are not run here, by their beginnings, and why."""
NOT_MADE = {
    "README.md": {"$ asyncrun plan": "compared with a real kill by tests/acceptance/test_readme_kill.py"},
    "architecture.md": dict.fromkeys((" job file", " in the run"), "a drawing"),
    "cron.md": {"15 2 * * *": "compared with what `cron print` writes below"},
    "notices.md": {"Subject: asyncrun": "compared with what a run would send by tests/architecture/test_pages.py"},
    "testing.md": {"--fault": "parsed below"},
    "traces.md": {"|_embedding x 10000": "takes 10,000 requests: tests/benchmarks/bench_callbacks.py makes such a run"},
}
"""Texts that no script writes, by page and beginning, and why."""


LIBRARIES = {r"llama_index|asyncrun\.llama_index": "llama-index", r"langchain|asyncrun\.langchain": "langchain"}
"""Libraries that blocks import, as a pattern, and what a test then needs."""


class Block(NamedTuple):
    """A fenced block, and the line above it."""

    page: str
    number: int
    above: str
    language: str
    code: str


def blocks() -> list[Block]:
    found = []
    for page in PAGES:
        for number, match in enumerate(FENCED.finditer(FOLLOWED.sub("", page.read_text(encoding="utf-8"))), 1):
            found.append(Block(page.name, number, match["above"].strip(), match["language"], match["code"]))
    return found


BLOCKS = blocks()


def commands(block: Block) -> list[str]:
    lines = block.code.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith(tuple(NOT_RUN))]


def in_language(language: str, *, quick: int | None = None) -> Any:
    chosen = [block for block in BLOCKS if block.language == language and (language != "sh" or commands(block))]
    chosen = list(first(chosen, quick=quick or len(chosen)))
    return pytest.mark.parametrize(
        "block", [pytest.param(block, id=f"{block.page}-{block.number}", marks=needs(block)) for block in chosen]
    )


def needs(block: Block) -> list[Any]:
    """Return what a program of Python, or the store, the reader or the executor of a job file, needs besides us."""
    named = [pytest.mark.needs(name) for name in re.findall(r"(?:type|format): (llama-index|lancedb|qdrant|ray)\b", block.code)]
    named += [pytest.mark.needs("postgresql")] if "type: pgvector" in block.code else []
    imported = (need for library, need in LIBRARIES.items() if re.search(rf"^(from|import) {library}", block.code, re.MULTILINE))
    return [*named, *map(pytest.mark.needs, imported)]


def test_every_block_is_fenced_and_says_what_it_is() -> None:
    assert {block.language for block in BLOCKS} == {"console", "dockerfile", "python", "sh", "sql", "text", "toml", "yaml"}
    for page in PAGES:
        outside = FENCED.sub("", page.read_text(encoding="utf-8"))
        assert re.findall(r"\n\n((?: {4,}|\t)\S.*)", outside) == [], page.name


@in_language("python", quick=6)
def test_python_runs_and_prints_something(block: Block, tmp_path: Path) -> None:
    strict = [] if needs(block) else ["-W", "error"]  # others may use what is deprecated
    ran = subprocess.run([sys.executable, *strict, "-c", block.code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()


# Job files ----------------------------------------------------------------------------------------------------------------------------


FILES = (
    "README.md",
    "notes.jsonl",
    "notes/a.jsonl",
    "notes/a.md",
    "notes/a.txt",
    "more.jsonl",
    "notes/more.csv",
    "more.md",
    "docs/a.md",
    "docs/resume.md",
    "docs/exit-codes.md",
    "docs/tutorials/every-night.md",
    "docs/tutorials/reading-a-trace.md",
    "docs/tutorials/resume-after-a-crash.md",
    "docs/traces.md",
    "docs/library.md",
    "questions.jsonl",
)
ROW = {"id": "a", "qid": "a", "key": "a", "text": "a", "question": "a", "title": "a", "description": "a", "lang": "en", "year": 2024}
SMALL_FILES = ("prompt.txt", "tokenizer.json", "models/tokenizer.json", "known-bad.txt", "key.txt")
ASK = {"items": ["a question"]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asyncrun: Command) -> Path:
    """The folder that commands run in, with the files and variables that job files in the docs name."""
    for name in (*FILES, *SMALL_FILES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(ROW) + "\n" if name.endswith(".jsonl") else "id,text\na,a\n")
    with closing(sqlite3.connect(tmp_path / "articles.db")) as connection:
        connection.executescript("CREATE TABLE articles (id, title, body, published); INSERT INTO articles VALUES (1, 'a', 'b', 1);")
    (tmp_path / "prompt.txt").write_text("{question} {context}")
    for name in {variable for block in BLOCKS for variable in re.findall(r"\$\{(\w+)\}", block.code)}:
        monkeypatch.setenv(name, "http://localhost/x" if name.endswith("URL") else "x")
    monkeypatch.delenv("folder", raising=False)
    return tmp_path


def completed(part: dict[str, Any]) -> dict[str, Any]:
    """Return a whole job file with a part of one: jobs that use what it declares, and what its own jobs leave out."""
    sections = {"version", "vars", "defaults", "embedders", "llms", "stores", "trace", "executor", "notify", "metrics", "jobs"}
    whole = dict(part) if part.keys() <= sections else {"jobs": [part]}
    jobs: list[dict[str, Any]] = [dict(job) for job in whole.get("jobs", ())]
    jobs += [{"embedder": name, "name": f"embed-{name}"} for name in whole.get("embedders", ())]
    jobs += [{"kind": "query", "llm": name, "name": f"ask-{name}"} for name in whole.get("llms", ())]
    jobs += [{"kind": "query", "store": name, "name": f"search-{name}"} for name in whole.get("stores", ())]
    for number, job in enumerate(jobs or [{}]):
        job.setdefault("kind", "embed")
        job.setdefault("name", f"job-{number}")
        job.setdefault("input", ASK)
        if job["kind"] != "ingest":
            job.setdefault("output", f"out/{job['name']}.jsonl")
        if "cost" in job.get("budget", ()) and "embedder" not in job:
            job["embedder"] = {"provider": "openai", "model": "m", "price_per_million_tokens": 0.02}
    asked = {(str(job.get("store")), job.get("collection")): job for job in jobs if job["kind"] == "query"}
    filled = {(str(job.get("store")), job.get("collection")) for job in jobs if job["kind"] == "ingest"}
    for number, place in enumerate(asked.keys() - filled):
        same = {key: asked[place][key] for key in ("store", "collection", "embedder") if key in asked[place]}
        jobs.append({"name": f"fill-{number}", "kind": "ingest", "input": "docs/*.md", **same})
    return {**whole, "jobs": jobs or [{"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "out/x.jsonl"}]}


@in_language("yaml")
def test_a_job_file_is_valid(block: Block, folder: Path, asyncrun: Command) -> None:
    part = yaml.safe_load(block.code)
    whole = completed(part)
    added = {key: whole[key] for key in whole.keys() - part.keys()}
    as_it_stands = all(whole.get(key) == part[key] for key in part)
    text = block.code + (yaml.safe_dump(added) if added else "") if as_it_stands else yaml.safe_dump(whole, sort_keys=False)
    (folder / "jobs.yaml").write_text(text)
    answer = asyncrun("validate", "--strict", "jobs.yaml")
    assert (answer.code, answer.err) == (0, ""), answer.err


def test_the_readme_explains_the_example_as_it_is() -> None:
    [shown] = [yaml.safe_load(block.code) for block in BLOCKS if block.page == "README.md" and block.language == "yaml"]
    example = yaml.safe_load((ROOT / "jobs.example.yaml").read_text(encoding="utf-8"))
    # Without the questions themselves: the example would find them here, and not their answers.
    assert [job.pop("input") for job in (shown["jobs"][-1], example["jobs"][-1])]
    assert shown == example


def test_the_readme_names_the_formats_and_stores_that_are_there() -> None:
    [sentence] = re.findall(r"^It reads (.*?)\.", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert set(re.findall(r"`([\w-]+)`", sentence)) == {*BUILT_IN["readers"], *BUILT_IN["stores"]}


# Commands -----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(folder: Path, monkeypatch: pytest.MonkeyPatch, asyncrun: Command, server: FakeServer) -> Path:
    """A folder with a job that has run twice, a crontab of its own, and a key."""
    for name in ("home", "bin"):
        (folder / name).mkdir()
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    programs = {
        "crontab": f'case "$1" in -l) cat "{folder}/tab" ;; -) cat >"{folder}/tab" ;; esac',
        "asyncrun": f'exec "{sys.executable}" -m asyncrun "$@"',
    }
    for name, script in programs.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    (folder / "tab").write_text("")
    (folder / "keys.env").write_text("KEY=1\n")
    (folder / "keys.env").chmod(0o600)
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url}
    job = {"name": "notes", "kind": "embed", "input": "notes.jsonl", "output": "old.jsonl", "embedder": embedder}
    (folder / "jobs.yaml").write_text(yaml.safe_dump({"jobs": [job]}))
    shutil.copy(ROOT / "jobs.example.yaml", folder)
    for _ in range(2):
        assert asyncrun("run", "jobs.yaml", "--quiet").code == 0
    monkeypatch.setenv("OPENAI_API_KEY", "no-secret")
    return folder


def run(line: str, folder: Path, asyncrun: Command) -> tuple[int, str]:
    """Run a line of a shell; what is only a command of ours runs in this process."""
    words = shlex.split(line, comments=True)
    if words[0] == "asyncrun" and not {"&&", "||", "|", ">", ";"} & {*words}:
        answer = asyncrun(*words[1:])
        return answer.code, answer.err
    ran = subprocess.run(["bash", "-euo", "pipefail", "-c", line], cwd=folder, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stderr


@in_language("sh", quick=8)
def test_every_command_runs(block: Block, project: Path, asyncrun: Command) -> None:
    if "asyncrun store" in block.code:
        with Store.open(project / "index.db") as store:
            store.ingest([{"id": "a", "text": "Sign in with your key.", "lang": "en"}], "handbook").check()
    for line in commands(block):
        code, told = run(line, project, asyncrun)
        assert code == 0, f"{line}\n{told}"


def test_what_is_not_run_is_still_there() -> None:
    told = "\n".join(block.code for block in BLOCKS)
    assert [beginning for beginning in NOT_RUN if f"\n{beginning}" not in f"\n{told}"] == []
    scripts = set(re.findall(r"python ((?:tests|scripts|examples)/\S+\.py)", told))
    assert scripts
    assert [path for path in scripts if not (ROOT / path).is_file()] == []


@in_language("toml")
def test_settings_of_a_user_are_accepted(block: Block, project: Path, asyncrun: Command) -> None:
    (project / "home" / "keys.env").write_text("")
    (project / "home" / "keys.env").chmod(stat.S_IRUSR)
    config = project / "home" / ".config" / "asyncrun" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(block.code)
    answer = asyncrun("run", "jobs.yaml", "--quiet")
    assert (answer.code, answer.err) == (0, "")


# Transcripts --------------------------------------------------------------------------------------------------------------------------


def test_every_transcript_is_made_by_a_script_or_stands_in_the_list() -> None:
    texts = [block for block in BLOCKS if block.language == "text" and not re.fullmatch(r"<!-- [\w ]+ -->", block.above)]
    texts = [block for block in texts if block.page != "commands.md"]  # scripts/commands_page.py makes the whole of it
    unknown = [block for block in texts if not block.code.startswith(tuple(NOT_MADE.get(block.page, {"\0": ""})))]
    assert [f"{block.page}: {block.code.splitlines()[0]}" for block in unknown] == []


def test_the_line_of_the_crontab_is_the_one_that_is_added(project: Path, asyncrun: Command) -> None:
    page = [block for block in BLOCKS if block.page == "cron.md"]
    [command] = [line for block in page[:1] for line in commands(block)]
    [shown] = [block.code.strip() for block in page if block.language == "text"]
    assert asyncrun(*shlex.split(command)[1:]).code == 0
    [added] = (project / "tab").read_text().splitlines()
    unplaced = re.sub(r"(?<= )/\S+/(?=(?:python\S*|asyncrun|jobs\.yaml|keys\.env)(?: |$))", "", added)
    unplaced = re.sub(r"(?<= )(?:\S*python\S* -m asyncrun|asyncrun)(?= run)", "asyncrun", re.sub(r"python[\d.]*", "python3", unplaced))
    assert unplaced == re.sub(r"(?<= )/\S+/(?=\w)", "", shown)


@in_language("console")
def test_a_rehearsal_starts_as_it_is_shown(block: Block) -> None:
    command, url, *vendors = block.code.splitlines()
    words = shlex.split(command)
    assert words[:4] == ["$", "python", "-m", "asyncrun.testing"]
    given = build_parser().parse_args(words[4:])
    assert url == f"http://127.0.0.1:{given.port}/v1"
    assert vendors == [f"{name:<10}http://127.0.0.1:{given.port}{path}" for name, path in BASE_PATHS.items() if given.batch]


def test_faults_are_understood_as_they_are_shown() -> None:
    [block] = [block for block in BLOCKS if block.page == "testing.md" and block.language == "text"]
    for line in block.code.splitlines():
        assert build_parser().parse_args(shlex.split(line)).fault
