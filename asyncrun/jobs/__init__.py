"""The kinds of job: what each entry of a job file holds, and how it is checked, planned, run and exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.jobs.embed import EmbedJob
    from asyncrun.jobs.embed.run import Blocks, EmbedRun
    from asyncrun.jobs.ingest import IngestJob
    from asyncrun.jobs.interface import Builder, JobKind, JobProblem, embedder_spaces
    from asyncrun.jobs.outputs import JobOutput
    from asyncrun.jobs.query import QueryJob

_HOMES = {
    "Blocks": "embed.run",
    "Builder": "interface",
    "EmbedJob": "embed",
    "EmbedRun": "embed.run",
    "IngestJob": "ingest",
    "JobKind": "interface",
    "JobOutput": "outputs",
    "JobProblem": "interface",
    "QueryJob": "query",
    "embedder_spaces": "interface",
}

__all__ = [
    "Blocks",
    "Builder",
    "EmbedJob",
    "EmbedRun",
    "IngestJob",
    "JobKind",
    "JobOutput",
    "JobProblem",
    "QueryJob",
    "embedder_spaces",
]

__getattr__ = load_on_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
