"""How the installed parts are told: by the distribution that brings them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from asyncrun.registry import Offer


def render_parts(offers: Iterable[Offer]) -> str:
    """Return the names of all parts by distribution and port; one that needs an extra has it in brackets."""
    lines: list[str] = []
    for distribution, own in groupby(sorted(offers, key=_order), lambda offer: f"{offer.part.distribution} {offer.version}".rstrip()):
        lines += [distribution]
        for port, group in groupby(own, lambda offer: offer.port):
            names = (f"{offer.name} [{offer.part.extra}]" if offer.part.extra else offer.name for offer in group)
            lines.append(f"  {port:<10} {', '.join(names)}")
    return "\n".join(lines)


def parts_document(offers: Iterable[Offer]) -> dict[str, Any]:
    """Return the same as a JSON document."""
    parts = [
        {
            "port": offer.port,
            "name": offer.name,
            "distribution": offer.part.distribution,
            "version": offer.version,
            "target": offer.part.target,
            "extra": offer.part.extra,
        }
        for offer in sorted(offers, key=_order)
    ]
    return {"schema": 1, "parts": parts}


def _order(offer: Offer) -> tuple[bool, str, str, str]:
    return offer.part.distribution != "asyncrun", offer.part.distribution, offer.port, offer.name
