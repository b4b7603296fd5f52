"""The jobs of a trace as lanes: what a view of several jobs shows one by one."""

from __future__ import annotations

from collections.abc import Sequence

from asyncrun.trace.span_tree import Node, outermost_jobs

MOST_LANES = 40
"""Jobs that are shown one by one; a program that makes thousands gets them summed up."""
OTHERS = "others"


def lanes_of(forest: Sequence[Node]) -> dict[str, list[Node]]:
    """Return the outermost jobs by their names, in the order of their start; what is in no job, or past the last lane, is one lane."""
    jobs = outermost_jobs(forest)
    inside = {id(job) for job in jobs}
    lanes: dict[str, list[Node]] = {}
    others: list[Node] = [node for node in forest if id(node) not in inside and not _holds(node, inside)]
    for job in jobs:
        if job.label in lanes or len(lanes) < MOST_LANES:
            lanes.setdefault(job.label, []).append(job)
        else:
            others.append(job)
    if others:
        lanes.setdefault(OTHERS, []).extend(others)
    return lanes


def _holds(node: Node, wanted: set[int]) -> bool:
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if id(current) in wanted:
            return True
        waiting.extend(current.children)
    return False
