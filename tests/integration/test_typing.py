"""Users who check their types strictly can derive handlers and decorate functions."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

USERS = Path(__file__).resolve().parents[1] / "programs" / "typed_handlers.py"


def test_handlers_can_be_derived_and_functions_decorated(tmp_path: Path) -> None:
    shutil.copy(USERS, tmp_path / "users.py")
    # The rest of the package is checked elsewhere. In this process, mypy would leave a million objects that all later tests go through.
    options = ["--strict", "--config-file=", "--follow-imports=silent", "--cache-dir=cache"]
    command = [sys.executable, "-m", "mypy", *options, "users.py"]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (checked.stdout, checked.stderr, checked.returncode) == ("Success: no issues found in 1 source file\n", "", 0)
