"""The job file: YAML in, a frozen and checked model out, or every mistake at once with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.lazy import load_on_use

if TYPE_CHECKING:
    from asyncrun.jobfile.input_output import InputConfig, OutputConfig
    from asyncrun.jobfile.job_file import JobFile
    from asyncrun.jobfile.jobs import EmbedJob, IngestJob, Job, PluginJob, QueryJob
    from asyncrun.jobfile.load import load_job_file, parse_job_file
    from asyncrun.jobfile.loader import LoadOptions
    from asyncrun.jobfile.schema import job_file_schema
    from asyncrun.jobfile.sections import EmbedderConfig, StoreConfig
    from asyncrun.jobfile.units import Threshold

__all__ = [
    "EmbedJob",
    "EmbedderConfig",
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

_HOMES = {
    "EmbedJob": "jobs",
    "EmbedderConfig": "sections",
    "IngestJob": "jobs",
    "InputConfig": "input_output",
    "Job": "jobs",
    "JobFile": "job_file",
    "OutputConfig": "input_output",
    "PluginJob": "jobs",
    "QueryJob": "jobs",
    "LoadOptions": "loader",
    "StoreConfig": "sections",
    "Threshold": "units",
    "job_file_schema": "schema",
    "load_job_file": "load",
    "parse_job_file": "load",
}

# Imported on use: who reads a duration needs neither YAML nor the models.
__getattr__ = load_on_use(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(__all__)
