"""What the fake batch servers do wrong when they are told to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from asyncrun.short_help import ShortHelp


@dataclass(frozen=True, slots=True)
class BatchFaults(metaclass=ShortHelp):
    """What goes wrong with batches: with the `first` ones of each vendor, None: with all of them; all of it may go wrong at once.

    Attributes:
        lost_reply: The batch is created, and the connection cut before a byte of the reply.
        refused: The file is taken, and the batch refused.
        unseen: So often a new batch is answered with 404 when it is asked for.
        foreign_ids: So many replies stand in the results that nobody has asked for,
        missing_ids: so many are missing there,
        doubled_ids: so many stand there twice.
        half_line: The last line of the results is half a line.
        output_gone: The results cannot be had any more.
        strange_state: A word for the state of a batch under way that nobody has documented.
        bills_and_expires: All is worked on and billed, and the batch expires without a result.
        failing: Share of the requests that fail with an error of the server, from 0 to 1.
        stragglers: Share of the requests that are never worked on, from 0 to 1: the batch expires with the rest.
        slow: So many times longer it takes.

    >>> BatchFaults(stragglers=0.02).hits(7)
    True
    """

    first: int | None = None
    lost_reply: bool = False
    refused: bool = False
    unseen: int = 0
    foreign_ids: int = 0
    missing_ids: int = 0
    doubled_ids: int = 0
    half_line: bool = False
    output_gone: bool = False
    strange_state: str | None = None
    bills_and_expires: bool = False
    failing: float = 0.0
    stragglers: float = 0.0
    slow: float = 1.0

    def hits(self, number: int) -> bool:
        """Tell whether the batch with this number, from 0, is hit."""
        return self.first is None or number < self.first


BATCH_FAULTS: Mapping[str, Mapping[str, Any]] = {
    "lost_reply": {"first": 1, "lost_reply": True},
    "refused": {"first": 1, "refused": True},
    "unseen": {"unseen": 2},
    "foreign_ids": {"foreign_ids": 2},
    "missing_ids": {"first": 1, "missing_ids": 2},
    "doubled_ids": {"doubled_ids": 2},
    "half_line": {"first": 1, "half_line": True},
    "output_gone": {"first": 1, "output_gone": True},
    "strange_state": {"strange_state": "rebalancing"},
    "bills_and_expires": {"first": 1, "bills_and_expires": True},
    "failing": {"failing": 0.02},
    "stragglers": {"first": 1, "stragglers": 0.02},
    "slow": {"slow": 10.0},
}
"""The faults by the words that a command line has for them. What would go on for ever where all batches are hit, hits the first one."""


def parse_batch_fault(text: str) -> dict[str, Any]:
    """Return the fields of BatchFaults that a word stands for, or those of a JSON object. Raises ValueError for anything else.

    >>> parse_batch_fault("slow"), parse_batch_fault('{"failing": 0.5}')
    ({'slow': 10.0}, {'failing': 0.5})
    """
    if text in BATCH_FAULTS:
        return dict(BATCH_FAULTS[text])
    given = json.loads(text)
    if not isinstance(given, dict) or not given.keys() <= {found.name for found in fields(BatchFaults)}:
        raise ValueError(text)
    return given


def batch_faults(given: list[dict[str, Any]]) -> BatchFaults:
    """Return all that was given as one.

    >>> batch_faults([{"slow": 10.0}, {"failing": 0.5}]).failing
    0.5
    """
    faults = BatchFaults()
    for part in given:
        faults = replace(faults, **part)
    return faults
