"""The jobs of a job file, one model a kind."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from asyncrun.jobfile.field_types import (
    Accepts,
    Count,
    Duration,
    FilePath,
    Flag,
    Limit,
    Model,
    Number,
    Text,
    Whole,
    wrong,
)
from asyncrun.jobfile.input_output import InputConfig, OutputConfig
from asyncrun.jobfile.sections import EmbedderConfig, LlmConfig, NotifyConfig, StoreConfig, local_embedder
from asyncrun.jobfile.units import Threshold

_TEXT = Accepts(({"type": "string"},))
NAME_PATTERN = "[a-z0-9_-]+"


def _name(value: str) -> str:
    if not re.fullmatch(NAME_PATTERN, value):
        near = re.sub(r"[^a-z0-9_-]+", "-", value.lower()).strip("-")[:60]
        raise wrong("not a name", "small letters a-z, digits, '_' and '-'", near or None)
    return value


def _workers(value: object) -> object:
    if value == "auto":
        return None
    if isinstance(value, bool):
        raise wrong("", "auto, or a whole number of 1 or more")
    return value


def _reference(value: object) -> object:
    if not isinstance(value, dict | EmbedderConfig | StoreConfig | LlmConfig):
        raise wrong("", "a name, or a mapping")
    return value


_Reference = BeforeValidator(_reference)
Name = Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": f"^{NAME_PATTERN}$"})]
Workers = Annotated[Count | None, BeforeValidator(_workers), Accepts(({"const": "auto"},))]
InputField = Annotated[InputConfig, Accepts(({"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}))]
OutputField = Annotated[OutputConfig, _TEXT]
EmbedderField = Annotated[EmbedderConfig, _Reference, _TEXT]
StoreField = Annotated[StoreConfig, _Reference, _TEXT]


class Budget(Model):
    """What a job may use until it has finished; cost in USD."""

    tokens: Count | None = None
    cost: Number | None = None


class Prompt(Model):
    """The template of a question to a model, in a file or in place; one of the two is set."""

    path: FilePath | None = None
    text: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.path is None) == (self.text is None):
            raise wrong("a prompt has one source", "a text, {text: ...}, or {path: prompt.txt}")
        return self


def _prompt(value: object) -> object:
    return {"text": value} if isinstance(value, str) else value


class Chunking(Model):
    """How documents are cut; `size` and `overlap` count tokens of the embedder, its own added tokens included."""

    by: Text = "sentence"
    size: Count = 256
    overlap: Whole = Field(default_factory=lambda data: min(32, data.get("size", 256) // 8))

    @field_validator("overlap")
    @classmethod
    def _below_size(cls, value: int, info: ValidationInfo) -> int:
        size = info.data.get("size")
        if size is not None and value >= size:
            raise wrong("the overlap is not below the size", f"0 to {size - 1}")
        return value


class Job(Model):
    """What every job has. `workers` is None for `auto`; `max_failures` None: any number of items may fail, but not all.

    `needs` also holds the jobs whose output is read here.
    """

    name: Name
    kind: str
    needs: tuple[Name, ...] = ()
    input: InputField
    workers: Workers = None
    max_failures: Limit | None = None
    skip: FilePath | None = None
    max_runtime: Duration | None = None
    budget: Budget = Field(default_factory=Budget)
    notify: NotifyConfig = Field(default_factory=NotifyConfig)
    embedder: EmbedderField = Field(default_factory=local_embedder, json_schema_extra={"default": "local"})


class EmbedJob(Job):
    """Embeds items into a file."""

    kind: Literal["embed"]
    output: OutputField


class IngestJob(Job):
    """Cuts, embeds and commits documents into a store; `source` owns them."""

    kind: Literal["ingest"]
    chunk: Chunking = Field(default_factory=Chunking)
    store: StoreField = Field(default_factory=StoreConfig)
    collection: Text = "documents"
    source: Text = Field(default_factory=lambda data: data.get("name", ""))
    prune: Flag = False
    max_delete: Limit = Field(default=Threshold(percent=20.0), json_schema_extra={"default": "20%"})
    on_new_space: Literal["refuse", "rebuild"] = "refuse"


class QueryJob(Job):
    """Asks a store; `output` gets one row a question."""

    kind: Literal["query"]
    store: StoreField = Field(default_factory=StoreConfig)
    collection: Text = "documents"
    top_k: Count = 5
    search: Literal["vector", "keyword", "hybrid"] = "vector"
    filter: Text | None = None
    llm: Annotated[LlmConfig, _Reference, _TEXT] | None = None
    prompt: Annotated[Prompt, BeforeValidator(_prompt), _TEXT] | None = None
    context_tokens: Count | None = None
    output: OutputField


class PluginJob(Job):
    """A job of a kind that an installed plugin brings; its own keys are the plugin's to check."""

    model_config = ConfigDict(extra="allow")

    store: StoreField = Field(default_factory=StoreConfig)
    output: OutputField | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Return the keys that belong to the plugin."""
        return dict(self.model_extra or {})


class PartialJob(PluginJob):
    """What can be read of a job with mistakes, so that the rest of it is checked too; no run ever gets one."""

    model_config = ConfigDict(extra="ignore")

    name: Name = ""
    kind: str = ""
    input: InputField = Field(default_factory=lambda: InputConfig.model_validate({"items": [], "allow_empty": True}))


JOB_MODELS: dict[str, type[Job]] = {"embed": EmbedJob, "ingest": IngestJob, "query": QueryJob}
