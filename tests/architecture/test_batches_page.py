"""docs/batches.md says of providers what their adapters say, and has the figure that the simulation measures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from asyncrun.batches.interface import BatchTerms, Purpose
from asyncrun.registry import BUILT_IN, load

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "batches.md").read_text(encoding="utf-8")
SIMULATION = (ROOT / "tests" / "unit" / "jobs" / "delivery" / "test_deadline_price.py").read_text(encoding="utf-8")
ROWS = {
    cells[0].strip("`"): cells
    for line in re.findall(r"^\| (`\w+` \|.*)\|$", PAGE, re.MULTILINE)
    if len(cells := [cell.strip() for cell in line.split("|")]) == 6
}


def terms_of(provider: str) -> BatchTerms:
    purpose: Purpose = "chat" if provider == "anthropic" else "embeddings"
    terms: BatchTerms = load("batches", provider).terms_for(purpose)
    return terms


def test_every_provider_with_a_batch_endpoint_has_a_row() -> None:
    assert ROWS.keys() == BUILT_IN["batches"].keys()


@pytest.mark.parametrize("provider", sorted(ROWS))
def test_price_time_and_bounds_are_those_of_the_adapter(provider: str) -> None:
    _, price, window, most, kept, _ = ROWS[provider]
    terms = terms_of(provider)
    assert float(price) == terms.price
    assert window == f"{terms.window / 3600:g} h"
    assert most.startswith(f"{terms.requests:,} ")
    assert kept == (kept if terms.kept is None else f"{terms.kept / 86_400:g} days")
    assert kept.endswith(" days") == (terms.kept is not None)


def test_the_price_of_a_night_is_the_measured_one() -> None:
    [told] = re.findall(r"costs ([0-9.]+) of what it costs online", PAGE)
    [bound] = re.findall(r"held to ([0-9.]+) at most", PAGE)
    assert f"assert round(ratio, 2) == {told}" in SIMULATION
    assert f"MOST = {bound}" in SIMULATION
