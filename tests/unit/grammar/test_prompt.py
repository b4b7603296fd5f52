"""The template of a prompt: its fields, and where it is wrong."""

from __future__ import annotations

import pytest

from asyncrun.grammar.prompt import PromptTemplate, TemplateError, parse_prompt


def test_double_braces_are_braces() -> None:
    assert parse_prompt("{{x}} { question }") == PromptTemplate(("{x} ", ""), ("question",))


@pytest.mark.parametrize(
    ("text", "offset"),
    [("{question} {", 11), ("a } {question}", 2), ("{question} {}", 11), ("{question} {metadata.}", 11), ('{question} {\n"a": 1}', 11)],
)
def test_a_wrong_brace_is_found_where_it_stands(text: str, offset: int) -> None:
    with pytest.raises(TemplateError) as caught:
        parse_prompt(text)
    assert caught.value.offset == offset
