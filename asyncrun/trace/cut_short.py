"""What an event had waited for that failed or was cancelled before it could say so itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from asyncrun.callbacks.schema import CBEventType
from asyncrun.trace.attributes import Plain
from asyncrun.trace.event_tree import Node
from asyncrun.trace.span_tree import DETAILS, WAITS

_KEYS = frozenset(f"waits.{name}" for name in WAITS)


def waits_until_cut(node: Node) -> Mapping[str, float]:
    """Return the waits of an ended event by their attributes; none where it has told its own.

    They are its own time where it is a wait, else the sums of the attempts and waits below it.
    """
    if _KEYS & node.attributes.keys():
        return {}
    if node.type == CBEventType.WAIT.value:
        key = f"waits.{node.name}"
        return {key: node.seconds} if key in _KEYS else {}
    waits: defaultdict[str, float] = defaultdict(float)
    for branch in node.branches.values():
        if branch.type in DETAILS:
            for child in branch.exact.values():
                _add(waits, child.attributes)
            if branch.row is not None and branch.row.fold is not None:
                _add(waits, branch.row.fold.sums)
    return waits


def _add(waits: defaultdict[str, float], told: Mapping[str, Plain]) -> None:
    for key in _KEYS & told.keys():
        seconds = told[key]
        if isinstance(seconds, int | float):
            waits[key] += seconds
