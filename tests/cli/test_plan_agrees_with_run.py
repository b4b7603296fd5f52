"""What `plan` lets pass, `run` does not refuse: job files of many mistakes, alone and together."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from asyncrun.testing.server import FakeServer
from tests.depth import times

Command = Callable[..., Any]
Choice = Sequence[Any]

ROWS = [{"id": str(n), "group": "g", "text": f"text {n}", "title": f"title {n}", "lang": "en", "author": {"name": "A"}} for n in range(3)]

PATHS: Choice = (
    *("rows.jsonl", "rows.csv", "rows.parquet", "docs/*.md", ["rows.jsonl", "docs/*.md"], "empty.jsonl", "bad.jsonl", "latin.csv"),
    *("none.jsonl", "none/*.md", "docs", "rows.xyz", "x.pdf", "broken.parquet", "made-0.jsonl", "made-*.jsonl", "made-1.parquet", "-"),
)
TEXTS: Choice = ("text", "title", "{title} {text}", "body", "{title} {body}", "author.name", "author.nam", "{", "id")
IDS: Choice = ("id", "group", "qid", "{group}-{id}", "{group}-{qid}", "{x", "text")
METADATA: Choice = ((), ("lang",), ("langue",), ("lang", "author"))
INPUTS: Choice = ({}, {"duplicates": "last"}, {"allow_empty": True}, {"root": "docs"}, {"format": "jsonl"}, {"exclude": ["[z-a]"]})
OUTPUTS: Choice = (
    *("made-{}.jsonl", "made-{}.parquet", "made-{}.npy", "new/made-{}.csv", "-", {"path": "-", "format": "csv"}, "rows.jsonl", "made.xyz"),
    *(
        {"path": "made-{}.npy", "columns": ["id"]},
        {"path": "made-{}.jsonl", "columns": ["text"]},
        "rows.jsonl/made-{}.jsonl",
        "docs",
        "s.txt",
    ),
    *({"path": "made-{}.jsonl", "format": "nope"}, {"path": "made-{}.x", "format": "parquet"}, "jobs.yaml"),
)
EMBEDDERS: Choice = (
    *({"model": "m"}, {"model": "other"}, {"model": "m", "dimensions": 3}, {"model": "${NOPE}"}, {"model": "${NOPE:-m}"}, {}),
    *({"provider": "voyage", "model": "voyage-context-3"}, {"provider": "azure", "model": "m", "base_url": None}, {"provider": "nope"}),
    *({"model": "m", "tokenizer": "none.json"}, {"model": "m", "tokenizer": "rows.jsonl"}, {"model": "m", "headers": {"x": "é\u2028"}}),
    *({"provider": "llama-index", "model": None, "base_url": None, "options": {"class": "no.Class"}}, {"model": "m", "http2": True}),
    *({"model": "m", "base_url": "nowhere"}, {"model": "m", "endpoints": [{"base_url": "http://localhost:9/v1"}], "base_url": None}),
    *({"model": "m", "space": "named"}, {"model": "m", "on_empty": "skip"}, {"model": "m", "api_version": "1"}),
)
MORE: dict[str, dict[str, Choice]] = {
    "any": {
        "skip": (None, "s.txt", "none.txt", "docs"),
        "needs": (None, ["job-0"], ["job-1"], ["nobody"], ["job-2"]),
        "max_failures": (None, "100%", 0),
        "budget": (None, {"tokens": 1}, {"cost": 1.0}),
    },
    "embed": {},
    "ingest": {
        "store": ("a", "index.db", "s.txt", "docs", "none/index.db", {"type": "nope"}, {"type": "llama-index", "path": "x"}),
        "collection": ("docs", "else", "pages"),
        "chunk": (None, {"size": 2, "overlap": 0}, {"size": 8, "overlap": 7}, {"size": 3, "overlap": 3}, {"by": "none"}, {"by": "nope"}),
        "on_new_space": (None, "rebuild"),
        "prune": (None, True),
    },
    "query": {
        "store": ("index.db", "a", "s.txt", "docs", "none/index.db"),
        "collection": ("docs", "else", "pages"),
        "search": ("vector", "keyword", "hybrid", "nope"),
        "filter": (None, "lang = 'en'", "langue = 'en'", "lang =", "author.nam = 'A'"),
        "llm": (None, "chat", "nobody", {"provider": "openai"}),
        "prompt": (None, "{question}", "{metadata.lang} {question}", "{metadata.nope} {question}", {"path": "none.txt"}, {"path": "s.txt"}),
        "context_tokens": (None, 100),
    },
}
FLAGS: Choice = ((), ("--limit", "1"), ("--fail-fast",), ("--workers", "2"))


@pytest.fixture
def base(asyncrun: Command, server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of inputs, with a collection that the model `m` has filled, and one of another embedder."""
    folder = tmp_path / "base"
    (folder / "docs").mkdir(parents=True)
    (folder / "docs/a.md").write_text("# A\n\nA document of a few words. And a sentence more.\n")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "rows.csv").write_text("id,text,title,group,lang\n1,one,t,g,en\n2,two,t,g,en\n")
    (folder / "rows.xyz").write_text("x\n")
    (folder / "empty.jsonl").write_text("")
    (folder / "bad.jsonl").write_text('{"id": 1\n{"id": "2", "text": null}\n{"id": "3", "text": " "}\n')
    (folder / "latin.csv").write_bytes(b"id,text\n1,caf\xe9\n")
    (folder / "s.txt").write_text("{nobody} 1\n")
    (folder / "x.pdf").write_bytes(b"%PDF")
    (folder / "broken.parquet").write_bytes(b"PAR1")
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "rows.parquet")
    monkeypatch.chdir(folder)
    for model, collection in (("m", "docs"), ("third", "pages")):
        embedder = {"provider": "openai", "model": model, "base_url": server.base_url}
        job = {"name": "fill", "kind": "ingest", "input": {"path": "rows.jsonl", "metadata": ["lang"]}, "embedder": embedder}
        (folder / "jobs.yaml").write_text(json.dumps({"jobs": [{**job, "collection": collection, "store": {"path": "index.db"}}]}))
        assert asyncrun("run", "--quiet").code == 0
    return folder


def parts_of(kind: str) -> dict[str, Choice]:
    """Return every part of a job of a kind with its choices; the first of each is right."""
    given: dict[str, Choice] = {"path": PATHS, "text": TEXTS, "id": IDS, "metadata": METADATA, "more": INPUTS}
    output: dict[str, Choice] = {} if kind == "ingest" else {"output": OUTPUTS}
    return {**{f"input.{key}": choices for key, choices in given.items()}, "embedder": EMBEDDERS, **output, **MORE["any"], **MORE[kind]}


def job_of(kind: str, number: int, url: str, chosen: dict[str, Any]) -> dict[str, Any]:
    """Return a job that is right but for what was chosen."""
    parts = {key: chosen.get(key, choices[0]) for key, choices in parts_of(kind).items()}
    given = {key: parts.pop(f"input.{key}") for key in ("path", "text", "id", "metadata", "more")}
    given |= given.pop("more")
    embedder = {key: value for key, value in ({"provider": "openai", "base_url": url} | parts.pop("embedder")).items() if value is not None}
    job: dict[str, Any] = {"name": f"job-{number}", "kind": kind, "input": given, "embedder": embedder}
    for key, value in parts.items():
        if value is not None:
            job[key] = {"path": value} if key == "store" and isinstance(value, str) else value
    named: dict[str, Any] = json.loads(json.dumps(job).replace("{}", str(number)))
    return named


class Folders:
    """Tries job files, each in a folder of its own."""

    def __init__(self, asyncrun: Command, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asyncrun, self.base, self.monkeypatch = asyncrun, base, monkeypatch
        self.passed = 0

    def agree(self, jobs: Sequence[dict[str, Any]], url: str, *, installed: bool = True, flags: Sequence[str] = ()) -> None:
        """Plan the jobs, and run what was planned."""
        folder = self.base.parent / "tried"
        shutil.copytree(self.base, folder)
        chat = {"provider": "openai", "model": "c", "base_url": url}
        (folder / "jobs.yaml").write_text(json.dumps({"llms": {"chat": chat}, "jobs": jobs}))
        with self.monkeypatch.context() as patch:
            patch.chdir(folder)
            if not installed:
                for module in ("asyncrun.writers.parquet", "asyncrun.readers.parquet"):
                    patch.delitem(sys.modules, module, raising=False)
                patch.setitem(sys.modules, "pyarrow", None)
            planned = self.asyncrun("plan")
            if planned.code == 0:
                self.passed += 1
                ran = self.asyncrun("run", *flags)
                assert ran.code != 2, f"{json.dumps(jobs)}\n{planned.out}\n{ran.err}"
        shutil.rmtree(folder)


@pytest.fixture
def folders(asyncrun: Command, base: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    return Folders(asyncrun, base, monkeypatch)


@pytest.mark.parametrize("kind", ["embed", "ingest", "query"])
def test_one_thing_is_not_as_usual(folders: Folders, server: FakeServer, kind: str) -> None:
    url = server.base_url
    cases = [(key, choice) for key, choices in parts_of(kind).items() for choice in choices]
    cases = cases[:: times(quick=8, deep=1)]
    for key, choice in cases:
        # The job before it makes what some of the inputs name.
        jobs = [job_of("embed", 0, url, {}), job_of(kind, 1, url, {key: choice})]
        folders.agree(jobs, url)
    assert folders.passed > len(cases) / 4, "few job files were planned: the test has seen little"


@pytest.mark.parametrize("seed", range(4))
def test_several_things_are_not_as_usual(folders: Folders, server: FakeServer, seed: int) -> None:
    rng, url = random.Random(seed), server.base_url
    count = times(quick=5, deep=40)
    for _ in range(count):
        jobs = []
        for number in range(rng.randint(1, 3)):
            kind = rng.choice(["embed", "ingest", "query"])
            unusual = rng.sample(list(parts_of(kind).items()), rng.randint(0, 2))
            jobs.append(job_of(kind, number, url, {key: rng.choice(choices) for key, choices in unusual}))
        folders.agree(jobs, url, installed=rng.random() < 0.8, flags=rng.choice(FLAGS))
    assert folders.passed >= count / 5, "few job files were planned: the test has seen little"
