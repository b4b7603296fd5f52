"""What installed distributions bring by entry points, each part made for a version of its port; nothing is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

PORT_VERSIONS: Mapping[str, int] = {
    "kinds": 1,
    "embedders": 1,
    "llms": 1,
    "batches": 1,
    "stores": 1,
    "readers": 1,
    "chunkers": 1,
    "writers": 1,
    "exporters": 1,
    "handlers": 1,
}
"""The ports that a distribution may bring parts of, and what this version of asyncrun promises there.

A number grows when a part that was made for the one before would no longer work.
"""
VERSIONS = "asyncrun.ports"
"""The entry point group in which a distribution says what its parts were made for: `embedders = "v1"`. Who says nothing means 1."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A part that a distribution brings: its entry point, and for which version of its port it was made, as that is written."""

    port: str
    name: str
    target: str
    distribution: str
    version: str
    made_for: str

    @property
    def refusal(self) -> str | None:
        """Return why it cannot be used, None if it can as far as is known without an import."""
        have = f"v{PORT_VERSIONS[self.port]}"
        if self.made_for == have:
            return None
        return f"{self.name!r} of {self.distribution} is made for {self.made_for} of the port {self.port}, and this asyncrun has {have}"


def find_plugins(port: str | None = None, name: str | None = None) -> list[Plugin]:
    """Return what is installed, of one port or of all, under one name or all; it takes milliseconds, as every distribution is looked at.

    >>> find_plugins("embedders", "local")
    []
    """
    installed, ports = entry_points(), PORT_VERSIONS if port is None else (port,)
    found = ((each, point) for each in ports for point in installed.select(group=f"asyncrun.{each}"))
    wanted = [(each, point) for each, point in found if name in (None, point.name)]
    stated = {(_distribution(point), point.name): point.value for point in installed.select(group=VERSIONS)} if wanted else {}
    return [
        Plugin(
            each,
            point.name,
            point.value,
            _distribution(point),
            point.dist.version if point.dist else "",
            stated.get((_distribution(point), each), "v1"),
        )
        for each, point in wanted
    ]


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown distribution"
