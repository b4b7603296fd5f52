"""What `plan` says against what `run` does, on the Cranfield collection: requests are exact, tokens within 10 %."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "scripts/plan_table.py"


def test_the_plan_is_what_the_run_does_and_the_page_shows_it(cranfield: Path) -> None:
    measured = subprocess.run([sys.executable, SCRIPT, cranfield, "--check"], capture_output=True, text=True, check=False, timeout=600)
    assert measured.returncode == 0, measured.stderr
