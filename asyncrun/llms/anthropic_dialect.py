"""How Anthropic's messages are asked for: the system's words beside the conversation, and always a limit."""

from __future__ import annotations

from typing import Any

from asyncrun.endpoints.streamed_call import StreamReader
from asyncrun.llms.anthropic_replies import MessageStream, read_message
from asyncrun.llms.interface import OnText
from asyncrun.llms.openai_replies import SCHEMA_NAME
from asyncrun.llms.wire import ChatRequest, SchemaForm, SentSchema, Terms, with_schema_in_words


class MessagesDialect:
    """Anthropic's `/v1/messages`.

    >>> from asyncrun.llms.interface import Message
    >>> request = ChatRequest({"model": "m"}, [Message("system", "Be brief."), Message("user", "Why?")], 50)
    >>> MessagesDialect().write(request, Terms(("max_tokens",)))
    {'model': 'm', 'max_tokens': 50, 'messages': [{'role': 'user', 'content': 'Why?'}], 'system': 'Be brief.'}
    """

    read = staticmethod(read_message)

    def write(self, request: ChatRequest, terms: Terms) -> dict[str, Any]:
        """Return the request's JSON. It knows no seed."""
        schema, told, messages = request.schema, {}, request.messages
        if schema is not None:
            form = self.form(schema, terms)
            told = _schema_fields(schema, form)
            if form is SchemaForm.WORDS:
                messages = with_schema_in_words(messages, schema)
        system = "\n\n".join(message.content for message in messages if message.role == "system")
        said = [{"role": message.role, "content": message.content} for message in messages if message.role != "system"]
        body = {**request.fields, terms.limits[0]: request.max_output_tokens, "messages": said}
        return {**body, **({"system": system} if system else {}), **told}

    def form(self, schema: SentSchema, terms: Terms) -> SchemaForm:
        """Return how a schema is told: one that breaks the rules would be refused, and a tool takes it."""
        return schema.form([form for form in terms.schema if schema.fits or form is not SchemaForm.SCHEMA])

    def stream(self, on_text: OnText) -> StreamReader:
        """Return what puts the events of a streamed reply together."""
        return MessageStream(on_text)


def _schema_fields(schema: SentSchema, form: SchemaForm) -> dict[str, Any]:
    match form:
        case SchemaForm.SCHEMA:
            return {"output_config": {"format": {"type": "json_schema", "schema": schema.document}}}
        case SchemaForm.TOOL:
            tool = {"name": SCHEMA_NAME, "description": "Takes the answer.", "input_schema": schema.document}
            return {"tools": [tool], "tool_choice": {"type": "tool", "name": SCHEMA_NAME}}
        case _:
            return {}
