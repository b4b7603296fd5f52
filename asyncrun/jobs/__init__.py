"""The kinds of job: what each entry of a job file holds, and how it is checked, planned, run and exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.jobs.embed.kind import EmbedJob
    from asyncrun.jobs.ingest.kind import IngestJob
    from asyncrun.jobs.interface import Builder, JobKind, JobProblem
    from asyncrun.jobs.query.kind import QueryJob

_HOMES = {
    "Builder": "interface",
    "EmbedJob": "embed.kind",
    "IngestJob": "ingest.kind",
    "JobKind": "interface",
    "JobProblem": "interface",
    "QueryJob": "query.kind",
}

__all__ = ["Builder", "EmbedJob", "IngestJob", "JobKind", "JobProblem", "QueryJob"]

__getattr__ = load_on_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
