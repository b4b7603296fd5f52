"""The JSON Schema of the job file, from the models that check it, with a sentence on what each key is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Union

from pydantic import Field, create_model

from asyncrun import registry
from asyncrun.jobfile.input_output import LLAMA_INDEX
from asyncrun.jobfile.job_file import TopLevel
from asyncrun.jobfile.job_keys import JOB_KEYS
from asyncrun.jobfile.jobs import Job, built_in_models, job_options

_ENDPOINT = {
    "provider": "Who is asked: a provider's name, or a plugin's.",
    "model": "The model's name as the provider writes it.",
    "base_url": "The address of a compatible server; default: the provider's own. It holds no key, no password and no query string.",
    "endpoints": "Instead of base_url and api_key: servers of the same model.",
    "api_key": "A variable such as ${OPENAI_API_KEY}, or {file: PATH}; default: the provider's own variable.",
    "api_version": "The version of the API (azure).",
    "params": "A query string behind the address; no key may stand there.",
    "options": "Settings of an adapter, such as class and args of llama-index.",
    "limits": "What the endpoint allows; what is not stated is learned from its answers.",
    "retry": "How often a batch is tried.",
    "delivery": "online: one by one. batch: by the provider's batch endpoint, which costs about half and may take a day.",
    "timeout": "The longest that one attempt may take, from its start to its last byte.",
    "http2": "Speak HTTP/2 where the server agrees to it over TLS (extra http2).",
    "headers": "Headers that are sent as they are; their values are shown nowhere.",
    "extra_body": "Merged into the JSON of every request.",
}

DESCRIPTIONS: Mapping[str, Mapping[str, str]] = {
    "TopLevel": {
        "version": "The version of the job file's language.",
        "vars": "Values of ${NAME}; --var and the environment come before them.",
        "defaults": "Options that every job has unless it says otherwise.",
        "embedders": "Embedders by the names that jobs use.",
        "llms": "Models that answer, by the names that jobs use.",
        "stores": "Stores by the names that jobs use.",
        "trace": "How long runs are remembered.",
        "executor": "Where calls run.",
        "notify": "Who is told that a run has started and how it ended.",
        "metrics": "A file for Prometheus that is replaced at the end of each run: how its jobs went.",
        "jobs": "What is done.",
    },
    "EndpointConfig": {key: _ENDPOINT[key] for key in ("base_url", "api_key", "limits")},
    "EmbedderConfig": {
        **_ENDPOINT,
        "dimensions": "How many numbers a vector has, where the model leaves a choice.",
        "input_type": "The provider's own word for documents and queries, when the default is not wanted.",
        "document_prefix": "Put before every document, for models that need it.",
        "query_prefix": "Put before every query, for models that need it.",
        "space": "A name of the vector space: equal names share vectors, whatever the endpoint.",
        "batch": "How much one request may carry; default: what the provider takes.",
        "on_too_long": "What becomes of a text that is too long for the model: it fails, is cut, or is embedded in equal parts.",
        "on_empty": "What becomes of an empty text: it fails, or is skipped.",
        "tokenizer": "all-MiniLM-L6-v2, or the path of a tokenizer.json (extra tokenizers); default: a safe bound by bytes.",
        "price_per_million_tokens": "USD; a budget of money needs it.",
    },
    "LlmConfig": {
        **_ENDPOINT,
        "temperature": "The model's temperature.",
        "max_output_tokens": "The longest answer.",
        "system": "The system message.",
        "tokenizer": "all-MiniLM-L6-v2, or the path of a tokenizer.json (extra tokenizers). Counts for context_tokens; default: by bytes.",
        "price_per_million_tokens": "USD; a budget of money needs it.",
    },
    "BatchConfig": {"max_items": "Texts of one request.", "max_tokens": "Tokens of one request.", "max_bytes": "Bytes of one request."},
    "LimitsConfig": {
        "requests_per_minute": "Requests a minute.",
        "tokens_per_minute": "Tokens a minute.",
        "inputs_per_minute": "Texts a minute.",
        "input_tokens_per_minute": "Tokens of requests a minute, where they are counted apart.",
        "output_tokens_per_minute": "Tokens of answers a minute, where they are counted apart.",
        "concurrency": "Requests in flight, over all jobs.",
        "share": "The part of these limits that is ours, where other processes use the key too.",
        "shared": "Whether the shards of a run (--shard) divide these limits; false: each has a server or a key of its own.",
    },
    "RetryConfig": {
        "attempts": "Tries of one batch, the first included; without a number a first request that reaches no server has 3.",
        "max_wait": "How long one batch may wait for throttles in all.",
    },
    "PriceConfig": {
        "input": "USD for a million tokens of requests.",
        "output": "USD for a million tokens of answers.",
        "cached_input": "USD for a million tokens of requests that the server had already read; default: as input.",
    },
    "StoreConfig": {
        "type": "The kind of store, or a plugin's name.",
        "path": "The file or folder of a store on this machine (sqlite, lancedb).",
        "url": "The address of a server (pgvector, qdrant); it may hold a password, and is shown nowhere.",
        "api_key": "The server's key: a variable such as ${QDRANT_API_KEY}, or {file: PATH}.",
        "schema": "The schema of the tables (pgvector).",
        "index": "The index for vectors (pgvector).",
        "create": "Whether tables are made (pgvector).",
        "options": "Settings of an adapter: of a plugin's store, or class and args of llama-index.",
    },
    "TraceConfig": {
        "keep": "How long runs are remembered.",
        "max_size": "How large the record of runs may become.",
        "text": "Whether the texts of items are recorded too.",
    },
    "ExecutorConfig": {
        "type": "Where calls run: in this process, in processes of this machine, or on a Ray cluster (extra ray).",
        "address": "The address of a cluster (ray), or auto.",
        "processes": "How many processes there are (processes, ray); default: one for each core.",
        "cpus": "Cores of the cluster for each of them (ray).",
        "gpus": "Graphics processors of the cluster for each of them (ray).",
    },
    "NotifyConfig": {
        "ping": "An address that is called at the start and at the end; best a variable.",
        "to": "Addresses of Apprise that are told of the end (extra notify), each from a variable: mail, Slack, ntfy, a webhook.",
        "when": "Of which ends; a list joins several. recovered: the first good one after one that was not.",
    },
    "InputConfig": {
        "path": "A path or several: globs, '-' for standard input; they start at the job file's folder.",
        "items": "Items in place: texts, or mappings with their fields.",
        "exclude": "Globs of files that are left out; one without a slash is a name in any folder.",
        "format": "The format of the files; auto: told by their endings.",
        "text": "The field that is embedded, a dotted field, or a template such as '{title}. {text}'.",
        "id": "The field or the template of the id; default: the field id, else the path, or path#line.",
        "metadata": "Fields that are kept, and that a filter can ask for; default: all that a document says of itself, none of a row.",
        "encoding": "Of text files; default: UTF-8, and a document in another one is guessed.",
        "delimiter": "What stands between the fields of CSV: one character, or \\t.",
        "root": "The folder that ids made of paths are relative to.",
        "duplicates": "What becomes of a second item with the same id.",
        "allow_empty": "Whether a glob may match nothing.",
        "sql": "A query whose rows are the items, their columns the fields: on a PostgreSQL database (url) or an SQLite file (path).",
        "url": "The address of the database that sql asks; it may hold a password, and is shown nowhere.",
        "options": "For format llama-index: class and args of a reader of LlamaIndex, and what its load_data takes (load).",
    },
    "OutputConfig": {
        "path": "A path, or '-' for standard output; folders that are missing are made.",
        "format": "The format of the rows; default: told by the ending of the path.",
        "columns": "Which columns are written, in this order.",
    },
    "Budget": {"tokens": "Tokens that may be sent.", "cost": "USD that may be spent; it needs a price."},
    "Prompt": {
        "path": "A file with the prompt.",
        "text": "Of a query {question}, {context}, {metadata.NAME} stand in it, else {text}, {id}, {FIELD} of the item; {{ is a brace.",
    },
    "PromptMessage": {"role": "Who says it.", "content": "What is said: {text}, {id} and {FIELD} are those of the item; {{ is a brace."},
    "Chunking": {
        "by": "How documents are cut.",
        "size": "Tokens of a chunk, as the embedder counts them.",
        "overlap": "Tokens that a chunk shares with the one before it; by code, markdown and page none over their borders.",
        "context": "What is sent with a chunk beside its text.",
    },
}
"""A sentence by the model and the key."""


_NAMED = {
    ("EmbedderConfig", "provider"): "embedders",
    ("LlmConfig", "provider"): "llms",
    ("StoreConfig", "type"): "stores",
    ("InputConfig", "format"): "readers",
    ("OutputConfig", "format"): "writers",
    ("Chunking", "by"): "chunkers",
}
"""The keys that hold a name of a port: an editor offers the known ones, and a plugin's stays valid."""


def job_file_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a job file.

    >>> job_file_schema()["title"]
    'asyncrun job file'
    """
    jobs = built_in_models()
    schema = _with_jobs(jobs).model_json_schema(by_alias=True, mode="validation")
    sentences = {**DESCRIPTIONS, **{job.__name__: {**JOB_KEYS, **job.descriptions} for job in jobs}}
    for job in jobs:
        if not job.embeds:
            del schema["$defs"][job.__name__]["properties"]["embedder"]
    for model, part in {"TopLevel": schema, **schema["$defs"]}.items():
        properties = part.get("properties", {})
        # What follows in a docstring is for Python.
        if about := part.get("description"):
            part["description"] = about.partition("\n\nArgs:")[0]
        for key, field in properties.items():
            properties[key] = _described(field, sentences[model][key], _NAMED.get((model, key)))
    options = _options([schema["$defs"][job.__name__]["properties"] for job in jobs])
    schema["properties"]["defaults"] |= {"properties": options, "additionalProperties": False}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "asyncrun job file"}


def _with_jobs(jobs: Sequence[type[Job]]) -> type[TopLevel]:
    """Return the model of the top level with the models of the kinds in it."""
    union: Any = Annotated[Union[tuple(jobs)], Field(discriminator="kind")]  # noqa: UP007  # of as many as there are
    several: Any = tuple.__class_getitem__((union, ...))
    return create_model("TopLevel", __base__=TopLevel, __doc__=TopLevel.__doc__, jobs=(several, Field(min_length=1)))


def _options(jobs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    known = job_options()
    return {key: field for properties in reversed(jobs) for key, field in properties.items() if key in known}


def _described(field: dict[str, Any], sentence: str, port: str | None) -> dict[str, Any]:
    written = field.get("description")
    described = {**field, "description": f"{sentence} Written as {written}." if written else sentence}
    if port is not None:
        extra = ["auto", LLAMA_INDEX] if port == "readers" else []
        described["anyOf"] = [{"enum": [*extra, *registry.BUILT_IN[port]]}, {"type": "string"}]
    return described
