"""The traces of the room above, for its exporters."""

from __future__ import annotations

from ..conftest import failing, golden, maker, nightly, runs

__all__ = ["failing", "golden", "maker", "nightly", "runs"]
