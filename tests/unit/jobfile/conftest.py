"""Ways to load a text as a job file: what comes out, or the mistakes as a user sees them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncrun import registry
from asyncrun.errors import JobFileError
from asyncrun.jobfile import JobFile, LoadOptions, parse_job_file
from asyncrun.registry import PartLocation

Load = Callable[..., JobFile]
Mistakes = Callable[..., list[str]]


@pytest.fixture
def load() -> Load:
    def parse(text: str, path: Path = Path("f"), **options: Any) -> JobFile:
        return parse_job_file(text, path, LoadOptions(**{"check_inputs": False, **options}))

    return parse


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A type of store that takes a key."""
    monkeypatch.setattr(
        registry, "BUILT_IN", {**registry.BUILT_IN, "stores": {**registry.BUILT_IN["stores"], "vault": PartLocation("x:y")}}
    )


@pytest.fixture
def mistakes(load: Load) -> Mistakes:
    def collect(text: str, **options: Any) -> list[str]:
        with pytest.raises(JobFileError) as caught:
            load(text, **options)
        return [str(mistake) for mistake in caught.value.mistakes]

    return collect
