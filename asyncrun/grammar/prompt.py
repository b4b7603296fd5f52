"""Prompts: their templates, what fills them of a question with its hits, or of a row, and the hits that an answer cites; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from asyncrun.errors import ItemError
from asyncrun.escape import cut
from asyncrun.grammar.template import MISSING, field_text, pick, split_braces
from asyncrun.humanize import nearest_word
from asyncrun.ports import Tokenizer
from asyncrun.records import Hit, Item

QUESTION, CONTEXT, METADATA = "question", "context", "metadata."
TEXT, ID = "text", "id"
LONGEST_SHOWN = 30
"""Characters of what was written instead of a field."""
ROW_FIELDS = "{text}, {id}, {FIELD} of the row; {{ and }} are braces"
PLACEHOLDERS = "{question}, {context}, {metadata.NAME}; {{ and }} are braces"
DEFAULT_PROMPT = """\
Answer the question from the passages below and from nothing else. After each statement, name the passages that it comes from by their \
numbers in brackets, such as [1]. If the passages do not hold the answer, say so.

{context}

Question: {question}"""
_SEPARATOR = "\n\n"
_BRACKETS = re.compile(r"\[([\d\s,;–-]+)\]|【([\d\s,;–-]+)[^】]*】")
_NUMBERS = re.compile(r"(\d{1,6})(?:\s*[–-]\s*(\d{1,6}))?")


class TemplateError(ValueError):
    """What is wrong with a template; `offset` is the place in its text, in characters from 0, `near` what was probably meant."""

    def __init__(self, message: str, offset: int, near: str | None = None) -> None:
        super().__init__(message)
        self.offset = offset
        self.near = near


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """`literals[0] + fields[0] + literals[1] + ...`; there is one literal more than fields."""

    literals: tuple[str, ...]
    fields: tuple[str, ...]


def parse_row_prompt(text: str) -> PromptTemplate:
    """Return the template of a prompt about a row: its fields are the row's text, its id, and its other fields by their names.

    >>> parse_row_prompt("{{json}} {title}: {text}").fields
    ('title', 'text')

    Raises TemplateError for a single brace, an empty field, or JSON, whose braces are to be doubled.
    """
    literals, fields = split_braces(text)
    for name, written, offset in fields:
        if name.startswith('"'):
            raise TemplateError(f"{cut(written, LONGEST_SHOWN)!r} is JSON and no field: double its braces", offset)
        if not name or "\n" in written:
            raise TemplateError(f"a single {written[0]!r} is no field" if len(written) == 1 else f"{written!r} is no field", offset)
    return PromptTemplate(tuple(literals), tuple(field.name for field in fields))


def render_row_prompt(template: PromptTemplate, item: Item) -> str:
    """Return the prompt about an item. Raises ItemError (bad_record) for a field that is missing or no text."""
    if not template.fields:
        return template.literals[0]
    parts = [template.literals[0]]
    for name, literal in zip(template.fields, template.literals[1:], strict=True):
        parts += (item.text if name == TEXT else item.id if name == ID else _row_field(item, name), literal)
    return "".join(parts)


def _row_field(item: Item, name: str) -> str:
    # Of a row only the fields are kept that are named: which others there are is not known here.
    if pick(item.metadata, name) is MISSING:
        raise ItemError(f"the row has no field {name!r}, which the prompt names", reason="bad_record")
    return field_text(item.metadata, name)


def parse_prompt(text: str) -> PromptTemplate:
    """Return the template of a prompt.

    >>> parse_prompt("{{json}} {question}?")
    PromptTemplate(literals=('{json} ', '?'), fields=('question',))

    Raises TemplateError for an unknown placeholder, a single brace, and a prompt without {question}.
    """
    literals, fields = split_braces(text)
    for name, written, offset in fields:
        if len(written) == 1 or "\n" in written:
            raise TemplateError(f"a single {written[0]!r} is no placeholder", offset)
        if name not in (QUESTION, CONTEXT) and not (name.startswith(METADATA) and len(name) > len(METADATA)):
            close = nearest_word(name, (QUESTION, CONTEXT))
            raise TemplateError(f"unknown placeholder {written!r}", offset, f"{{{close}}}" if close else None)
    names = tuple(field.name for field in fields)
    if QUESTION not in names:
        raise TemplateError("the prompt does not hold {question}", 0)
    return PromptTemplate(tuple(literals), names)


@dataclass(frozen=True, slots=True)
class Passages:
    """The hits as a model reads them: `[1]` stands before the first. `cited` are their ids, in this order."""

    text: str
    cited: tuple[str, ...]


def fit_context(hits: Sequence[Hit], max_tokens: int | None, tokenizer: Tokenizer) -> Passages:
    """Return the best hits that fit together into `max_tokens` (None: all of them), numbered from 1.

    The first that does not fit ends the list, so that no worse hit takes the place of a better one; the very first is cut instead.

    >>> from asyncrun.chunkers.interface import ByteTokenizer
    >>> hits = [Hit("a", "a", 1.0, "one", {}, 0, 3), Hit("b", "b", 0.5, "two", {}, 0, 3)]
    >>> fit_context(hits, 10, ByteTokenizer())
    Passages(text='[1] one', cited=('a',))
    """
    passages: list[str] = []
    used = 0
    for number, hit in enumerate(hits, 1):
        passage = f"[{number}] {hit.text}"
        if max_tokens is not None:
            used += tokenizer.count((_SEPARATOR if passages else "") + passage) - tokenizer.added
            if used > max_tokens:
                if not passages:
                    ends = [end for _, end in tokenizer.offsets(passage)]
                    passages.append(_whole_characters(passage, ends, max_tokens))
                break
        passages.append(passage)
    return Passages(_SEPARATOR.join(passages), tuple(hit.id for hit in hits[: len(passages)]))


def render_prompt(template: PromptTemplate, item: Item, context: str) -> str:
    """Return the prompt of a question. Raises ItemError (bad_record) for a field of its metadata that is missing or no text."""
    parts = [template.literals[0]]
    for name, literal in zip(template.fields, template.literals[1:], strict=True):
        parts += (_filled(name, item, context), literal)
    return "".join(parts)


def find_citations(text: str | None, cited: Sequence[str]) -> list[str]:
    """Return the ids of the hits whose numbers an answer names, in the order in which it first names them.

    Numbers that no passage had are left out.

    >>> find_citations("It is so [2], as others say [1, 2] and [7].", ["a", "b"])
    ['b', 'a']
    """
    found: dict[str, None] = {}
    for match in _BRACKETS.finditer(text or ""):
        for first, last in _NUMBERS.findall(match[1] or match[2]):
            for number in range(int(first), min(int(last or first), len(cited)) + 1):
                if 1 <= number <= len(cited):
                    found[cited[number - 1]] = None
    return list(found)


def _filled(name: str, item: Item, context: str) -> str:
    if name == QUESTION:
        return item.text
    if name == CONTEXT:
        return context
    return field_text(item.metadata, name.removeprefix(METADATA))


def _whole_characters(passage: str, ends: Sequence[int], max_tokens: int) -> str:
    """Return the beginning of a passage that has at most so many tokens; a character of several tokens is left out or whole."""
    end = ends[max_tokens - 1] if max_tokens <= len(ends) else len(passage)
    if max_tokens < len(ends) and ends[max_tokens] == end:
        end -= 1  # the character goes on in the next token
    return passage[:end]
