"""What a chunk is sent with: the words of the language are known, and say in one sentence that they are not built."""

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
