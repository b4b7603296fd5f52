"""`asyncrun init --plugin`: a package whose own tests pass at once, and whose part is used under its name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from asyncrun.app.init_plugin import STARTERS
from asyncrun.plugins import PORT_VERSIONS
from tests.depth import cases

Command = Callable[..., Any]


def install(package: Path, site: Path) -> None:
    """Leave a package as `pip install` does: its entry points are those of its pyproject.toml."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = project["entry-points"].items()
    lines = [[f"[{group}]", *(f"{name} = {target}" for name, target in points.items())] for group, points in groups]
    (info / "entry_points.txt").write_text("\n".join(line for group in lines for line in group))


def test_every_port_has_a_starter() -> None:
    assert {starter.port for starter in STARTERS.values()} == PORT_VERSIONS.keys()


def test_packages_pass_their_own_tests_and_are_found_by_their_names(asyncrun: Command, tmp_path: Path) -> None:
    # All in one process: each of their own would need two seconds to begin.
    site, kinds = tmp_path / "site", cases(STARTERS, "embedder")
    packages = {kind: tmp_path / f"asyncrun-two-words-{kind}" for kind in kinds}
    for kind, package in packages.items():
        assert asyncrun("init", "--plugin", f"two-words-{kind}", "--kind", kind).code == 0
        install(package, site)
        steps = yaml.safe_load((package / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["test"]["steps"]
        assert steps[-1] == {"run": "pytest"}
    assert len({settings_of_tests(package) for package in packages.values()}) == 1
    # Options for the tests of asyncrun are unknown to those of the packages.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    environ = {**inherited, "PYTHONPATH": os.pathsep.join([*(str(package / "src") for package in packages.values()), str(site)])}
    settings = [
        "--rootdir",
        ".",
        "-c",
        str(packages["embedder"] / "pyproject.toml"),
        "-p",
        "no:cacheprovider",
        "-p",
        "no:xdist",
        "-W",
        "error",
    ]
    words = [sys.executable, "-m", "pytest", "-q", *settings, *(str(package / "tests") for package in packages.values())]
    tested = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout
    listed = subprocess.run([sys.executable, "-m", "asyncrun", "plugins"], env=environ, capture_output=True, text=True, check=True).stdout
    for kind in packages:
        assert f"asyncrun-two-words-{kind} 0.1.0\n  {STARTERS[kind].port:<10} two-words-{kind}" in listed
    assert "not used" not in listed
    ruff, settings = (
        str(Path(sys.executable).with_name("ruff")),
        ["--isolated", "--line-length", "140", "--target-version", "py311", "--no-cache"],
    )
    for package in packages.values():
        for command in (["check"], ["format", "--check"]):
            subprocess.run([ruff, *command, *settings, "."], cwd=package, check=True)


def settings_of_tests(package: Path) -> str:
    """What `pytest` in a package goes by."""
    return json.dumps(tomllib.loads((package / "pyproject.toml").read_text())["tool"]["pytest"], sort_keys=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--plugin", "Two Words"], "small letters, digits and single hyphens"),
        (["--plugin", "x", "--kind", "embeder"], "did you mean 'embedder'?"),
        (["--plugin", "csv", "--kind", "writer"], "'csv' is a name of asyncrun's own"),
        (["--plugin", "x", "full"], "is there already"),
    ],
)
def test_what_cannot_be_written_is_told_and_nothing_is_written_over(asyncrun: Command, tmp_path: Path, words: list[str], said: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    answer = asyncrun("init", *words)
    assert answer.code in (2, 73)
    assert said in answer.err
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "mine.txt"]
