"""The dashboard and the rules in `examples/monitoring` ask for figures that there are, by labels that they have."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from asyncrun.metrics import METRICS, Metric, RunEnd, render_prometheus, run_metrics
from asyncrun.results import JobResult, Status
from asyncrun.usage import Usage

MONITORING = Path(__file__).resolve().parents[2] / "examples" / "monitoring"
NAMES = {Metric(name, unit, "").prometheus_name for name, (unit, _) in METRICS.items()}
OWN_NAME = re.compile(r"\basyncrun_\w+")
MATCHER = re.compile(r"(\w+)=~?\"")
FIELDS = re.compile(r"\{\{ ?(?:\$labels\.)?(\w+) ?\}\}")


@pytest.fixture(scope="module")
def labels() -> dict[str, set[str]]:
    """The labels of each figure, as they are written."""
    job = JobResult("notes", "embed", Status.SUCCEEDED, 0, usage=Usage(cost=1.0))
    text = render_prometheus(run_metrics(RunEnd("jobs.yaml", ["notes"], 1.0, 0, 1.0, [job])))
    found = {
        family.name: {label for sample in family.samples for label in sample.labels} for family in text_string_to_metric_families(text)
    }
    assert found.keys() == NAMES
    return found


def dashboard() -> dict[str, Any]:
    return dict(json.loads((MONITORING / "dashboard.json").read_text()))


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]


def asked() -> list[tuple[str, str]]:
    """Expressions, each with the text that shows what comes of it."""
    found = [(target["expr"], target["legendFormat"]) for panel in dashboard()["panels"] for target in panel["targets"]]
    found += [(variable["definition"], "") for variable in dashboard()["templating"]["list"] if variable["type"] == "query"]
    return found + [(rule["expr"], rule["annotations"]["summary"]) for rule in rules()]


@pytest.mark.parametrize(("expression", "shown"), asked(), ids=lambda text: text[:60])
def test_what_is_asked_for_is_there(expression: str, shown: str, labels: dict[str, set[str]]) -> None:
    [name] = OWN_NAME.findall(expression)
    assert name in labels
    assert {*MATCHER.findall(expression), *FIELDS.findall(shown)} <= labels[name]


def test_the_dashboard_shows_every_figure_and_its_panels_do_not_overlap() -> None:
    board = dashboard()
    shown = {name for panel in board["panels"] for target in panel["targets"] for name in OWN_NAME.findall(target["expr"])}
    assert NAMES - shown == {"asyncrun_run_success_timestamp_seconds", "asyncrun_job_exit_code", "asyncrun_job_timestamp_seconds"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    places = [panel["gridPos"] for panel in board["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert [
        (one, two)
        for one, two in combinations(places, 2)
        if one["x"] < two["x"] + two["w"]
        and two["x"] < one["x"] + one["w"]
        and one["y"] < two["y"] + two["h"]
        and two["y"] < one["y"] + one["h"]
    ] == []
