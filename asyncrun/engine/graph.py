"""Which job may start: its needs have ended well; what needs a job that has not is cancelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncrun.records import JobResult, Status

USABLE = frozenset({Status.SUCCEEDED, Status.PARTIAL})


@dataclass(frozen=True, slots=True)
class Node:
    """A job as the graph sees it."""

    name: str
    needs: tuple[str, ...] = ()


def startable(nodes: Sequence[Node], ended: Mapping[str, JobResult], started: frozenset[str]) -> list[Node]:
    """Return the jobs that can start now, in their given order.

    >>> startable([Node("a"), Node("b", ("a",))], {}, frozenset())
    [Node(name='a', needs=())]
    """
    return [
        node for node in nodes if node.name not in started and all(need in ended and ended[need].status in USABLE for need in node.needs)
    ]


def blocked(nodes: Sequence[Node], ended: Mapping[str, JobResult], started: frozenset[str]) -> list[tuple[Node, JobResult]]:
    """Return the jobs that can never start, each with the need that is in the way."""
    return [
        (node, ended[need])
        for node in nodes
        if node.name not in started
        for need in node.needs[:]
        if need in ended and ended[need].status not in USABLE
    ]
