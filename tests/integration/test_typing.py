"""Users who check their types strictly: handlers that are derived, decorated functions, and typical uses of each package."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.depth import DEEP

PROGRAMS = Path(__file__).resolve().parents[1] / "programs"
USERS = ["typed_handlers.py", "typical_uses.py"]


def copies(folder: Path) -> list[str]:
    """Leave the programs where nothing is set for them, and name them."""
    return [shutil.copy(PROGRAMS / name, folder / f"users_{name}").name for name in USERS]


@pytest.mark.skipif(not DEEP, reason="it takes seconds: ASYNCRUN_TEST_DEEP=1")
def test_mypy_finds_no_issue(tmp_path: Path) -> None:
    # The rest of the package is checked elsewhere. In this process, mypy would leave a million objects that all later tests go through.
    options = ["--strict", "--config-file=", "--follow-imports=silent", "--cache-dir=cache"]
    command = [sys.executable, "-m", "mypy", *options, *copies(tmp_path)]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (checked.stdout, checked.stderr, checked.returncode) == (f"Success: no issues found in {len(USERS)} source files\n", "", 0)


@pytest.mark.needs("pyright")
def test_pyright_finds_no_issue(tmp_path: Path) -> None:
    options = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "reportUnnecessaryTypeIgnoreComment": True}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(options))
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", *copies(tmp_path)]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    found = json.loads(checked.stdout)["generalDiagnostics"]
    assert [f"{issue['file']}:{issue['range']['start']['line'] + 1}: {issue['message']}" for issue in found] == []
