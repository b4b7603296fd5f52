"""A kind of job, `near-duplicates`: one row for each text, with the texts of the input that say nearly the same.

    pip install ./examples/near_duplicates

    jobs:
      - {name: twins, kind: near-duplicates, input: notes.jsonl, threshold: 0.9, output: twins.jsonl}

Everything else is that of any job: `plan`, `run`, `export`, retries, budgets, and nothing that is finished is sent again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from asyncrun.jobfile import Job, OutputConfig
from asyncrun.jobs import Blocks, Builder, EmbedRun, JobKind, JobOutput, embedder_spaces
from asyncrun.records import InputType
from asyncrun.results import Counts

COMPARED_AT_ONCE = 1024


class NearDuplicatesJob(Job):
    """Finds texts whose vectors are nearer to each other than `threshold`, a cosine."""

    descriptions: ClassVar[Mapping[str, str]] = {"threshold": "From which cosine on two texts are near duplicates."}

    kind: Literal["near-duplicates"]
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.95
    output: OutputConfig


def find_duplicates(blocks: Blocks, threshold: float) -> Iterator[Mapping[str, Any]]:
    """Yield a row for each item: its id, and the ids of its near duplicates, the nearest first. All vectors are in memory."""
    rows = [(item.id, vector) for block in blocks for item, vector in block]
    if not rows:
        return
    ids = [name for name, _ in rows]
    vectors = np.stack([vector for _, vector in rows]).astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    for start in range(0, len(ids), COMPARED_AT_ONCE):
        for position, scores in enumerate(vectors[start : start + COMPARED_AT_ONCE] @ vectors.T, start):
            scores[position] = -1.0
            near = np.flatnonzero(scores >= threshold)
            nearest = near[np.argsort(-scores[near], kind="stable")].tolist()
            yield {"id": ids[position], "duplicates": [{"id": ids[at], "score": round(float(scores[at]), 4)} for at in nearest]}


def open_job(job: NearDuplicatesJob, builder: Builder) -> EmbedRun:
    """Return a job with all that it needs: items that are embedded, and what makes rows of them."""
    return EmbedRun(
        builder.items(job, InputType.DOCUMENT),
        builder.output(job.output),
        kind=job.kind,
        make_rows=lambda blocks: find_duplicates(blocks, job.threshold),
        made_with=str(job.threshold),
    )


def export(job: NearDuplicatesJob, builder: Builder, output: JobOutput) -> Counts:
    """Write the rows of what is embedded by now."""
    return open_job(job, builder).export(output)


NEAR_DUPLICATES = JobKind(NearDuplicatesJob, open_job, spaces=embedder_spaces, export=export)
