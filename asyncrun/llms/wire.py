"""What a chat request asks for, and what a server takes of it: learned from its refusals, never asked in advance."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

import orjson

from asyncrun.endpoints.streamed_call import StreamReader
from asyncrun.llms.interface import Message, OnText
from asyncrun.llms.schema_rules import SchemaRules, misfits
from asyncrun.records import Answer

_UNKNOWN_NAME = re.compile(
    r"unsupported|unrecognized|unknown|unexpected|not (support|permitted|allowed)|extra|additional|cannot find field", re.IGNORECASE
)
_ABOUT_SCHEMA = re.compile(
    r"response.?format|json.?(schema|object)|output_config|output format|structured.?output|schema|grammar|\btool", re.IGNORECASE
)
STREAM_OPTIONS = "stream_options"


class SchemaForm(StrEnum):
    """How a server is told of a schema, from the strictest to the one that every model takes."""

    SCHEMA = "schema"
    TOOL = "tool"
    OBJECT = "object"
    """That the answer is an object; its schema stands in words."""
    WORDS = "words"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a server takes of a request; the first of each tuple is used.

    Attributes:
        limits: Names of the most tokens of an answer, those that are left to be tried.
        seed: The name of the seed, None where there is none.
        counts_streams: Whether a stream is asked to end with its tokens (`stream_options`).
        schema: The forms of a schema that are left to be tried.
    """

    limits: tuple[str, ...]
    seed: str | None = "seed"
    counts_streams: bool = True
    schema: tuple[SchemaForm, ...] = (SchemaForm.SCHEMA, SchemaForm.OBJECT, SchemaForm.WORDS)


@dataclass(frozen=True, slots=True, eq=False)
class SentSchema:
    """A JSON Schema on its way: the `document`, its `size` in bytes of JSON, and whether it keeps the provider's rules."""

    document: Mapping[str, Any]
    size: int
    fits: bool

    @classmethod
    def of(cls, document: Mapping[str, Any], rules: SchemaRules | None) -> SentSchema:
        """Look at a schema once for all requests that have it."""
        return cls(document, len(orjson.dumps(document)), rules is None or not any(misfits(document, rules)))

    @property
    def is_of_object(self) -> bool:
        """Tell whether an answer is an object: tools and `json_object` know nothing else."""
        return self.document.get("type") == "object"

    def form(self, forms: Sequence[SchemaForm]) -> SchemaForm:
        """Return the first form in which it can be told."""
        return next(form for form in forms if self.is_of_object or form not in (SchemaForm.TOOL, SchemaForm.OBJECT))


@dataclass(frozen=True, slots=True, eq=False)
class ChatRequest:
    """What is asked: `fields` are those of every request of the model."""

    fields: Mapping[str, Any]
    messages: Sequence[Message]
    max_output_tokens: int | None
    schema: SentSchema | None = None
    seed: int | None = None


class ChatDialect(Protocol):
    """What requests and replies look like; nothing is sent by it."""

    def write(self, request: ChatRequest, terms: Terms) -> dict[str, Any]:
        """Return the request's JSON."""

    def form(self, schema: SentSchema, terms: Terms) -> SchemaForm:
        """Return how a schema is told."""

    @property
    def read(self) -> Callable[[Any], Answer]:
        """Return what reads the answer of a decoded reply, and pickles; it raises BadReplyError for another shape."""

    def stream(self, on_text: OnText) -> StreamReader:
        """Return what puts the events of a streamed reply together, to a document that `read` takes."""


def learn(terms: Terms, request: ChatRequest, form: SchemaForm | None, words: str) -> Terms | None:
    """Return what the server takes, by the words of its refusal; None where they are about something else.

    Each step leaves less to be tried, so that this ends.

    >>> learn(Terms(("max_completion_tokens", "max_tokens")), ChatRequest({}, [], 50), None, "Unsupported: max_completion_tokens").limits
    ('max_tokens',)
    """
    if form is not None and form is not SchemaForm.WORDS and form in terms.schema and _ABOUT_SCHEMA.search(words):
        return replace(terms, schema=tuple(each for each in terms.schema if each is not form))
    if not _UNKNOWN_NAME.search(words):
        return None
    if terms.counts_streams and STREAM_OPTIONS in words:
        return replace(terms, counts_streams=False)
    if request.seed is not None and terms.seed is not None and terms.seed in words:
        return replace(terms, seed=None)
    if request.max_output_tokens is not None and len(terms.limits) > 1 and terms.limits[0] in words:
        return replace(terms, limits=terms.limits[1:])
    return None


def with_schema_in_words(messages: Sequence[Message], schema: SentSchema) -> list[Message]:
    r"""Return messages that tell of the schema, with the system's words or before them.

    >>> with_schema_in_words([Message("user", "Who?")], SentSchema.of({"type": "object"}, None))[0].content
    'Answer with JSON alone, without a fence and without other words. It has to fit this JSON Schema:\n{"type":"object"}'
    """
    words = "Answer with JSON alone, without a fence and without other words. It has to fit this JSON Schema:\n"
    words += orjson.dumps(schema.document).decode()
    first = messages[0] if messages and messages[0].role == "system" else None
    if first is None:
        return [Message("system", words), *messages]
    return [Message("system", f"{first.content}\n\n{words}"), *messages[1:]]
