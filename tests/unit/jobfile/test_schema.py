"""The JSON Schema comes from the models that check the file, and agrees with them."""

from __future__ import annotations

import copy
import json
import random
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from asyncrun.errors import JobFileError
from asyncrun.jobfile import job_file_schema
from tests.depth import times

EXAMPLE = (Path(__file__).parents[3] / "jobs.example.yaml").read_text(encoding="utf-8")
EVERYTHING = (Path(__file__).parent / "everything.yaml").read_text(encoding="utf-8")
ENVIRON = dict.fromkeys(["OPENAI_API_KEY", "DATABASE_URL", "QDRANT_API_KEY"], "x") | {
    "HEALTHCHECK_URL": "https://x",
    "SLACK_URL": "slack://x",
    "N": "5",
    "A": "a",
}


@pytest.fixture(scope="module")
def validator():
    schema = job_file_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("text", [EVERYTHING, EXAMPLE], ids=["everything", "example"])
def test_the_whole_language_and_the_example_are_valid(validator, text):
    assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []


def test_the_models_accept_the_whole_language_but_for_what_is_not_there(load):
    try:
        assert load(EVERYTHING, environ=ENVIRON).jobs
    except JobFileError as error:
        told = ("is not in this version yet", "needs the extra 'ray'")
        assert [str(mistake) for mistake in error.mistakes if not any(words in str(mistake) for words in told)] == []


@pytest.mark.parametrize(
    "text",
    [
        "version: 1",
        "jobs: []",
        "jobs: [{name: a, kind: embd, input: i, output: o}]",
        "jobs: [{name: a, kind: embed, input: i}]",
        "jobs: [{name: A, kind: embed, input: i, output: o}]",
        "jobs: [{name: a, kind: embed, input: 5, output: o}]",
        "jobs: [{name: a, kind: embed, input: i, output: o, worker: 5}]",
        "jobs: [{name: a, kind: embed, input: i, output: o, workers: 0}]",
        "jobs: [{name: a, kind: embed, input: i, output: o, max_failures: x}]",
        "jobs: [{name: a, kind: query, input: i, output: o, search: x}]",
        "trace: {keep: 3 fortnights}\njobs: [{name: a, kind: embed, input: i, output: o}]",
    ],
)
def test_what_the_models_refuse_is_not_valid(validator, mistakes, text):
    assert list(validator.iter_errors(yaml.safe_load(text)))
    assert mistakes(text)


def properties() -> list[tuple[str, str, dict[str, Any]]]:
    schema = job_file_schema()
    parts = {"the file": schema, **schema["$defs"]}
    return [(part, key, field) for part, told in parts.items() for key, field in told.get("properties", {}).items()]


def test_every_key_says_what_it_is_for():
    assert len(properties()) > 100
    assert [f"{part}.{key}" for part, key, field in properties() if not field.get("description", "").endswith(".")] == []


OFFERED = {
    **{"EmbedderConfig.provider": "voyage", "LlmConfig.provider": "ollama", "StoreConfig.type": "sqlite", "InputConfig.format": "auto"},
    **{"OutputConfig.format": "npy", "Chunking.by": "sentence", "QueryJob.search": "hybrid", "IngestJob.on_new_space": "rebuild"},
}


def test_an_editor_offers_the_names_that_are_known(validator):
    offered = {f"{part}.{key}": str(field) for part, key, field in properties()}
    for key, word in OFFERED.items():
        assert f"'{word}'" in offered[key]
    plugin = "jobs: [{name: a, kind: embed, input: i, output: o, embedder: {provider: mine}}]"
    assert list(validator.iter_errors(yaml.safe_load(plugin))) == []


# What a schema cannot know: it lies between two places, in the small languages, in variables, or in what YAML reads differently.
BEYOND = re.compile(
    "is not in this version|needs the extra"
    "|does not use it|needs a price|no job is named|has this name too|jobs need each other|not a key|this job file"
    "|unknown (embedder|store|llm|provider|store type|format|way to cut|output format)|writes (this output|to stdout)|the job reads"
    "|the ending of the path|not a filter|not a template|other limits|missing; allowed: (a model|.class)|not below the size"
    "|one model|has no (options|versions)|has its own arguments|stand instead|stand together|no path and no items|nobody answers"
    "|placeholder|does not hold|keep no metadata|one source|must not stand|not the address|not an address|0 seconds|an .npy file"
    "|standard output takes|no batch endpoint|one endpoint|wait in batches|asks one thing|no JSON Schema"
)


def test_schema_and_loader_agree_on_spoiled_files(validator, mistakes, load):
    """Where the schema finds a mistake the loader does, and where it finds none the loader's are of the kinds that no schema can know.

    A key without a value is another matter: the loader takes it for one that is not there, an editor says what is missing.
    """
    whole = yaml.safe_load(EVERYTHING)
    rng = random.Random(44)
    values = [None, True, 5, -1, 0.5, "x", "5%", "2h", "10MB", [], {}, ["a"], {"a": 1}]
    refused, count = 0, times(quick=100, deep=400)
    for _ in range(count):
        data = copy.deepcopy(whole)
        holder, key = rng.choice(places(data))
        if rng.random() < 0.3 and isinstance(holder, dict):
            holder[f"{key}x"] = holder.pop(key)
        elif rng.random() < 0.2:
            del holder[key]
        else:
            holder[key] = rng.choice(values)
        empty = isinstance(holder, dict) and key in holder and holder[key] is None
        text = json.dumps(data)  # which is YAML, and written in no time
        valid = not list(validator.iter_errors(data))
        try:
            load(text, environ=ENVIRON)
            found = []
        except JobFileError as error:
            found = [str(mistake) for mistake in error.mistakes]
        plain = [line for line in found if not BEYOND.search(line)]
        refused += not valid
        assert valid or found or empty, text
        assert not valid or not plain, plain
    assert refused > count / 4


def places(data: Any) -> list[tuple[Any, Any]]:
    steps = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [found for key, below in list(steps) for found in [(data, key), *places(below)]]


def test_an_editor_is_offered_an_embedder_where_something_is_embedded(validator):
    job = {"name": "a", "kind": "generate", "input": "i", "output": "o", "llm": "x", "prompt": "{text}"}
    assert validator.is_valid({"jobs": [job], "defaults": {"embedder": "local"}})
    assert not validator.is_valid({"jobs": [{**job, "embedder": "local"}]})
