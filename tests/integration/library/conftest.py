"""What the tests of the library share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from asyncrun.testing.server import FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer().in_thread() as running:
        yield running
