"""Jobs made in Python become the text of a job file that means the same."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from inspect import signature
from pathlib import Path, PurePosixPath
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from asyncrun.errors import JobFileError
from asyncrun.jobfile.job_keys import EmbedKeys, IngestKeys, QueryKeys
from asyncrun.jobfile.loader import LoadOptions, parse_job_file
from asyncrun.jobfile.objects import as_job_file
from asyncrun.jobfile.schema import job_file_schema
from asyncrun.jobs import EmbedJob, IngestJob, QueryJob

EVERY_KEY = """\
embedders:
  openai:
    provider: openai
    model: text-embedding-3-small
    base_url: https://localhost/v1
    api_key: ${OPENAI_API_KEY}
    dimensions: 512
    document_prefix: "passage $$: "
    space: mine
    batch: {max_items: 128, max_tokens: 100000, max_bytes: 2MB}
    limits: {requests_per_minute: 3000, concurrency: 16, share: 12.5%}
    retry: {attempts: 3, max_wait: 15m}
    timeout: 500ms
    on_too_long: split
    on_empty: skip
    price_per_million_tokens: 0.02
    headers: {X-Team: search, X-Key: "${OPENAI_API_KEY}"}
    extra_body: {user: me, deep: {n: 1}, list: [1, null, true]}
llms:
  small: {provider: openai, model: m, api_key: "${OPENAI_API_KEY}", price_per_million_tokens: {input: 1, output: 2.5}, temperature: 0.5}
jobs:
  - name: notes
    kind: embed
    input: {path: [notes.jsonl, "more/*.csv"], exclude: ["more/no.csv"], text: "{title}. {text}", id: key, metadata: [a, b.c]}
    embedder: openai
    output: {path: out/notes.parquet, columns: [id, embedding]}
    max_failures: 3
    skip: known-bad.txt
    max_runtime: 2h
    budget: {tokens: 1000000, cost: 2.5}
    notify: {ping: "https://hc-ping.com/${OPENAI_API_KEY}"}
  - name: fill
    kind: ingest
    input: {items: ["a $$ text", {id: x, text: y}]}
    chunk: {by: sentence, size: 64, overlap: 8}
    store: {type: sqlite, path: index.db}
    collection: c
    prune: true
    max_delete: 12.5%
  - name: ask
    kind: query
    needs: [fill]
    input: {items: [why]}
    store: {type: sqlite, path: index.db}
    collection: c
    search: hybrid
    filter: "lang = 'en'"
    llm: small
    prompt: "{question} {context}"
    context_tokens: 500
    output: "-"
"""


def loaded(text: str, variables: Any) -> Any:
    return parse_job_file(text, Path("jobs.yaml"), LoadOptions(variables=variables, check_inputs=False, need_keys=False))


def test_whatever_a_job_file_says_a_job_object_says_too() -> None:
    variables = {"OPENAI_API_KEY": "a-secret-value-1234"}
    first = loaded(EVERY_KEY, variables)
    described = as_job_file(first.jobs)
    second = loaded(described.text, described.variables)
    assert [job.model_dump() for job in second.jobs] == [job.model_dump() for job in first.jobs]
    assert "a-secret-value-1234" not in described.text


def test_keys_stand_beside_the_text_and_dollars_mean_themselves() -> None:
    embedder = {"provider": "openai", "model": "m", "api_key": "sk-$1"}
    job = EmbedJob(name="a", input={"items": ["costs $5, or ${HOME}"]}, output="a.npy", embedder=embedder)
    described = as_job_file([job])
    assert "sk-$1" not in described.text
    assert "sk-$1" not in repr(described)
    [again] = loaded(described.text, described.variables).jobs
    assert again.input.items == ("costs $5, or ${HOME}",)
    assert again.embedder.api_key.get_secret_value() == "sk-$1"


def test_a_key_may_be_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-from-the-environment")
    embedder = {"provider": "openai", "model": "m", "api_key": "${SOME_KEY}"}
    job = EmbedJob(name="a", input="a.jsonl", output="a.npy", embedder=embedder)
    assert job.embedder.api_key is not None
    assert job.embedder.api_key.get_secret_value() == "sk-from-the-environment"
    entry = {"name": "a", "kind": "embed", "input": "x", "output": "a.npy", "embedder": embedder}
    [again] = loaded(as_job_file([entry]).text, {"SOME_KEY": "sk-2"}).jobs
    assert again.embedder.api_key.get_secret_value() == "sk-2"


@pytest.mark.parametrize(("kind", "keys"), [(EmbedJob, {"output": "a.npy"}), (IngestJob, {}), (QueryJob, {"output": "hits.jsonl"})])
def test_a_job_object_knows_its_kind(kind: Any, keys: dict[str, Any]) -> None:
    job = kind(name="a", input="a.jsonl", **keys)
    assert job.kind == kind.__name__.removesuffix("Job").lower()
    assert job == kind(name="a", kind=job.kind, input="a.jsonl", **keys)


def test_paths_may_be_paths() -> None:
    job = EmbedJob(name="a", input=[Path("a.jsonl"), Path("b.jsonl")], output=Path("a.npy"), skip=Path("skip.txt"))
    assert job == EmbedJob(name="a", input=["a.jsonl", "b.jsonl"], output="a.npy", skip="skip.txt")
    assert EmbedJob(name="a", input={"path": Path("a.jsonl")}, output={"path": Path("a.npy")}).output.path == "a.npy"


class Provider(StrEnum):
    LOCAL = "local"


def test_numbers_and_arrays_of_numpy_and_words_of_an_enumeration_may_stand_in_a_job() -> None:
    made = {"name": "a", "output": PurePosixPath("a.npy"), "embedder": Provider.LOCAL, "workers": np.int64(2)}
    job = EmbedJob(input={"items": np.array(["one", "two"]), "allow_empty": np.bool_(True)}, **made)
    assert job == EmbedJob(name="a", input={"items": ["one", "two"], "allow_empty": True}, output="a.npy", workers=2)
    described = as_job_file({"jobs": [{"kind": "embed", "name": "a", "input": "a.jsonl", "output": "a.npy", "workers": np.int32(3)}]})
    assert loaded(described.text, {}).jobs[0].workers == 3


def test_characters_that_no_one_types_are_kept() -> None:
    text = "\ufeffa\x00\x7f\x85\u2028\ufffe\U0001f600b"
    assert loaded(as_job_file([EmbedJob(name="a", input={"items": [text]}, output="a.npy")]).text, {}).jobs[0].input.items == (text,)


def _endless() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"input": {"items": {"one"}}}, "input.items: an object of the type set stands here; allowed: texts, numbers"),
        ({"input": {"items": [b"secret"]}}, "input.items[0]: an object of the type bytes stands here"),
        ({"input": {"items": _endless()}}, "nested deeper than 40 levels"),
        ({"input": {"items": [{"text": "a", "score": math.nan}]}}, "input.items[0].score: this number cannot be written"),
        ({"input": {"items": ["a\ud800"]}}, "input.items[0]: the character U+D800 cannot stand in a job file"),
        ({"workers": 10**5000}, "workers: this number cannot be written"),
        ({"embedder": EmbedJob}, "embedder: an object of the type"),
        ({"needs": True}, "needs: "),
        ({"needs": ["Not A Name"]}, "needs"),
    ],
)
def test_what_no_job_file_can_hold_is_told_at_its_key(keys: dict[str, Any], sentence: str) -> None:
    made = {"name": "a", "input": "a.jsonl", "output": "a.npy", **keys}
    with pytest.raises(JobFileError) as raised:
        EmbedJob(**made)
    assert sentence in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(("job", "keys"), [(EmbedJob, EmbedKeys), (IngestJob, IngestKeys), (QueryJob, QueryKeys)])
def test_type_checkers_know_the_keys_of_a_model(job: Any, keys: Any) -> None:
    fields = {field.alias or name: field for name, field in job.model_fields.items()}
    hints = get_type_hints(keys)
    assert set(hints) == set(fields)
    # Without an output the rows are those of the report.
    assert set(keys.__required_keys__) == {name for name, field in fields.items() if field.is_required()} - {"kind", "output"}
    takes_none = {name for name, field in fields.items() if type(None) in get_args(field.annotation)}
    assert {name for name, hint in hints.items() if type(None) in get_args(hint)} == takes_none


@pytest.mark.parametrize("job", [EmbedJob, IngestJob, QueryJob])
def test_help_says_what_each_key_is_for(job: Any) -> None:
    keys = list(signature(job).parameters)
    assert set(keys) == {field.alias or name for name, field in job.model_fields.items()} - {"kind"}
    assert re.findall(r"^    (\w+): .+\.$", job.__doc__, re.MULTILINE) == keys
    schema = job_file_schema()["$defs"][job.__name__]
    assert schema["description"] == job.__doc__.partition("\n")[0]
    assert f"    {keys[-1]}: {schema['properties'][keys[-1]]['description']}\n" in job.__doc__
