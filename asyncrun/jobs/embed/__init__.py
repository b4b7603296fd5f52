"""The kind `embed`: what its jobs hold, and how one is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Unpack

from asyncrun.jobfile.field_types import DeadlineField, DeliveryField
from asyncrun.jobfile.job_keys import EmbedKeys
from asyncrun.jobfile.jobs import Job, OutputField
from asyncrun.jobs.interface import Builder, JobKind, embedder_spaces
from asyncrun.records import InputType

if TYPE_CHECKING:
    from asyncrun.jobs.embed.run import EmbedRun


class EmbedJob(Job):
    """Embeds items into a file.

    >>> import asyncrun, tempfile
    >>> job = EmbedJob(name="greetings", input={"items": ["good morning", "good night"]}, output="greetings.npy")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncrun.run(job, folder=folder).array().shape
    (2, 384)
    """

    rows_hold_vectors: ClassVar[bool] = True

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[EmbedKeys]) -> None:
            """Take the keys of an entry in a job file, in the same forms."""

    kind: Literal["embed"]
    deadline: DeadlineField | None = None
    stragglers: DeliveryField = "batch"
    output: OutputField


def open_embed(job: EmbedJob, builder: Builder) -> EmbedRun:
    """Return an embed job with all that it needs. Blocks."""
    from asyncrun.jobs.embed.run import EmbedRun

    return EmbedRun(builder.items(job, InputType.DOCUMENT), builder.output(job.output))


EMBED = JobKind(
    EmbedJob,
    open_embed,
    spaces=embedder_spaces,
    row_fields=lambda *_: {"id": "text", "embedding": "list", "text": "text", "metadata": "unknown"},
    export=lambda job, builder, output: open_embed(job, builder).export(output),
)
