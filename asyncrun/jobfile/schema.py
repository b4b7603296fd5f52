"""The JSON Schema of the job file, from the models that check it."""

from __future__ import annotations

from typing import Any

from asyncrun.jobfile.model import Sections


def job_file_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a job file.

    >>> job_file_schema()["title"]
    'asyncrun job file'
    """
    schema = Sections.model_json_schema(by_alias=True, mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "asyncrun job file"}
