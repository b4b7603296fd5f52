"""How OpenAI's chat completions are asked for; most servers are asked so."""

from __future__ import annotations

from typing import Any

from asyncrun.endpoints.streamed_call import StreamReader
from asyncrun.llms.interface import OnText
from asyncrun.llms.openai_replies import SCHEMA_NAME, AnswerStream, read_answer
from asyncrun.llms.wire import ChatRequest, SchemaForm, SentSchema, Terms, with_schema_in_words


class ChatCompletionsDialect:
    """OpenAI's `/chat/completions`.

    >>> from asyncrun.llms.interface import Message
    >>> request = ChatRequest({"model": "m"}, [Message("user", "Why?")], 50)
    >>> ChatCompletionsDialect().write(request, Terms(("max_tokens",)))
    {'model': 'm', 'messages': [{'role': 'user', 'content': 'Why?'}], 'max_tokens': 50}
    """

    read = staticmethod(read_answer)

    def write(self, request: ChatRequest, terms: Terms) -> dict[str, Any]:
        """Return the request's JSON."""
        schema, told, messages = request.schema, {}, request.messages
        if schema is not None:
            form = self.form(schema, terms)
            told = _schema_fields(schema, form)
            if form in (SchemaForm.OBJECT, SchemaForm.WORDS):
                messages = with_schema_in_words(messages, schema)
        body = {**request.fields, "messages": [{"role": message.role, "content": message.content} for message in messages]}
        if request.max_output_tokens is not None:
            body[terms.limits[0]] = request.max_output_tokens
        if request.seed is not None and terms.seed is not None:
            body[terms.seed] = request.seed
        return {**body, **told}

    def form(self, schema: SentSchema, terms: Terms) -> SchemaForm:
        """Return how a schema is told."""
        return schema.form(terms.schema)

    def stream(self, on_text: OnText) -> StreamReader:
        """Return what puts the chunks of a streamed reply together."""
        return AnswerStream(on_text)


def _schema_fields(schema: SentSchema, form: SchemaForm) -> dict[str, Any]:
    """Return the fields of a request that tell of a schema. Both servers that read it nested and those that are strict take this."""
    match form:
        case SchemaForm.SCHEMA:
            named = {"name": SCHEMA_NAME, "strict": schema.fits, "schema": schema.document}
            return {"response_format": {"type": "json_schema", "json_schema": named}}
        case SchemaForm.TOOL:
            function = {"name": SCHEMA_NAME, "description": "Takes the answer.", "parameters": schema.document}
            chosen = {"type": "function", "function": {"name": SCHEMA_NAME}}
            return {"tools": [{"type": "function", "function": function}], "tool_choice": chosen}
        case SchemaForm.OBJECT:
            return {"response_format": {"type": "json_object"}}
        case SchemaForm.WORDS:
            return {}
