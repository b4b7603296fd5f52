"""The section "Kill it, and run it again" of the README shows what a killed run looks like, and numbers that fit together."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.depth import DEEP

from .conftest import ROOT, load_script


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script that writes this part of the README."""
    return load_script("readme_kill")


@pytest.fixture(scope="module")
def shown() -> str:
    """The transcript that stands in the README."""
    [block] = re.findall(r"<!-- kill -->\n```text\n(.*?)\n```\n<!-- /kill -->", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    return str(block)


def shape(transcript: str) -> list[str]:
    """The lines without numbers and the widths that they make; the more a kill lets be done, the less is paid: even `under` an amount."""
    unnamed = re.sub(r"\d{8}-\d{6}-\w{4}", "ID", transcript)
    return [re.sub(r"\s+", " ", re.sub(r"(under )?[~$\d.,e-]*\d[\d.,e-]*", "0", line)) for line in unnamed.splitlines()]


def fits_together(script: ModuleType, transcript: str) -> None:
    first, left = (int(row.split()[3].replace(",", "")) for row in transcript.splitlines() if row.startswith("notes  embed"))
    assert first == script.ITEMS
    assert 0 < left < script.ITEMS
    assert re.search(rf"all {script.ITEMS:,} items done in .* \({script.ITEMS - left} of them cached", transcript)
    [(sent, again)] = re.findall(r"got ([\d,]+) texts for 1,000 items: (\d+) twice", transcript)
    assert int(sent.replace(",", "")) - script.ITEMS == int(again) <= script.IN_FLIGHT * script.BATCH
    assert "\nKilled\n" in transcript
    assert "vectors.jsonl" not in transcript.partition("$ ls\n")[2].partition("$")[0]
    assert "\nthe same bytes\n" in transcript


@pytest.mark.skipif(not DEEP, reason="it takes seconds: ASYNCRUN_TEST_DEEP=1")
def test_the_readme_shows_what_a_killed_run_shows(script: ModuleType, shown: str, tmp_path: Path) -> None:
    now = script.transcript(tmp_path)
    assert shape(shown) == shape(now)
    fits_together(script, shown)
    fits_together(script, now)
