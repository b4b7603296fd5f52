"""The JSON Schema comes from the models that check the file, and agrees with them."""

from __future__ import annotations

import jsonschema
import pytest
import yaml

from asyncrun.jobfile import job_file_schema

# Every key of the language, what is not built yet included: the schema knows the whole of it.
EVERYTHING = """\
version: 1
vars: {docs: docs}
defaults: {max_failures: 1%}
embedders:
  local: {provider: local}
  openai:
    provider: openai
    model: text-embedding-3-small
    base_url: https://api.openai.com/v1
    endpoints: []
    api_key: ${OPENAI_API_KEY}
    dimensions: 512
    input_type: null
    document_prefix: ""
    query_prefix: ""
    api_version: null
    params: {a: b}
    options: {}
    space: openai-3-small-512
    batch: {max_items: 128, max_tokens: 100000, max_bytes: 2MB}
    limits: {requests_per_minute: 3000, tokens_per_minute: 1000000, inputs_per_minute: 2000, concurrency: "${N}", share: 100%}
    retry: {attempts: 6, max_wait: 15m}
    timeout: 60s
    on_too_long: fail
    on_empty: fail
    tokenizer: null
    price_per_million_tokens: 0.02
    headers: {A: b}
    extra_body: {}
  spread: {provider: openai, model: m, endpoints: [{base_url: http://a, api_key: "${A}", limits: {requests_per_minute: 5}}]}
  adapter: {provider: llama-index, options: {class: a.B, args: {x: 1}}}
  azure: {provider: azure, model: m, api_version: "2024-10-21"}
  other: {provider: openai, model: m, api_key: {file: key.txt}}
llms:
  small:
    provider: openai
    model: gpt-4o-mini
    temperature: 0
    max_output_tokens: 500
    system: "Answer from the context only."
    price_per_million_tokens: {input: 0.15, output: 0.60}
stores:
  docs: {type: sqlite, path: ./index.db}
  pg:   {type: pgvector, url: "${DATABASE_URL}", schema: public, index: hnsw, create: true}
  qd:   {type: qdrant, url: "http://localhost:6333", api_key: "${QDRANT_API_KEY}"}
trace: {keep: 30d, max_size: 500MB, text: false}
executor: {type: ray, address: auto, processes: 16}
notify: {ping: "${HEALTHCHECK_URL}"}
jobs:
  - name: embed-notes
    kind: embed
    needs: []
    input: notes.jsonl
    embedder: openai
    output: out/notes.parquet
    workers: auto
    max_failures: 1%
    skip: known-bad.txt
    max_runtime: 2h
    budget: {tokens: 50000000, cost: 5.00}
    notify: {ping: "http://x"}
  - name: ingest-handbook
    kind: ingest
    input: {path: "docs/**/*.md"}
    embedder: {provider: local}
    chunk: {by: sentence, size: 256, overlap: 32}
    store: docs
    collection: handbook
    source: handbook
    prune: true
    max_delete: 20%
    on_new_space: refuse
  - name: ask
    kind: query
    needs: [ingest-handbook]
    input: {path: questions.jsonl, text: question, id: qid}
    store: docs
    collection: handbook
    top_k: 5
    search: hybrid
    filter: "lang = 'en' and year >= 2024"
    llm: small
    prompt: {path: prompt.txt}
    context_tokens: 3000
    output: {path: "-", format: jsonl, columns: [id]}
  - name: inline
    kind: embed
    input: {items: [a, {text: b}], metadata: [x], exclude: ["*.bak"], duplicates: last, allow_empty: false, root: .}
    output: o.npy
"""
ENVIRON = dict.fromkeys(["OPENAI_API_KEY", "DATABASE_URL", "QDRANT_API_KEY"], "x") | {"HEALTHCHECK_URL": "https://x", "N": "5", "A": "a"}


@pytest.fixture(scope="module")
def validator():
    schema = job_file_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_whole_language_is_valid(validator):
    assert [error.message for error in validator.iter_errors(yaml.safe_load(EVERYTHING))] == []


def test_the_models_accept_the_whole_language_but_for_what_is_not_built(mistakes):
    found = mistakes(EVERYTHING, environ=ENVIRON)
    assert found
    assert [line for line in found if "is not in this version yet" not in line and "budget of money needs" not in line] == []


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
