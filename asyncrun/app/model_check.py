"""A look at every endpoint of every model that jobs use: its settings with their sources, what it says of itself, one vector of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from asyncrun.aio.limiter import Limiter
from asyncrun.app.builder import JobBuilder
from asyncrun.app.model_builder import model_identity
from asyncrun.clock import Clock
from asyncrun.embedders.interface import Embedder
from asyncrun.embedders.provider_classes import ProviderEmbedding
from asyncrun.embedders.providers import PROVIDERS
from asyncrun.embedders.same_model import KNOWN_TEXT, are_alike
from asyncrun.embedders.several import SeveralEmbedders
from asyncrun.endpoints.endpoint import Endpoint
from asyncrun.endpoints.replies import RequestError
from asyncrun.endpoints.server_info import ServerInfo, read_server_info, sibling_url
from asyncrun.errors import AsyncrunError, EndpointError
from asyncrun.jobfile.jobs import Job
from asyncrun.jobfile.sections import EndpointConfig, ModelConfig, RetryConfig
from asyncrun.llms.http_chat import HttpChat
from asyncrun.llms.interface import Llm
from asyncrun.llms.providers import CHAT_PROVIDERS
from asyncrun.llms.several import SeveralChats
from asyncrun.ui.doctor import Checkup, DoctorSetting

if TYPE_CHECKING:
    from asyncrun.records import Vectors

TIMEOUT = 10.0
"""Seconds that one request may take: somebody waits for the answer."""
FILE, ENVIRONMENT, DEFAULT, SERVER = "job file", "environment", "default", "server"
_SPECIAL = {"provider", "model", "base_url", "api_key", "endpoints", "limits"}
_HIDDEN = {"headers", "params", "extra_body", "options"}
"""What may hold a secret is shown by its names alone."""


def _asked_once(job: Job) -> Job:
    """Return the job with models that are asked once, and not for long."""
    parts = {name: part for name in ("embedder", "llm") if isinstance(part := getattr(job, name, None), ModelConfig)}
    once = {"retry": RetryConfig(attempts=1, max_wait=1.0)}
    return job.model_copy(
        update={name: part.model_copy(update={**once, "timeout": min(part.timeout, TIMEOUT)}) for name, part in parts.items()}
    )


async def check_models(jobs: Sequence[Job], builder: JobBuilder, environ: Mapping[str, str]) -> list[Checkup]:
    """Return a checkup for each endpoint of each model of the jobs, in the order of the jobs."""
    endpoints = await asyncio.to_thread(lambda: list(_endpoints_of(jobs, builder)))
    results = await asyncio.gather(*(_check_endpoint(checked, environ, builder.clock) for checked in endpoints))
    first: dict[int, Vectors] = {}
    checkups = []
    for checked, (checkup, vector) in zip(endpoints, results, strict=True):
        if vector is not None:
            reference = first.setdefault(checked.group, vector)
            if not are_alike(vector, reference):
                checkup = replace(checkup, error="it makes another vector of a known text than the first of its endpoints")  # noqa: PLW2901
        checkups.append(checkup)
    return checkups


@dataclass(frozen=True, slots=True, eq=False)
class _CheckedEndpoint:
    """One endpoint of one model of some jobs; endpoints of one `group` must make the same vectors. `error` says why there is no `model`."""

    group: int
    jobs: tuple[str, ...]
    key: str
    config: ModelConfig
    replica: EndpointConfig | None
    model: Embedder | Llm | None
    error: AsyncrunError | None = None

    @property
    def endpoint(self) -> Endpoint | None:
        """Return where it is asked, None where that is nowhere, or a plugin's own business."""
        return getattr(self.model, "endpoint", None)

    @property
    def row(self) -> Any:
        """Return what is known of its provider, None when nothing is."""
        return (PROVIDERS if self.key == "embedder" else CHAT_PROVIDERS).get(self.config.provider)


def _endpoints_of(jobs: Sequence[Job], builder: JobBuilder) -> Iterator[_CheckedEndpoint]:
    users: dict[tuple[str, str], list[Job]] = {}
    for job in jobs:
        for key in ("embedder", "llm"):
            if isinstance(config := getattr(job, key, None), ModelConfig) and (key != "embedder" or job.embeds):
                # What follows from the kind of a job makes no other model of it.
                users.setdefault((key, model_identity(config, config.model_fields_set)), []).append(job)
    for group, ((key, _), those) in enumerate(users.items()):
        config, names = getattr(those[0], key), tuple(job.name for job in those)
        try:
            job = _asked_once(those[0])
            model: Any = builder.llm(getattr(job, key)) if key == "llm" else builder.embedder(job) if job.declared else None
        except AsyncrunError as error:
            yield _CheckedEndpoint(group, names, key, config, None, None, error)
            continue
        members = model.embedders if isinstance(model, SeveralEmbedders) else model.llms if isinstance(model, SeveralChats) else [model]
        for replica, member in zip(config.endpoints_with_limits() or (None,), members, strict=True):
            yield _CheckedEndpoint(group, names, key, config, replica, member)


async def _check_endpoint(checked: _CheckedEndpoint, environ: Mapping[str, str], clock: Clock) -> tuple[Checkup, Vectors | None]:
    """Return what was found, and the vector of the known text where one came."""
    model, endpoint = checked.model, checked.endpoint
    name = f"{checked.key} {checked.config.provider}" + (f"/{model.model_name}" if model is not None and model.model_name else "")
    checkup = Checkup(name, endpoint.host if endpoint else None, tuple(_settings(checked, environ)), checked.jobs)
    if model is None:
        return _failed(checkup, checked.error), None
    about, vector, started = None, None, clock.monotonic()
    try:
        model.check()
        if isinstance(model, HttpChat):
            # An answer costs money; that the server lists its models says enough.
            path = CHAT_PROVIDERS[model.provider].path
            ending = "/messages" if path.endswith("/messages") else "/chat/completions"
            url = sibling_url(model.endpoint.url, ending, "/models")
            about = read_server_info((await model.endpoint.exchange(None, url)).document)
        else:
            vector = await _embedded(model)
            checkup = replace(checkup, dimensions=len(vector), seconds=clock.monotonic() - started)
            about = await _about(model)
    except RequestError as error:
        # A server may have no list of models, and answer all the same.
        checkup = checkup if error.status in (404, 405) else replace(checkup, error=str(error))
    except AsyncrunError as error:
        checkup = _failed(checkup, error)
    told = _from_server(about or ServerInfo(), model.model_name, endpoint.limiter if endpoint else None)
    return replace(checkup, settings=(*checkup.settings, *told)), vector


def _failed(checkup: Checkup, error: AsyncrunError | None) -> Checkup:
    return checkup if error is None else replace(checkup, error=error.message, hint=error.hint)


async def _embedded(model: Any) -> Vectors:
    answer = (await model.aembed([KNOWN_TEXT])).or_raise()
    if not answer.positions:
        raise EndpointError(answer.failures[0].message)
    vector: Vectors = answer.vectors[0]
    return vector


async def _about(model: Embedder | Llm) -> ServerInfo | None:
    """Return what the server says of itself; not to say anything is no fault."""
    if not isinstance(model, ProviderEmbedding):
        return None
    row, url, body = PROVIDERS[model.provider], model.endpoint.url, None
    path = row.path
    match row.dialect:
        case "ollama":
            where, body = sibling_url(url, path, "/api/show"), orjson.dumps({"model": model.model_name})
        case "tei":
            where = sibling_url(url, path.partition("{model}")[2] or path, "/info")
        case "openai":
            where = sibling_url(url, path, path.replace("/embeddings", "/models"))
        case _:
            return None
    try:
        return read_server_info((await model.endpoint.exchange(body, where)).document)
    except RequestError:
        return None


def _settings(checked: _CheckedEndpoint, environ: Mapping[str, str]) -> Iterator[DoctorSetting]:
    config, row = checked.config, checked.row
    where = checked.replica or config
    if checked.endpoint is not None and row is not None:
        told = next((name for name in row.vendor.addresses if environ.get(name, "").strip()), None)
        source = FILE if where.base_url else f"{ENVIRONMENT}, {told}" if told else DEFAULT
        yield DoctorSetting("address", where.base_url or checked.endpoint.host, source)
        yield _key(checked, row, environ)
    named = next((name for name in getattr(row, "models", ()) if environ.get(name, "").strip()), None)
    if checked.model is not None and checked.model.model_name:
        source = FILE if config.model else f"{ENVIRONMENT}, {named}" if named else DEFAULT
        yield DoctorSetting("model", checked.model.model_name, source)
    for name in sorted(where.limits.model_fields_set):
        limit = getattr(where.limits, name)
        yield DoctorSetting(name.replace("_", " "), str(limit).lower() if isinstance(limit, bool) else f"{limit:,g}", FILE)
    for name in sorted(config.model_fields_set - _SPECIAL):
        value = getattr(config, name)
        if value not in (None, "", {}, ()):
            shown = ", ".join(sorted(value)) if name in _HIDDEN else _shown(config.model_dump(mode="json", include={name})[name])
            yield DoctorSetting(name.replace("_", " "), shown, FILE)


def _key(checked: _CheckedEndpoint, row: Any, environ: Mapping[str, str]) -> DoctorSetting:
    """Return whether there is a key and where it comes from; never the key."""
    if (checked.replica or checked.config).api_key is not None:
        return DoctorSetting("key", "present", FILE)
    headers = checked.endpoint.headers if checked.endpoint else {}
    if any(name.lower() == row.vendor.auth for name in headers):
        known = next((name for name in row.vendor.keys if environ.get(name, "").strip()), None)
        stated = row.vendor.auth in map(str.lower, checked.config.headers)
        return DoctorSetting("key", "present", f"{ENVIRONMENT}, {known}" if known and not stated else FILE)
    return DoctorSetting("key", "none is sent", DEFAULT)


def _from_server(about: ServerInfo, model: str, limiter: Limiter | None) -> Iterator[DoctorSetting]:
    for unit, limit in sorted(limiter.learned.items()) if limiter else ():
        yield DoctorSetting(f"{unit} per minute", f"{limit:,g}", SERVER)
    if (listed := about.has_model(model)) is not None and model:
        yield DoctorSetting("known", "it lists the model" if listed else "it does not list the model", SERVER)
    if about.max_items is not None:
        yield DoctorSetting("one request", f"{about.max_items:,} texts", SERVER)
    if about.max_input_tokens is not None:
        cuts = "" if about.cuts is None else ", a longer one is cut" if about.cuts else ", a longer one is refused"
        yield DoctorSetting("one text", f"{about.max_input_tokens:,} tokens{cuts}", SERVER)


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {item}" for name, item in value.items() if item is not None)
    return str(value)
