"""Whether a generate job can be asked: its prompt is a template, its model can be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncrun.jobfile.checks import check_llm
from asyncrun.jobfile.entries import JobEntry
from asyncrun.jobfile.jobs import CheckContext
from asyncrun.jobfile.yaml_tree import Table

if TYPE_CHECKING:
    from asyncrun.jobs.generate import GenerateJob


def check_keys(job: GenerateJob, entry: JobEntry, context: CheckContext) -> None:
    """The model can be used; nothing is embedded."""
    findings = context.findings
    if isinstance(findings.node(entry.path("llm")), Table):
        check_llm(job.llm, entry.path("llm"), context.names, findings)
    if "embedder" in job.model_fields_set and "embedder" not in entry.inherited:
        findings.add(entry.path("embedder"), "a job of this kind embeds nothing", "no embedder", key=True)
