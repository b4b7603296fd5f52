"""`metrics:` and `--metrics-file`: the figures of a run in a file that Prometheus' tools take."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from asyncrun.testing.server import FakeServer

from .conftest import Command


def figures(path: str = "run.prom") -> dict[str, dict[str, float]]:
    """Return the values of a file, by the name and what each alone has as a label."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(Path(path).read_text()):
        for sample in family.samples:
            label = next((sample.labels[key] for key in ("outcome", "status", "reason", "job_name") if key in sample.labels), "")
            found.setdefault(sample.name.removeprefix("asyncrun_"), {})[label] = sample.value
    return found


def with_metrics(folder: Path, **more: object) -> None:
    file = folder / "jobs.yaml"
    file.write_text(json.dumps({"metrics": "out/run.prom", **json.loads(file.read_text()), **more}))


def test_a_run_leaves_its_figures_and_a_failed_one_the_time_of_the_last_success(asyncrun: Command, notes: Path, server: FakeServer) -> None:
    with_metrics(notes)
    assert asyncrun("run").code == 0
    first = figures("out/run.prom")
    assert first["job_items"] == {"ok": 2, "failed": 0, "skipped": 0}
    assert first["job_requests"] == {"notes": 1}
    assert first["job_tokens"]["notes"] > 0
    assert first["job_wait_seconds"]["request"] > 0
    assert first["job_status"]["succeeded"] == 1
    assert first["job_success_timestamp_seconds"] == first["job_timestamp_seconds"]
    (notes / "notes.jsonl").write_text("{broken\n")
    assert asyncrun("run").code == 1
    second = figures("out/run.prom")
    assert second["job_failed_items"]["bad_record"] == 1
    assert second["job_exit_code"] == {"notes": 1}
    assert second["job_success_timestamp_seconds"] == first["job_timestamp_seconds"]
    assert second["job_timestamp_seconds"]["notes"] > first["job_timestamp_seconds"]["notes"]


def test_others_may_read_the_file_and_nothing_is_left_beside_it(asyncrun: Command, notes: Path) -> None:
    before = os.umask(0o022)
    try:
        assert asyncrun("run", "--metrics-file", "figures/run.prom").code == 0
    finally:
        os.umask(before)
    assert Path("figures/run.prom").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in Path("figures").iterdir()] == ["run.prom"]


def test_a_flag_takes_the_place_of_the_file_that_is_stated(asyncrun: Command, notes: Path) -> None:
    with_metrics(notes)
    assert asyncrun("run", "--metrics-file", "other.prom").code == 0
    assert (Path("other.prom").exists(), Path("out/run.prom").exists()) == (True, False)
    assert asyncrun("run", "--metrics-file", "out/run.prom").code == 0


def test_a_rehearsal_is_measured_only_where_a_flag_asks_for_it(asyncrun: Command, notes: Path) -> None:
    with_metrics(notes)
    assert asyncrun("run", "--limit", "1").code == 0
    assert not Path("out/run.prom").exists()
    assert asyncrun("run", "--limit", "1", "--metrics-file", "rehearsal.prom").code == 0
    assert figures("rehearsal.prom")["job_items"]["ok"] == 1


def test_a_file_that_cannot_be_written_is_a_warning_and_the_run_ends_as_it_did(asyncrun: Command, notes: Path) -> None:
    with_metrics(notes)
    Path("out").write_text("no folder")
    answer = asyncrun("run")
    assert answer.code == 0
    assert answer.err.count("the metrics are not written: ") == answer.err.count("the output cannot be created") == 1
    assert Path("out.jsonl").exists()


def test_an_error_before_the_first_job_is_measured_too(asyncrun: Command, notes: Path) -> None:
    with_metrics(notes)
    assert asyncrun("run").code == 0
    Path(".asyncrun/ledger.db").unlink()
    Path(".asyncrun/ledger.db").mkdir()
    assert asyncrun("run").code == 74
    found = figures("out/run.prom")
    assert found["run_exit_code"] == {"": 74}
    assert found["job_exit_code"] == {"notes": 0}


@pytest.mark.parametrize("path", ["-", "/dev/null", "/dev/stdout"])
def test_a_stream_cannot_be_replaced(asyncrun: Command, notes: Path, server: FakeServer, path: str) -> None:
    answer = asyncrun("run", "--metrics-file", path)
    assert (answer.code, server.requests) == (2, [])
    assert "--metrics-file takes a file" in answer.err


def test_another_flag_does_not_write_over_the_stated_file(asyncrun: Command, notes: Path) -> None:
    with_metrics(notes)
    for words in (["run", "--log-file"], ["run", "--summary-file"], ["export", "notes", "-o"]):
        name = "out/run.prom"
        answer = asyncrun(*words, name)
        assert (answer.code, f"{name} is the metrics of the job file" in answer.err or "names no format" in answer.err) == (2, True), answer
    assert not Path("out/run.prom").exists()


@pytest.mark.needs("promtool")
def test_promtool_takes_the_file_without_a_word(asyncrun: Command, notes: Path) -> None:
    with_metrics(notes)
    (notes / "notes.jsonl").write_text('{"id": "a", "text": "one"}\n{broken\n')
    assert asyncrun("run").code == 3
    text = Path("out/run.prom").read_text()
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.needs("promtool")
def test_promtool_reads_the_rules_and_the_expressions_of_the_dashboard(tmp_path: Path) -> None:
    monitoring = Path(__file__).resolve().parents[2] / "examples" / "monitoring"
    panels = json.loads((monitoring / "dashboard.json").read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    rules = [{"record": f"tried:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    for file in (tmp_path / "rules.yaml", monitoring / "alerts.yaml"):
        checked = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)
        assert (checked.returncode, "SUCCESS" in checked.stdout) == (0, True), checked
