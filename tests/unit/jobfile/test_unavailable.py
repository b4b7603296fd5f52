"""Words of the language that are known say in one sentence that they are not built."""

import pytest

LATER = "is not in this version yet"


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ("headings", f"context: sending a chunk with the headings above it {LATER}"),
        ("{llm: small}", f"context.llm: a chunk's context by a model {LATER}"),
        ("page", "context: this is no context of a chunk; allowed: none, headings, {llm: NAME}"),
    ],
)
def test_the_context_of_a_chunk_says_in_one_sentence_what_it_is(mistakes, context, expected):
    (line,) = mistakes(f"jobs: [{{name: a, kind: ingest, input: {{items: [x]}}, chunk: {{context: {context}}}}}]")
    assert f"jobs[0].chunk.{expected}" in line


def test_no_context_is_what_there_is(load):
    (job,) = load("jobs: [{name: a, kind: ingest, input: {items: [x]}, chunk: {by: markdown, context: none}}]").jobs
    assert job.chunk.context == "none"


def test_options_of_an_llm_say_so_where_they_stand(mistakes):
    llm = "{provider: openai, model: m, options: {a: b}}"
    (line,) = mistakes(f"jobs: [{{name: a, kind: query, input: i, collection: c, output: o.jsonl, llm: {llm}}}]")
    assert line.startswith(f"f:1:107: jobs[0].llm.options: a table of options for an adapter {LATER}")


def test_what_is_not_built_matters_only_where_it_is_used(load):
    text = """\
stores: {s: {type: qdrant}}
jobs:
  - {name: a, kind: embed, input: i, output: o.jsonl}
  - {name: b, kind: ingest, input: i, store: s}
"""
    assert [job.name for job in load(text, jobs=["a"]).selected(["a"])] == ["a"]
