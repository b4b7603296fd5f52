"""The template of a prompt: a text with {question}, {context} and {metadata.x} in it."""

from __future__ import annotations

from dataclasses import dataclass

from asyncrun.grammar.braces import split_braces
from asyncrun.spelling import near

QUESTION, CONTEXT, METADATA = "question", "context", "metadata."
PLACEHOLDERS = "{question}, {context}, {metadata.NAME}; {{ and }} are braces"
DEFAULT_PROMPT = """\
Answer the question from the passages below and from nothing else. After each statement, name the passages that it comes from by their \
numbers in brackets, such as [1]. If the passages do not hold the answer, say so.

{context}

Question: {question}"""


class TemplateError(ValueError):
    """What is wrong with a template; `offset` is the place in its text, in characters from 0, `near` what was probably meant."""

    def __init__(self, message: str, offset: int, near: str | None = None) -> None:
        super().__init__(message)
        self.offset = offset
        self.near = near


@dataclass(frozen=True, slots=True)
class Template:
    """`literals[0] + fields[0] + literals[1] + ...`; there is one literal more than fields."""

    literals: tuple[str, ...]
    fields: tuple[str, ...]


def parse_prompt(text: str) -> Template:
    """Return the template of a prompt.

    >>> parse_prompt("{{json}} {question}?")
    Template(literals=('{json} ', '?'), fields=('question',))

    Raises TemplateError for an unknown placeholder, a single brace, and a prompt without {question}.
    """
    literals, fields = split_braces(text)
    for name, written, offset in fields:
        if len(written) == 1 or "\n" in written:
            raise TemplateError(f"a single {written[0]!r} is no placeholder", offset)
        if name not in (QUESTION, CONTEXT) and not (name.startswith(METADATA) and len(name) > len(METADATA)):
            close = near(name, (QUESTION, CONTEXT))
            raise TemplateError(f"unknown placeholder {written!r}", offset, f"{{{close}}}" if close else None)
    names = tuple(field.name for field in fields)
    if QUESTION not in names:
        raise TemplateError("the prompt does not hold {question}", 0)
    return Template(tuple(literals), names)
