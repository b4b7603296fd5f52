"""The example's notebook is executed from its first cell to its last, and shows what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.mark.needs("jupyter")
def test_the_notebook_embeds_a_folder_searches_it_and_draws_the_trace(tmp_path: Path) -> None:
    target = tmp_path / "executed.ipynb"
    command = [sys.executable, str(ROOT / "tests/programs/execute_notebook.py"), str(ROOT / "examples/search_a_folder.ipynb"), str(target)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    cells = [cell for cell in json.loads(target.read_text())["cells"] if cell["cell_type"] == "code"]
    outputs = [cell["outputs"] for cell in cells]
    bars, trace = (output["data"] for output in outputs[1])
    assert "ingest: succeeded: 3 ok" in "".join(bars["text/plain"])
    assert '<progress max="1" value="1.000">' in "".join(bars["text/html"])
    assert "Timing summary" in "".join(trace["text/plain"])
    assert "cats.md" in json.dumps(outputs[2])
    assert "(3, 384)" in json.dumps(outputs[3])
    page = "".join(outputs[4][-1]["data"]["text/html"])
    assert page.startswith("<iframe srcdoc=")
    assert "Trace" in page
