"""Whatever stands in a job file: it is a job file, or it is refused with its mistakes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncrun.errors import JobFileError
from asyncrun.jobfile import JobFile, LoadOptions, parse_job_file
from asyncrun.jobfile.job_file import TopLevel
from asyncrun.jobfile.jobs import built_in_models
from asyncrun.jobfile.sections import EmbedderConfig
from tests.depth import times

KEYS = sorted({*TopLevel.model_fields, *EmbedderConfig.model_fields, *(name for model in built_in_models() for name in model.model_fields)})
WORDS = ["a", "local", "openai/m", "-", "*.md", "**", "out/a.jsonl", "auto", "embed", "ingest", "query"]
WORDS += ["5%", "2h", "10MB", "${A}", "${B:-x}", "$$", "${", "no", "0123", "12:30"]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(WORDS)
nested = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner, max_size=5),
    max_leaves=30,
)
jobs = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "c"]),
        "kind": st.sampled_from(["embed", "ingest", "query"]),
        "input": nested | st.sampled_from(WORDS),
    },
    optional={
        "output": st.sampled_from(["a.jsonl", "-", "b.parquet"]),
        "embedder": nested,
        "store": nested,
        "chunk": nested,
        "needs": nested,
    }
    | {"workers": scalars, "max_failures": scalars, "skip": scalars, "budget": nested, "top_k": scalars, "search": scalars, "llm": scalars},
)
files = nested | st.fixed_dictionaries(
    {"jobs": st.lists(jobs, min_size=1, max_size=3)}, optional={key: nested for key in TopLevel.model_fields if key != "jobs"}
)
calm = settings(max_examples=times(quick=20, deep=100), suppress_health_check=list(HealthCheck))


def load(text: str) -> None:
    with contextlib.suppress(JobFileError):
        assert isinstance(parse_job_file(text, Path("f"), LoadOptions(environ={"A": "1"}, check_inputs=False)), JobFile)


@given(st.text())
@calm
def test_any_text(text):
    load(text)


@given(st.text(alphabet="abc:-[]{}\"'&*!|>%@`#,? \n\t$~<5.", max_size=60))
@calm
def test_any_text_that_looks_like_yaml(text):
    load(text)


@given(files)
@calm
def test_any_data(data):
    load(yaml.safe_dump(data))


@given(files, st.data())
@calm
def test_any_file_with_a_wrong_character(data, draw):
    text = yaml.safe_dump(data)
    at = draw.draw(st.integers(0, len(text)))
    load(text[:at] + draw.draw(st.sampled_from("\t{}[]:-'\"&*!$\0\x1b\u2028 ")) + text[at:])
