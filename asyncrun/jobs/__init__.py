"""The kinds of job: what each entry of a job file holds, and how it is checked, planned, run and exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.jobs.embed import EmbedJob
    from asyncrun.jobs.embed.run import Blocks, EmbedRun
    from asyncrun.jobs.generate import GenerateJob
    from asyncrun.jobs.ingest import IngestJob
    from asyncrun.jobs.interface import Builder, JobKind, JobProblem, embedder_spaces
    from asyncrun.jobs.outputs import JobOutput
    from asyncrun.jobs.query import QueryJob

__all__ = [
    "Blocks",
    "Builder",
    "EmbedJob",
    "EmbedRun",
    "GenerateJob",
    "IngestJob",
    "JobKind",
    "JobOutput",
    "JobProblem",
    "QueryJob",
    "embedder_spaces",
]

__getattr__, __dir__ = load_on_use(
    __name__,
    {
        "embed": ["EmbedJob"],
        "embed.run": ["Blocks", "EmbedRun"],
        "generate": ["GenerateJob"],
        "ingest": ["IngestJob"],
        "interface": ["Builder", "JobKind", "JobProblem", "embedder_spaces"],
        "outputs": ["JobOutput"],
        "query": ["QueryJob"],
    },
)
