"""Plugins that are installed: exporters and handlers are used by name, what is broken is named and the rest works."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
Install = Callable[..., None]

SOURCE = Path(__file__).resolve().parents[1] / "programs" / "asyncrun_sample.py"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that leaves a distribution as `pip install` does, whose module is that of SOURCE."""
    site = tmp_path / "site"
    site.mkdir()
    shutil.copy(SOURCE, site)
    monkeypatch.syspath_prepend(site)

    def install(name: str, groups: Mapping[str, Mapping[str, str]]) -> None:
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [[f"[{group}]", *(f"{point} = {target}" for point, target in points.items())] for group, points in groups.items()]
        (info / "entry_points.txt").write_text("\n".join(line for group in lines for line in group))
        importlib.invalidate_caches()

    yield install
    sys.modules.pop("asyncrun_sample", None)


@pytest.fixture(autouse=True)
def job_file(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text("jobs: [{name: n, kind: embed, input: {items: [a, b]}, output: out.jsonl}]\n")


def test_an_exporter_has_its_name_as_a_format(asyncrun: Command, install: Install) -> None:
    install("asyncrun-sample", {"asyncrun.exporters": {"lines": "asyncrun_sample:lines"}})
    assert asyncrun("run").code == 0
    answer = asyncrun("trace", "export", "--format", "lines")
    assert answer.code == 0
    assert answer.out.endswith(" spans\n")
    wrong = asyncrun("trace", "export", "--format", "line")
    assert wrong.code == 2
    assert "known: json, lines, otlp, perfetto; did you mean 'lines'?" in wrong.err


@pytest.mark.parametrize("by", ["flag", "environment", "user config"])
def test_a_handler_that_is_named_hears_the_run(
    asyncrun: Command, install: Install, tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("asyncrun-sample", {"asyncrun.handlers": {"loud": "asyncrun_sample:Loud"}})
    assert asyncrun("run").code == 0
    assert "asyncrun_sample" not in sys.modules
    (tmp_path / "asyncrun").mkdir()
    (tmp_path / "asyncrun" / "config.toml").write_text("handlers = 'loud'\n" if by == "user config" else "")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    if by == "environment":
        monkeypatch.setenv("ASYNCRUN_HANDLERS", "loud")
    answer = asyncrun("run", *(["--handlers", "loud"] if by == "flag" else []))
    assert answer.code == 0
    assert "without the handler" not in answer.err
    assert sys.modules["asyncrun_sample"].HEARD[-2:] == ["async_job", "end"]


def test_a_handler_that_cannot_be_had_is_named_and_the_run_goes_on(asyncrun: Command, install: Install) -> None:
    handlers = {"mute": "asyncrun_sample:broken", "gone": "asyncrun_sample:Gone", "none": "asyncrun_sample:NOTHING"}
    install("asyncrun-sample", {"asyncrun.handlers": handlers})
    install("asyncrun-old", {"asyncrun.handlers": {"old": "asyncrun_sample:Loud"}, "asyncrun.ports": {"handlers": "v7"}})
    answer = asyncrun("run", "--handlers", "mute,gone,none,old")
    assert answer.code == 0
    assert "this run goes without the handler mute: RuntimeError: no webhook is set" in answer.err
    assert "this run goes without the handler gone: the plugin 'gone' of asyncrun-sample cannot be imported" in answer.err
    assert "this run goes without the handler none: the plugin 'none' of asyncrun-sample is no part" in answer.err
    assert "'old' of asyncrun-old is made for v7 of the port handlers, and this asyncrun has v1" in answer.err
    unknown = asyncrun("run", "--handlers", "lood")
    assert unknown.code == 2
    assert "no handlers named 'lood'" in unknown.err


def test_what_cannot_be_used_is_told_by_plugins_and_doctor_and_is_not_in_the_way(asyncrun: Command, install: Install) -> None:
    install("asyncrun-new", {"asyncrun.embedders": {"new": "asyncrun_sample:lines"}, "asyncrun.ports": {"embedders": "v2"}})
    install("asyncrun-twin", {"asyncrun.writers": {"csv": "asyncrun_sample:lines"}})
    install("asyncrun-sample", {"asyncrun.stores": {"gone": "nowhere_at_all:Store", "whole": "asyncrun_sample:lines"}})
    assert asyncrun("run").code == 0
    parts = asyncrun("plugins", "--json").documents[0]["parts"]
    problems = {(part["port"], part["name"], part["distribution"]): part["problem"] for part in parts if part["problem"]}
    assert problems == {
        ("embedders", "new", "asyncrun-new"): "'new' of asyncrun-new is made for v2 of the port embedders, and this asyncrun has v1",
        ("stores", "gone", "asyncrun-sample"): "the plugin 'gone' of asyncrun-sample cannot be imported: No module named 'nowhere_at_all'",
        ("writers", "csv", "asyncrun"): "'csv' is offered by asyncrun-twin, too",
        ("writers", "csv", "asyncrun-twin"): "'csv' is offered by asyncrun, too",
    }
    shown = asyncrun("plugins").out
    assert all(f"not used: {port} {name}: {problem}" in " ".join(shown.split()) for (port, name, _), problem in problems.items())
    checked = asyncrun("doctor")
    assert checked.code == 0
    assert "asyncrun-new 1.0, asyncrun-sample 1.0, asyncrun-twin 1.0" in checked.out
    assert checked.out.count("warn  ") == len(problems)


def test_a_job_that_names_a_part_for_another_version_is_told_so(asyncrun: Command, install: Install, tmp_path: Path) -> None:
    install("asyncrun-new", {"asyncrun.embedders": {"new": "asyncrun_sample:lines"}, "asyncrun.ports": {"embedders": "v2"}})
    job = {"name": "n", "kind": "embed", "input": {"items": ["a"]}, "output": "out.jsonl", "embedder": {"provider": "new", "model": "m"}}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job, {**job, "name": "rest", "embedder": "local", "output": "rest.jsonl"}]}))
    answer = asyncrun("run")
    assert answer.code == 2
    assert "jobs[0].embedder.provider" in answer.err
    assert "'new' of asyncrun-new is made for v2 of the port embedders" in answer.err
    assert asyncrun("run", "rest").code == 0


def test_a_store_has_options_of_its_own_a_key_and_an_address(
    asyncrun: Command, install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "sentinel-key-of-a-store")
    install("asyncrun-sample", {"asyncrun.stores": {"tagged": "asyncrun_sample:Tagged"}})

    def job_file(store: str) -> None:
        (tmp_path / "jobs.yaml").write_text(f"jobs: [{{name: n, kind: ingest, input: {{items: [a, b]}}, store: {store}}}]\n")

    job_file("{type: tagged, path: t.db, options: {tag: x}, api_key: '${KEY}', url: 'http://h/'}")
    answer = asyncrun("run")
    assert answer.code == 0, answer.err
    assert (tmp_path / "t.db").exists()
    assert sys.modules["asyncrun_sample"].HEARD[-1] == ({"tag": "x"}, "sentinel-key-of-a-store", "http://h/")
    for store, sentence in (
        ("{type: tagged, path: t.db, options: {tug: x}}", "options has no tug"),
        ("{type: tagged, path: t.db, schema: s}", "the store type tagged does not take `schema`"),
    ):
        job_file(store)
        for command in ("run", "plan"):
            refused = asyncrun(command)
            assert (refused.code, sentence in refused.err) == (2, True), refused.err


def test_a_collection_may_begin_with_documents_that_a_chunker_gives_nothing_of(asyncrun: Command, install: Install, tmp_path: Path) -> None:
    install("asyncrun-sample", {"asyncrun.chunkers": {"published": "asyncrun_sample:AfterDraft"}})
    job = "{name: n, kind: ingest, input: {items: [%s]}, chunk: {by: published}, store: {path: index.db}}"
    for items in ("draft one", "draft one, draft two, ready"):
        (tmp_path / "jobs.yaml").write_text(f"jobs: [{job % items}]\n")
        answer = asyncrun("run")
        assert answer.code == 0, answer.err
    found = json.loads(asyncrun("store", "stats", "index.db", "documents", "--json").out)
    assert "'chunks': 1" in str(found)
