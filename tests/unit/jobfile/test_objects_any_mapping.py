"""Whatever a job file may hold, given as objects, means the same as the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from asyncrun.jobfile.loader import LoadOptions, parse_job_file
from asyncrun.jobfile.objects import as_job_file
from asyncrun.jobs import EmbedJob, IngestJob, QueryJob

KINDS: dict[str, Any] = {"embed": EmbedJob, "ingest": IngestJob, "query": QueryJob}
# No lone surrogates, which no file in UTF-8 holds.
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(str.strip)
NAMES = st.from_regex(r"[a-z0-9_-]{1,12}", fullmatch=True)
COUNTS = st.integers(1, 10**6)
SHARES = st.floats(0.5, 99.5).map(lambda share: f"{share:.3g}%")
DURATIONS = st.one_of(
    COUNTS, st.builds(lambda number, unit: f"{number}{unit}", st.integers(1, 999), st.sampled_from(["ms", "s", "m", "h"]))
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)


def keys(required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


EMBEDDERS = keys(
    {
        "provider": st.just("openai"),
        "model": TEXTS,
        "base_url": st.just("https://localhost/v1"),
        "api_key": st.from_regex(r"sk-[$a-z]{3,9}", fullmatch=True),
    },
    dimensions=COUNTS,
    document_prefix=TEXTS,
    query_prefix=TEXTS,
    space=TEXTS,
    batch=keys({}, max_items=COUNTS, max_tokens=COUNTS, max_bytes=st.sampled_from(["2MB", 4096])),
    limits=keys({}, requests_per_minute=COUNTS, tokens_per_minute=COUNTS, concurrency=COUNTS, share=SHARES),
    retry=keys({}, attempts=st.integers(1, 9), max_wait=DURATIONS),
    timeout=DURATIONS,
    on_too_long=st.sampled_from(["fail", "truncate", "split"]),
    on_empty=st.sampled_from(["fail", "skip"]),
    price_per_million_tokens=st.floats(0, 100),
    headers=st.dictionaries(st.sampled_from(["X-Team", "X-Key"]), st.from_regex(r"[a-z$]{1,9}", fullmatch=True)),
    extra_body=st.dictionaries(TEXTS, JSON, max_size=2),
)
INPUTS = keys(
    {"items": st.lists(TEXTS | st.fixed_dictionaries({"id": TEXTS, "text": TEXTS}), min_size=1, max_size=3)},
    id=st.just("id"),
    metadata=st.lists(NAMES, max_size=2, unique=True),
    duplicates=st.sampled_from(["fail", "first", "last"]),
    allow_empty=st.booleans(),
)
COMMON: dict[str, Any] = {
    "workers": st.just("auto") | COUNTS,
    "max_failures": st.integers(0, 99) | SHARES,
    "max_runtime": DURATIONS,
    "budget": keys({}, tokens=COUNTS),
}
STORES = keys({"path": st.just("data/in$dex.db")})
JOBS = {
    "embed": keys({"name": NAMES, "input": INPUTS, "embedder": EMBEDDERS, "output": st.just("out/ro$ws.jsonl")}, **COMMON),
    "ingest": keys(
        {"name": NAMES, "input": INPUTS, "embedder": EMBEDDERS, "store": STORES, "collection": TEXTS},
        chunk=keys({"by": st.just("sentence"), "size": st.integers(16, 999)}),
        source=TEXTS,
        prune=st.booleans(),
        max_delete=st.integers(0, 99) | SHARES,
        **COMMON,
    ),
    "query": keys(
        {"name": NAMES, "input": INPUTS, "embedder": EMBEDDERS, "store": STORES, "collection": TEXTS, "output": st.just("hits.jsonl")},
        top_k=COUNTS,
        search=st.sampled_from(["vector", "keyword", "hybrid"]),
        filter=st.sampled_from(["lang = 'en'", "year >= 2024 and not draft = true"]),
        **COMMON,
    ),
}


def loaded(text: str, variables: Any) -> dict[str, Any]:
    options = LoadOptions(variables=variables, check_inputs=False, need_keys=False)
    [job] = parse_job_file(text, Path("jobs.yaml"), options).jobs
    dumped: dict[str, Any] = job.model_dump()
    return dumped


def written(value: Any) -> Any:
    """Return a value as a file has it, where a dollar is doubled, but in keys, which hold no variables."""
    if isinstance(value, dict):
        return {name: written(each) for name, each in value.items()}
    if isinstance(value, list):
        return [written(each) for each in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


@given(st.sampled_from(sorted(JOBS)).flatmap(lambda kind: st.tuples(st.just(kind), JOBS[kind])))
def test_a_job_made_of_any_keys_is_that_of_the_file(made: tuple[str, dict[str, Any]]) -> None:
    kind, entry = made
    key = entry["embedder"]["api_key"]
    in_file = {**entry, "kind": kind, "embedder": {**entry["embedder"], "api_key": "<key>"}}
    text = json.dumps({"jobs": [written(in_file)]}, ensure_ascii=False).replace("<key>", "${KEY}")
    expected = loaded(text, {"KEY": key})
    described = as_job_file([KINDS[kind](**entry)])
    assert loaded(described.text, described.variables) == expected
    assert key not in described.text
