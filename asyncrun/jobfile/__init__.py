"""The job file: YAML in, a frozen and checked model out, or every mistake at once with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.jobfile.input_output import InputConfig, OutputConfig
    from asyncrun.jobfile.job_file import JobFile
    from asyncrun.jobfile.jobs import Job, PluginJob
    from asyncrun.jobfile.loader import LoadOptions, load_job_file, parse_job_file
    from asyncrun.jobfile.schema import job_file_schema
    from asyncrun.jobfile.sections import EmbedderConfig, StoreConfig
    from asyncrun.jobfile.units import Threshold
    from asyncrun.jobs import EmbedJob, GenerateJob, IngestJob, QueryJob

__all__ = [
    "EmbedJob",
    "EmbedderConfig",
    "GenerateJob",
    "IngestJob",
    "InputConfig",
    "Job",
    "JobFile",
    "LoadOptions",
    "OutputConfig",
    "PluginJob",
    "QueryJob",
    "StoreConfig",
    "Threshold",
    "job_file_schema",
    "load_job_file",
    "parse_job_file",
]

_KINDS = {"EmbedJob": "embed", "GenerateJob": "generate", "IngestJob": "ingest", "QueryJob": "query"}

# Imported on use: who reads a duration needs neither YAML nor the models.
_load, __dir__ = load_on_use(
    __name__,
    {
        "input_output": ["InputConfig", "OutputConfig"],
        "job_file": ["JobFile"],
        "jobs": ["Job", "PluginJob"],
        "loader": ["LoadOptions", "load_job_file", "parse_job_file"],
        "schema": ["job_file_schema"],
        "sections": ["EmbedderConfig", "StoreConfig"],
        "units": ["Threshold"],
    },
)


def __getattr__(name: str) -> Any:
    if name not in _KINDS:
        return _load(name)
    from asyncrun.jobfile.jobs import job_model

    return job_model(_KINDS[name])
