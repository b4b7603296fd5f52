"""Where a setting comes from: flag, environment, job file, user config, default, in this order."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncrun.cli._app import build_app
from asyncrun.cli._settings import SETTINGS, twin
from asyncrun.testing.server import FakeServer

Command = Callable[..., Any]
SPENDS_OR_DELETES = {"refresh", "rebuild", "max-cost", "max-delete", "limit", "var", "input", "output"}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    path = tmp_path / "xdg/asyncrun/config.toml"
    path.parent.mkdir(parents=True)
    return path


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.yaml"
    path.write_text("jobs: [{name: n, kind: embed, input: {items: [], allow_empty: true}, output: out.jsonl}]\n")
    return path


def test_flag_over_environment_over_user_config_over_default(
    asyncrun: Command, config: Path, job: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert asyncrun("run").code == 0
    assert (tmp_path / ".asyncrun").is_dir()
    for source in ("config", "environment", "flag"):
        folder = tmp_path / source
        if source == "config":
            config.write_text(f'state-dir = "{folder}"\n')
        if source == "environment":
            monkeypatch.setenv("ASYNCRUN_STATE_DIR", str(folder))
        for words in [["--state-dir", str(folder), "run"], ["run", "--state-dir", str(folder)]] if source == "flag" else [["run"]]:
            assert not (folder / "ledger.db").exists()
            assert asyncrun(*words).code == 0
            assert (folder / "ledger.db").exists()
            (folder / "ledger.db").unlink()


def test_a_variable_does_not_win_over_a_flag_before_the_command(asyncrun: Command, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASYNCRUN_COLOR", "always")
    assert "\x1b" in asyncrun("run").out
    assert "\x1b" not in asyncrun("--color", "never", "run").out


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[FakeServer]:
    with FakeServer(latency=0.05).in_thread() as server:
        (tmp_path / "notes.jsonl").write_text("".join(f'{{"text": "text {n}"}}\n' for n in range(12)))
        yield server


def most_at_once(asyncrun: Command, tmp_path: Path, server: FakeServer, stated: dict[str, Any], *flags: str) -> float:
    embedder = {"provider": "openai", "model": "m", "base_url": server.base_url, "batch": {"max_items": 1}}
    job = {"name": "n", "kind": "embed", "input": "notes.jsonl", "output": "out.jsonl", "embedder": embedder, **stated}
    (tmp_path / "jobs.yaml").write_text(json.dumps({"jobs": [job]}))
    state = tmp_path / f"state-{len(list(tmp_path.glob('state-*')))}"
    assert asyncrun("--state-dir", str(state), "run", *flags).code == 0
    run = asyncrun("trace", "show", "--state-dir", str(state), "--json").documents[0]
    settings = run["run"]["settings"]
    return settings.get("n.workers")


def test_a_job_file_wins_over_the_user_config_and_an_environment_over_the_job_file(
    asyncrun: Command, config: Path, busy: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text("workers = 2\n")
    assert most_at_once(asyncrun, tmp_path, busy, {}) == 2
    assert most_at_once(asyncrun, tmp_path, busy, {"workers": 3}) == 3
    assert most_at_once(asyncrun, tmp_path, busy, {"workers": "auto"}) is None


def test_the_doctor_shows_the_settings_of_commands_and_where_each_comes_from(
    asyncrun: Command, config: Path, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text('workers = 2\nmax-runtime = "2h"\nfail-fast = false\n')
    monkeypatch.setenv("ASYNCRUN_WORKERS", "3")
    monkeypatch.setenv("ASYNCRUN_COLOR", "never")
    shown = {setting["name"]: (setting["value"], setting["source"]) for setting in asyncrun("doctor", "--json").documents[0]["settings"]}
    assert shown["run --workers"] == ("3", "environment")
    assert shown["run --max-runtime"] == ("2h", "user config")
    assert shown["run --fail-fast"] == ("False", "user config")
    assert shown["color"] == ("never", "environment")
    assert shown["json"] == ("True", "flag")
    assert shown["job file"] == ("jobs.yaml", "default")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = 'never'", "unknown setting"),
        ("max-cost = 5", "unknown setting"),
        ("color = 'sometimes'", "color takes auto, always, never"),
        ("quiet = 1", "quiet takes true or false"),
        ("workers = 0", "workers takes a whole number"),
        ("workers = true", "workers takes a whole number"),
        ("env-file = 'keys.env'", "absolute path"),
        ("state_dir = '/x'", "did you mean 'state-dir'"),
        ("color = ", "not valid TOML"),
    ],
)
def test_a_mistake_in_the_user_config_is_named_with_its_file(asyncrun: Command, config: Path, job: Path, text: str, message: str) -> None:
    config.write_text(text)
    answer = asyncrun("plan")
    assert answer.code == 2
    assert message in answer.err
    assert str(config) in answer.err
    assert asyncrun("--help").code == 0


def test_a_home_in_a_path_of_the_user_config_is_that_of_the_user(asyncrun: Command, config: Path, job: Path, tmp_path: Path) -> None:
    config.write_text('state-dir = "~/state"\n')
    assert asyncrun("run").code == 0
    assert (tmp_path / "home/state/ledger.db").is_file()


@pytest.mark.parametrize(("name", "value"), [("QUIET", "perhaps"), ("COLOR", "sometimes"), ("IF_RUNNING", "never"), ("WORKERS", "0")])
def test_a_variable_with_a_wrong_value_is_named(
    asyncrun: Command, job: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"ASYNCRUN_{name}", value)
    answer = asyncrun("run")
    assert answer.code == 2
    assert name.lower().replace("_", "-") in answer.err.lower().replace("_", "-")


def test_a_variable_that_is_set_to_nothing_counts_as_unset(asyncrun: Command, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SETTINGS:
        monkeypatch.setenv(twin(name), "")
    assert asyncrun("run").code == 0


def commands(group: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    for key, command in group.commands.items():
        yield f"{name}{key}", command
        if hasattr(command, "commands"):
            yield from commands(command, f"{name}{key} ")


def test_every_setting_has_its_twin_and_what_spends_or_deletes_has_none() -> None:
    found = set()
    for name, command in commands(build_app()):
        for parameter in command.params:
            flag = next((word[2:] for word in parameter.opts if word.startswith("--")), None)
            if getattr(parameter, "envvar", None):
                assert flag is not None
                assert name in SETTINGS[flag].commands
                assert parameter.envvar == twin(flag)
                found.add(flag)
    assert found == {name for name, setting in SETTINGS.items() if setting.commands}
    assert not SPENDS_OR_DELETES & SETTINGS.keys()
