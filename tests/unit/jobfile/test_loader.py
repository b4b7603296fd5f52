"""What a job file without mistakes becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncrun import registry
from asyncrun.errors import UsageError
from asyncrun.jobfile import EmbedJob, IngestJob, PluginJob, QueryJob, Threshold
from asyncrun.registry import PartLocation

SHORT = """\
jobs:
  - {name: notes, kind: embed, input: notes.jsonl, output: vectors.jsonl}
"""

LONG = """\
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
    document_prefix: "passage: "
    query_prefix: "query: "
    api_version: null
    space: openai-3-small-512
    batch: {max_items: 128, max_tokens: 100000, max_bytes: 2MB}
    limits: {requests_per_minute: 3000, tokens_per_minute: 1000000, inputs_per_minute: 2000, concurrency: 16, share: 50%}
    retry: {attempts: 3, max_wait: 15m}
    timeout: 500ms
    on_too_long: split
    on_empty: skip
    tokenizer: null
    price_per_million_tokens: 0.02
    headers: {X-Team: search}
    extra_body: {user: me, deep: {n: 1}}
stores:
  docs: {type: sqlite, path: ./index.db}
trace: {keep: 30d, max_size: 500MB, text: false}
executor: {type: local}
jobs:
  - name: embed-notes
    kind: embed
    needs: []
    input: notes.jsonl
    embedder: openai
    output: out/notes.parquet
    workers: auto
    max_failures: 3
    skip: known-bad.txt
  - name: ingest-handbook
    kind: ingest
    input: {path: "${docs}/**/*.md"}
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
    input: {path: questions.jsonl, text: question, id: qid, metadata: [lang], duplicates: first, exclude: "*.bak"}
    store: docs
    collection: handbook
    top_k: 5
    search: hybrid
    filter: "lang = 'en' and year >= 2024"
    output: out/answers.jsonl
"""
KEY = {"OPENAI_API_KEY": "k" * 30}


def test_the_shortest_file_gets_every_default(load):
    job = load(SHORT).jobs[0]
    assert isinstance(job, EmbedJob)
    assert (job.name, job.kind, job.needs, job.max_failures, job.workers) == ("notes", "embed", (), None, None)
    assert (job.input.paths, job.input.text, job.input.id, job.input.format) == (("notes.jsonl",), "text", "id", "auto")
    assert (job.output.path, job.output.format) == ("vectors.jsonl", "jsonl")
    assert (job.embedder.provider, job.embedder.on_too_long, job.embedder.on_empty) == ("local", "truncate", "fail")


def test_every_setting_of_an_embedder_arrives(load):
    embedder = load(LONG, environ=KEY).jobs[0].embedder
    assert embedder.api_key.get_secret_value() == "k" * 30
    assert (embedder.timeout, embedder.retry.attempts, embedder.retry.max_wait) == (0.5, 3, 900.0)
    assert (embedder.batch.max_items, embedder.batch.max_tokens, embedder.batch.max_bytes) == (128, 100_000, 2_000_000)
    assert (embedder.limits.requests_per_minute, embedder.limits.concurrency, embedder.limits.share) == (3000.0, 16, 0.5)
    assert (embedder.on_too_long, embedder.on_empty, embedder.price_per_million_tokens) == ("split", "skip", 0.02)
    assert embedder.extra_body == {"user": "me", "deep": {"n": 1}}
    assert embedder.headers["X-Team"].get_secret_value() == "search"


def test_the_other_kinds_arrive(load):
    job_file = load(LONG, environ=KEY)
    _, ingest, ask = job_file.jobs
    assert isinstance(ingest, IngestJob)
    assert isinstance(ask, QueryJob)
    assert ingest.input.paths == ("docs/**/*.md",)
    assert (ingest.chunk.size, ingest.chunk.overlap, ingest.source, ingest.prune) == (256, 32, "handbook", True)
    assert ingest.max_delete == Threshold(percent=20.0)
    assert ingest.store.path == "./index.db"
    assert (ask.search, ask.top_k, ask.input.text, ask.input.metadata, ask.input.exclude) == (
        "hybrid",
        5,
        "question",
        ("lang",),
        ("*.bak",),
    )
    assert (job_file.trace.keep, job_file.trace.max_size) == (30 * 86400.0, 500_000_000)


def test_defaults_stand_below_a_jobs_own_values(load):
    first, second, _ = load(LONG, environ=KEY).jobs
    assert first.max_failures == Threshold(count=3)
    assert second.max_failures == Threshold(percent=1.0)


def test_a_default_that_a_kind_does_not_know_is_left_out(load):
    text = SHORT + "defaults: {chunk: {size: 64}}\n"
    assert load(text).jobs[0].name == "notes"


def test_ingest_skips_empty_documents_unless_the_embedder_says_otherwise(load):
    text = "jobs: [{name: a, kind: ingest, input: a.md}, {name: b, kind: ingest, input: b.md, embedder: {provider: local, on_empty: fail}}]"
    assert [job.embedder.on_empty for job in load(text).jobs] == ["skip", "fail"]


def test_an_ingest_job_owns_its_documents_by_its_name(load):
    (job,) = load("jobs: [{name: a, kind: ingest, input: a.md}]").jobs
    assert (job.source, job.collection, job.store.type, job.store.path) == ("a", "documents", "sqlite", "index.db")


def test_a_small_chunk_gets_an_overlap_that_fits(load):
    (job,) = load("jobs: [{name: a, kind: ingest, input: a.md, chunk: {size: 16}}]").jobs
    assert (job.chunk.size, job.chunk.overlap) == (16, 2)


@pytest.mark.parametrize("embedder", ["openai/text-embedding-3-small", "{provider: openai, model: text-embedding-3-small}"])
def test_an_embedder_can_be_stated_in_place(load, embedder):
    (job,) = load(f"jobs:\n- name: a\n  kind: embed\n  input: a\n  output: o.jsonl\n  embedder: {embedder}").jobs
    assert (job.embedder.provider, job.embedder.model) == ("openai", "text-embedding-3-small")


@pytest.mark.parametrize("written", ["a.jsonl", "[a.jsonl]", "{path: a.jsonl}", "{path: [a.jsonl]}"])
def test_an_input_has_short_forms(load, written):
    (job,) = load(f"jobs: [{{name: a, kind: embed, input: {written}, output: '-'}}]").jobs
    assert job.input.paths == ("a.jsonl",)
    assert job.output.path == "-"


def test_items_can_stand_in_the_file(load):
    (job,) = load("jobs: [{name: a, kind: embed, input: {items: [one, {text: two, n: 2}]}, output: '-'}]").jobs
    assert job.input.items == ("one", {"text": "two", "n": 2})


def test_a_job_needs_the_jobs_whose_output_it_reads(load):
    text = """\
jobs:
  - {name: third, kind: embed, input: "out/*.jsonl", output: c.parquet}
  - {name: second, kind: embed, input: ./out/a.jsonl, output: out/b.jsonl}
  - {name: first, kind: embed, input: x.jsonl, output: out/a.jsonl}
"""
    job_file = load(text)
    assert [job.needs for job in job_file.jobs] == [("second", "first"), ("first",), ()]
    assert [job.name for job in job_file.selected()] == ["first", "second", "third"]
    assert [job.name for job in job_file.jobs] == ["third", "second", "first"]


def test_selected_jobs_come_with_what_they_need(load):
    job_file = load(LONG, environ=KEY)
    assert [job.name for job in job_file.selected(["ask"])] == ["ingest-handbook", "ask"]
    assert [job.name for job in job_file.selected(["ask"], with_needs=False)] == ["ask"]


def test_an_unknown_job_name_is_refused_with_a_suggestion(load):
    with pytest.raises(UsageError, match="no job is named 'nots'") as caught:
        load(SHORT, jobs=["nots"])
    assert "notes" in caught.value.hint
    with pytest.raises(UsageError, match="no job is named 'nots'"):
        load(SHORT).selected(["nots"])


def test_anchors_and_merge_keys_are_read(load):
    text = """\
jobs:
  - &base {name: a, kind: embed, input: a.jsonl, output: a.parquet, workers: 3}
  - <<: *base
    name: b
    output: b.parquet
"""
    first, second = load(text).jobs
    assert (second.name, second.input, second.workers, second.output.path) == ("b", first.input, 3, "b.parquet")


def test_secrets_are_known_and_never_shown(load, vault):
    text = """\
embedders:
  e: {provider: openai, model: m, api_key: "${KEY}", headers: {X-Auth: header-secret}}
stores:
  s: {type: vault, api_key: "${STORE_KEY}"}
jobs:
  - {name: a, kind: ingest, input: a.md, embedder: e, store: s}
"""
    job_file = load(text, environ={"KEY": "very-secret-key", "STORE_KEY": "store-secret"})
    assert job_file.secrets() == {"very-secret-key", "header-secret", "store-secret"}
    assert not any(secret in repr(job_file) for secret in job_file.secrets())


def test_models_are_frozen(load):
    job_file = load(SHORT)
    with pytest.raises(ValueError, match="frozen"):
        job_file.jobs[0].name = "other"


def test_paths_start_at_the_folder_of_the_job_file(load, tmp_path: Path):
    job_file = load(SHORT, path=tmp_path / "jobs.yaml")
    assert job_file.root == tmp_path
    assert job_file.absolute("../x/./y.db") == tmp_path.parent / "x" / "y.db"


def test_a_plugins_kind_keeps_its_own_keys(load, monkeypatch):
    monkeypatch.setattr(
        registry,
        "BUILT_IN",
        {**registry.BUILT_IN, "kinds": {**registry.BUILT_IN["kinds"], "translate": PartLocation("x:y", distribution="translate")}},
    )
    (job,) = load("jobs: [{name: a, kind: translate, input: a.md, language: fr}]").jobs
    assert isinstance(job, PluginJob)
    assert job.options == {"language": "fr"}
