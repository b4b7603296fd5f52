"""What a run of a job would do: items counted, and what would be sent for them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from asyncrun.embedders.interface import Embedder
from asyncrun.jobs.change_notes import news, passed_over
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.distinct import DistinctSource
from asyncrun.jobs.items import Items
from asyncrun.jobs.outputs import JobOutput
from asyncrun.jobs.scan import Scan
from asyncrun.jobs.space_check import needs_probe, probe_of
from asyncrun.ledger.key_index import KeyIndex
from asyncrun.plural import counted
from asyncrun.records import InputType
from asyncrun.results import JobPlan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from asyncrun.jobs.pending import Pending


def plan_items(items: Items, kind: str, scanned: Scan, index: KeyIndex, output: JobOutput) -> JobPlan:
    """Return the plan of a job whose items are its requests' texts. Blocks."""
    context = items.context
    send, _ = scanned.missing(index)
    new = int(np.count_nonzero(scanned.open(index)))
    plan = JobPlan(
        name=context.name,
        kind=kind,
        items=len(scanned),
        new=new,
        unchanged=int(np.count_nonzero(scanned.ready)) - new,
        failed=scanned.failed,
        skipped=scanned.skipped,
    )
    rounds = [*probes_foreseen(items.embedder, items.input_type, context), _unforeseen(items, scanned, send)] if new else []
    foreseen = context.forecast.foresee(rounds, items.embedder, items.input_type, context.rate)
    disk = items.disk(scanned, index, output)
    plan = replace(foreseen.on(plan), disk=None if disk is None else sum(disk.values()))
    return plan.noted(*news(context, items.space, new, plan.cost), *input_notes(items.source))


def probes_foreseen(embedder: Embedder, input_type: InputType, context: JobContext) -> list[list[Pending]]:
    """Return the request by which a run compares the embedder's place with others of its space, if it makes one. Blocks."""
    if not needs_probe(embedder, input_type, context) or not context.forecast.compares(embedder.space(input_type), embedder.place):
        return []
    return [[probe_of(embedder, input_type)]]


def _unforeseen(items: Items, scanned: Scan, send: NDArray[np.bool_]) -> Iterator[Pending]:
    return items.context.forecast.unforeseen(items.space, items.context.unless_stopped(items.pending(scanned, send)))


def input_notes(source: DistinctSource) -> tuple[str, ...]:
    """Return warnings about fields that no item has, items without an id, and files that a glob matched and that are not read."""
    notes = (*map(str, source.lacking), *passed_over(source))
    if not source.unnamed:
        return notes
    records = f"{counted(source.unnamed, 'record')} without an id"
    return (f"{records}: file and line stand for it, so that a line put in between renames the rest", *notes)
