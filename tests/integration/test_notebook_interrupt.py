"""The kernel of a notebook is interrupted while a cell runs jobs: the run has ended, and the next cell goes on where it was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

TEXTS, IN_FLIGHT, PROBES = 60, 8, 1


@pytest.mark.needs("jupyter")
def test_an_interrupted_cell_ends_its_run_and_the_next_one_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "tests/programs/interrupt_cells.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    cells = json.loads(done.stdout)
    assert [cell["interrupted"][0] for cell in cells] == ["CancelledError", "KeyboardInterrupt", "KeyboardInterrupt"]
    for cell in cells:
        (bars,) = cell["interrupted"][1]
        assert ": stopped: " in bars["text/plain"]
        assert cell["run"] == ["stopped", 75]
        assert cell["sent"] < TEXTS

        ended, (bars, trace) = cell["repeated"]
        assert ended == "ok"
        assert f": succeeded: {TEXTS} ok (" in bars["text/plain"]
        assert '<progress max="1" value="1.000">' in bars["text/html"]
        assert "Timing summary" in trace["text/plain"]
        # The known text of the space is sent by each run, and what was in flight is sent again.
        assert cell["sent in all"] <= TEXTS + IN_FLIGHT + 2 * PROBES
