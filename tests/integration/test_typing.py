"""Users who check their types strictly can derive handlers and decorate functions."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mypy import api

USERS = Path(__file__).resolve().parents[1] / "programs" / "typed_handlers.py"


def test_handlers_can_be_derived_and_functions_decorated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(USERS, "users.py")
    # The rest of the package is checked elsewhere.
    words, trouble, code = api.run(["--strict", "--config-file=", "--follow-imports=silent", "--cache-dir=cache", "users.py"])
    assert (words, trouble, code) == ("Success: no issues found in 1 source file\n", "", 0)
