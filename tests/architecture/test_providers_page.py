"""The page about providers says what the table says, and the table, the registry and the job file know the same names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from asyncrun import registry
from asyncrun.embedders.providers import PROVIDERS
from asyncrun.jobfile.checks import MODEL_NEEDED

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_up_to_date() -> None:
    command = [sys.executable, ROOT / "scripts" / "providers_page.py", "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_every_row_has_an_embedder_of_its_name() -> None:
    for name, row in PROVIDERS.items():
        adapter = registry.load("embedders", name)
        assert (name, row.vendor.name) == (adapter.provider, name)


def test_the_job_file_asks_for_a_model_where_the_provider_does() -> None:
    without = {name for name, row in PROVIDERS.items() if row.model or row.models or not row.needs_model}
    assert set(PROVIDERS) - without == MODEL_NEEDED
