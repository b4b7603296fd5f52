"""What every job of a job file has, what the models of kinds are made of, and the model of a kind by its name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationInfo,
    field_validator,
    model_validator,
)

from asyncrun import registry
from asyncrun.errors import UsageError
from asyncrun.jobfile.field_types import (
    IN_JOB_FILE,
    Accepts,
    Count,
    CountOrPercent,
    Duration,
    FilePath,
    Model,
    Name,
    Number,
    Text,
    Whole,
    Workers,
    wrong,
)
from asyncrun.jobfile.files import real
from asyncrun.jobfile.input_output import InputConfig, OutputConfig
from asyncrun.jobfile.job_keys import JOB_KEYS
from asyncrun.jobfile.notify import NotifyConfig
from asyncrun.jobfile.sections import EmbedderConfig, LlmConfig, StoreConfig, local_embedder

if TYPE_CHECKING:
    from asyncrun.jobfile.entries import JobEntry
    from asyncrun.jobfile.mistakes import Findings
    from asyncrun.jobfile.unavailable import Names

_TEXT = Accepts(({"type": "string"},))


def _reference(value: object) -> object:
    if not isinstance(value, dict | EmbedderConfig | StoreConfig | LlmConfig):
        raise wrong("", "a name, or a mapping")
    return value


_Reference = BeforeValidator(_reference)
InputField = Annotated[InputConfig, Accepts(({"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}))]
OutputField = Annotated[OutputConfig, _TEXT]
ROWS_OF_REPORT = "(rows of the report).jsonl"
"""The output of a job that was made in Python without one: its rows are those of the report, and in no file that stays."""
EmbedderField = Annotated[EmbedderConfig, _Reference, _TEXT]
StoreField = Annotated[StoreConfig, _Reference, _TEXT]
LlmField = Annotated[LlmConfig, _Reference, _TEXT]


class Budget(Model):
    """What a job may use until it has finished; cost in USD."""

    tokens: Count | None = None
    cost: Number | None = None


class Prompt(Model):
    """The template of what a model is asked, in a file or in place; one of the two is set."""

    path: FilePath | None = None
    text: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.path is None) == (self.text is None):
            raise wrong("a prompt has one source", "a text, {text: ...}, or {path: prompt.txt}")
        return self


class PromptMessage(Model):
    """One message of a prompt; its content is a template."""

    role: Literal["system", "user", "assistant"]
    content: Text


def _prompt(value: object) -> object:
    return {"text": value} if isinstance(value, str) else value


PromptField = Annotated[Prompt, BeforeValidator(_prompt), _TEXT]


def _context(value: object) -> object:
    if isinstance(value, str) and value not in ("none", "headings"):
        raise wrong("this is no context of a chunk", "none, headings, {llm: NAME}")
    return value


class Chunking(Model):
    """How documents are cut; `size` and `overlap` count tokens of the embedder, its own added tokens included."""

    by: Text = "sentence"
    size: Count = 256
    overlap: Whole = Field(default_factory=lambda data: min(32, data.get("size", 256) // 8))
    context: Annotated[Literal["none", "headings"] | dict[str, Any], BeforeValidator(_context)] = "none"

    @field_validator("overlap")
    @classmethod
    def _below_size(cls, value: int, info: ValidationInfo) -> int:
        size = info.data.get("size")
        if size is not None and value >= size:
            raise wrong("the overlap is not below the size", f"0 to {size - 1}")
        return value


@dataclass(frozen=True, slots=True)
class StoredCollection:
    """A collection in a store."""

    store: StoreConfig
    name: str

    def is_in_store_of(self, other: StoredCollection, root: Path) -> bool:
        """Tell whether two collections are in one store; relative paths start at `root`. Blocks."""
        one, two = self.store, other.store
        return (one.type, one.url, one.schema_name) == (two.type, two.url, two.schema_name) and real(root / one.path) == real(
            root / two.path
        )

    def is_same(self, other: StoredCollection, root: Path) -> bool:
        """Tell whether two are one collection. Blocks."""
        return self.name == other.name and self.is_in_store_of(other, root)


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What a job's own checks work with: the job file's folder, the names that can be used, and where mistakes go.

    With `read` the files that it names are looked into, too.
    """

    root: Path
    names: Names
    findings: Findings
    read: bool


class Job(Model):
    """What every job has; the model of a kind adds its own keys, and says what they mean for others.

    `workers` is None for `auto`; `max_failures` None: any number of items may fail, but not all. `needs` also holds the jobs whose output
    is read here. A key of a model means the same in every kind: `output` is where its rows go, `store` what it reads or fills, `llm` the
    model that it asks, `chunk` how its input is cut.
    """

    declared: ClassVar[bool] = True
    """Whether the model tells all that the job uses; of a kind without a model of its own nobody knows."""
    descriptions: ClassVar[Mapping[str, str]] = {}
    """A sentence for each key of its own, for the JSON Schema."""
    skips_empty: ClassVar[bool] = False
    """Whether an empty text is skipped where the embedder does not say `on_empty`."""
    rows_hold_hits: ClassVar[bool] = False
    """Whether its rows are those of its questions, each with its hits."""
    rows_hold_vectors: ClassVar[bool] = False
    """Whether its rows are those of its items, each with its vector."""
    asks_by_batches: ClassVar[tuple[str, ...]] = ("embedder",)
    """The keys of the models whose requests go into batches where they say `delivery: batch`, in the order of asking."""
    embeds: ClassVar[bool] = True
    """Whether it needs its embedder."""

    name: Name
    kind: str
    needs: tuple[Name, ...] = ()
    input: InputField
    workers: Workers = None
    max_failures: CountOrPercent | None = None
    skip: FilePath | None = None
    max_runtime: Duration | None = None
    budget: Budget = Field(default_factory=Budget)
    notify: NotifyConfig = Field(default_factory=NotifyConfig)
    embedder: EmbedderField = Field(default_factory=local_embedder, json_schema_extra={"default": "local"})

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Say in the help of a kind what its keys are for."""
        about, blank, rest = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")
        sentences = {**JOB_KEYS, **cls.descriptions}
        keys = "\n".join(f"    {key}: {sentences[key]}" for key in inspect.signature(cls).parameters if key in sentences)
        cls.__doc__ = f"{about}\n\nArgs:\n{keys}{blank}{rest}"

    @model_validator(mode="wrap")
    @classmethod
    def _made_in_python(cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        """Check a job that is no entry of a file as if it were one, which also fills in the parts that it names."""
        if info.context is IN_JOB_FILE or not isinstance(value, dict):
            return handler(value)
        from asyncrun.jobfile.objects import as_written, check_job

        value = as_written(value)
        if needs_output(cls):
            value.setdefault("output", ROWS_OF_REPORT)
        kind = next(iter(get_args(cls.model_fields["kind"].annotation)), value.get("kind", ""))
        job = check_job(str(kind), value)
        return handler({"kind": kind, **value} | {key: setting_of(job, key) for key in ("embedder", "store", "llm") if key in value})

    @property
    def fills(self) -> StoredCollection | None:
        """Return the collection that it fills, None where it fills none."""
        return None

    @property
    def asks(self) -> StoredCollection | None:
        """Return the collection that it asks, which is to be filled before."""
        return None

    @property
    def files(self) -> Mapping[str, str | None]:
        """Return the files that it reads beside its input, by what they are."""
        return {"skip file": self.skip}

    def check(self, entry: JobEntry, context: CheckContext) -> None:
        """Add what is wrong with the keys of this kind to the findings of the context."""


def needs_output(model: type[Job]) -> bool:
    """Tell whether a job of this model has rows that must go somewhere."""
    return "output" in model.model_fields and model.model_fields["output"].is_required()


def setting_of(job: Job | None, key: str) -> Any:
    """Return what a job has under a key of its model, None where there is nothing, or the key is one of a plugin's own."""
    return None if job is None or key not in type(job).model_fields else getattr(job, key)


def batch_models(job: Job) -> dict[str, EmbedderConfig | LlmConfig]:
    """Return the models that a job asks by batches where they say `delivery: batch`, by key; who searches by words asks no embedder."""
    unasked = {"embedder"} if setting_of(job, "search") == "keyword" else set()
    models = {key: setting_of(job, key) for key in job.asks_by_batches if key not in unasked}
    return {key: model for key, model in models.items() if model is not None}


class PluginJob(Job):
    """A job of a kind that an installed plugin brings; its own keys are the plugin's to check."""

    model_config = ConfigDict(extra="allow")
    declared: ClassVar[bool] = False

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


def job_model(kind: str) -> type[Job]:
    """Return the model of a kind's jobs; a plugin's that brings none, or that cannot be imported, has its keys in `PluginJob.options`."""
    try:
        found = registry.load("kinds", kind)
    except UsageError:
        return PluginJob  # Whoever opens the job is told why.
    model: type[Job] = getattr(found, "model", PluginJob)
    return model


def built_in_models() -> list[type[Job]]:
    """Return the models of the kinds that come with asyncrun."""
    return [job_model(kind) for kind in registry.BUILT_IN["kinds"]]


@cache
def job_options() -> frozenset[str]:
    """Return what may stand under `defaults`: the keys of the built-in kinds."""
    return keys_of(*built_in_models()) - {"name", "kind"}


def keys_of(*models: type[Job]) -> frozenset[str]:
    """Return the keys of models as a job file has them."""
    return frozenset(field.alias or name for model in models for name, field in model.model_fields.items())
