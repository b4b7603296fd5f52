"""The job file: YAML in, a frozen and checked model out, or every mistake at once with its place."""

from asyncrun.jobfile.embedder import EmbedderConfig
from asyncrun.jobfile.input import Input, Output
from asyncrun.jobfile.jobs import EmbedJob, IngestJob, Job, PluginJob, QueryJob
from asyncrun.jobfile.load import load_job_file, parse_job_file
from asyncrun.jobfile.model import JobFile
from asyncrun.jobfile.schema import job_file_schema
from asyncrun.jobfile.sections import StoreConfig
from asyncrun.jobfile.values import Threshold

__all__ = [
    "EmbedJob",
    "EmbedderConfig",
    "IngestJob",
    "Input",
    "Job",
    "JobFile",
    "Output",
    "PluginJob",
    "QueryJob",
    "StoreConfig",
    "Threshold",
    "job_file_schema",
    "load_job_file",
    "parse_job_file",
]
