"""Each tutorial and recipe is followed from its first block to its last, in one empty folder, by a reader who types what it says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.depth import cases
from tests.ports import free_port

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"(?P<above>[^\n]*\n)\n?```(?P<language>[^\n]*)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"`(?P<name>[\w./-]+)`:$")
NEEDS = {
    "recipes/docker.md": "check-jsonschema",
    "recipes/duckdb.md": "duckdb",
    "recipes/github-actions.md": "check-jsonschema",
    "recipes/monitoring.md": "promtool",
    "recipes/pandas.md": "pandas",
    "recipes/polars.md": "polars",
}
NOT_TYPED = ("pip install ", "sudo ", "docker ", "systemctl ")
"""Beginnings of lines that a test cannot type: they need an index, a daemon or the whole machine."""
QUICK = ("tutorials/first-folder.md",)


def pages() -> list[object]:
    found = (page.relative_to(DOCS).as_posix() for folder in ("tutorials", "recipes") for page in (DOCS / folder).glob("*.md"))
    names = sorted(name for name in found if name != "recipes/documents.md")  # it needs a folder of documents
    marks = {name: pytest.mark.needs(NEEDS[name]) if name in NEEDS else () for name in names}
    return [pytest.param(name, id=name, marks=mark) for name, mark in cases(marks, *QUICK, *NEEDS).items()]


def typed(page: str) -> str:
    """Return the script of what a reader types: files that are named are written, commands and programs run, the first failure ends it."""
    parts = ["set -euo pipefail"]
    for number, block in enumerate(BLOCK.finditer(page)):
        language, code = block["language"], block["code"]
        named = NAMED.search(block["above"].strip())
        if named:
            parts.append(f"mkdir -p $(dirname {named['name']}) && cat > {named['name']} <<'END OF FILE'\n{code}END OF FILE")
            if language == "python":
                parts.append(f"python -m py_compile {named['name']}")
        elif language == "sh":
            parts.extend(line for line in code.replace("\\\n", " ").splitlines() if not line.startswith(NOT_TYPED))
        else:
            assert language == "python", f"a block of {language!r} belongs to no file: name it above, `NAME`:"
            program = f"block-{number}.py"
            parts.append(f"cat > {program} <<'END OF FILE'\n{code}END OF FILE")
            parts.append(f"python -W error {program} | tee printed.txt\ntest -s printed.txt")
    return "\n".join(parts) + "\n"


def follow(script: str, folder: Path) -> tuple[int, str]:
    """Run a script in a folder, with a home, a crontab and a port of its own; what it leaves running is ended."""
    programs = {
        "asyncrun": f'exec "{sys.executable}" -m asyncrun "$@"',
        "python": f'exec "{sys.executable}" "$@"',
        "crontab": f'case "$1" in -l) cat "{folder}/tab" ;; -) cat > "{folder}/tab" ;; esac',
    }
    work, programs_folder = folder / "work", folder / "bin"
    for each in (work, programs_folder, folder / "home"):
        each.mkdir()
    (folder / "tab").write_text("")
    for name, body in programs.items():
        (programs_folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs_folder / name).chmod(0o755)
    port = str(free_port())
    environ = {
        **os.environ,
        "HOME": str(folder / "home"),
        "PATH": f"{programs_folder}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OPENAI_API_KEY": "none",
    }
    with subprocess.Popen(
        ["bash"],
        cwd=work,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        # A server that is left running holds the pipe open: it is ended by the script itself.
        shell.stdin.write(f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script.replace('8123', port)}")
        shell.stdin.close()
        try:
            told = shell.stdout.read()
            return shell.wait(), told
        finally:
            if shell.poll() is None:
                os.killpg(shell.pid, signal.SIGKILL)


@pytest.mark.parametrize("name", pages())
def test_a_reader_can_follow(name: str, tmp_path: Path) -> None:
    code, told = follow(typed((DOCS / name).read_text(encoding="utf-8")), tmp_path)
    assert code == 0, told


@pytest.mark.needs("airflow")
def test_airflow_finds_the_dag(tmp_path: Path) -> None:
    page = (DOCS / "recipes" / "airflow.md").read_text(encoding="utf-8")
    [dag] = [block["code"] for block in BLOCK.finditer(page) if block["language"] == "python"]
    (tmp_path / "embed.py").write_text(f"{dag}\nprint(embed().task_ids)\n")
    python = Path(os.environ["ASYNCRUN_TEST_SERVERS"]) / "airflow" / "bin" / "python"
    environ = {**os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow")}
    ended = subprocess.run([python, "embed.py"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout.splitlines()[-1:]) == (0, ["['run']"]), ended.stderr
