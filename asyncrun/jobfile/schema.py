"""The JSON Schema of the job file, from the models that check it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncrun.jobfile.descriptions import DESCRIPTIONS
from asyncrun.jobfile.entries import OPTIONS
from asyncrun.jobfile.jobs import JOB_MODELS
from asyncrun.jobfile.model import Sections
from asyncrun.jobfile.unavailable import PLANNED

_NAMED = {
    ("EmbedderConfig", "provider"): "embedders",
    ("LlmConfig", "provider"): "llms",
    ("StoreConfig", "type"): "stores",
    ("Input", "format"): "readers",
    ("Output", "format"): "writers",
    ("Chunking", "by"): "chunkers",
}
"""The keys that hold a name of a port: an editor offers the known ones, and a plugin's stays valid."""


def job_file_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a job file.

    >>> job_file_schema()["title"]
    'asyncrun job file'
    """
    schema = Sections.model_json_schema(by_alias=True, mode="validation")
    for model, part in {"Sections": schema, **schema["$defs"]}.items():
        properties = part.get("properties", {})
        for key, field in properties.items():
            properties[key] = _described(field, DESCRIPTIONS[model][key], _NAMED.get((model, key)))
    schema["properties"]["defaults"] |= {"properties": _options(schema["$defs"]), "additionalProperties": False}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "asyncrun job file"}


def _options(models: Mapping[str, Any]) -> dict[str, Any]:
    jobs = (models[model.__name__]["properties"] for model in reversed(JOB_MODELS.values()))
    return {key: field for properties in jobs for key, field in properties.items() if key in OPTIONS}


def _described(field: dict[str, Any], sentence: str, port: str | None) -> dict[str, Any]:
    written = field.get("description")
    described = {**field, "description": f"{sentence} Written as {written}." if written else sentence}
    if port is not None:
        extra = ["auto"] if port == "readers" else []
        described["anyOf"] = [{"enum": [*extra, *PLANNED[port]]}, {"type": "string"}]
    return described
