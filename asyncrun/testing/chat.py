"""What the fake chat model says: the same to the same messages, online and in a batch, or what a test has it say."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from asyncrun.short_help import ShortHelp
from asyncrun.testing.dialects import error_body
from asyncrun.testing.schema_examples import example_of

ANSWER_LIMITS = ("max_completion_tokens", "max_tokens")
_IN_WORDS = re.compile(r"JSON Schema:\n(\{.*\})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Said(metaclass=ShortHelp):
    """What a chat model says to a request, and what it says of it.

    `text` is cut by the request's limit; a `refusal` stands in its place. `cached_tokens` are a part of what went in, `reasoning_tokens`
    come out besides the text.

    >>> from asyncrun.llms import OpenAI
    >>> from asyncrun.testing import Chat, FakeServer
    >>> with FakeServer(chat=Chat(answer=lambda document: Said("", "content_filter"))).in_thread() as server:
    ...     OpenAI("m", api_base=server.base_url).complete("Hello").finish_reason
    'content_filter'
    """

    text: str | None
    finish_reason: str = "stop"
    refusal: str | None = None
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Chat(metaclass=ShortHelp):
    """How a fake server answers: `limits` are the names it knows for the most tokens of an answer, `max_input_tokens` is its context.

    `answer` says what it says to a request (its JSON, in OpenAI's form); None: something that differs from messages to messages, and fits
    the schema where there is one. What `refuses` names it does not know: a field of requests (`seed`, `tools`), or a format of answers
    (`json_schema`, `json_object`).

    >>> from asyncrun.llms import OpenAI
    >>> from asyncrun.testing import FakeServer
    >>> with FakeServer(chat=Chat(max_input_tokens=50)).in_thread() as server:
    ...     OpenAI("m", api_base=server.base_url).complete("Hello").finish_reason
    'stop'
    """

    limits: tuple[str, ...] = ANSWER_LIMITS
    max_input_tokens: int = 8192
    answer: Callable[[Mapping[str, Any]], str | Said] | None = None
    refuses: Collection[str] = ()

    def reply(self, document: Mapping[str, Any]) -> tuple[int, Any]:
        """Return status and body of the reply to a request; an error is bytes.

        >>> Chat().reply({"model": "m", "messages": [{"role": "user", "content": "[1] It rains."}]})[1]["choices"][0]["finish_reason"]
        'stop'
        """
        if (refused := self._refused(document)) is not None:
            return 400, refused
        contents = [str(message.get("content")) for message in document["messages"]]
        words = [word for content in contents for word in content.split()]
        if len(words) > self.max_input_tokens:
            message = (
                f"This model's maximum context length is {self.max_input_tokens} tokens. However, your messages have {len(words)} tokens."
            )
            return 400, error_body(message, code="context_length_exceeded")
        told = usual_answer(document) if self.answer is None else self.answer(document)
        return 200, completion_of(document, Said(told) if isinstance(told, str) else told, len(words))

    def _refused(self, document: Mapping[str, Any]) -> bytes | None:
        unknown = next((name for name in ANSWER_LIMITS if name in document and name not in self.limits), None)
        unknown = unknown or next((name for name in self.refuses if name in document), None)
        if unknown:
            return error_body(f"Unsupported parameter: '{unknown}' is not supported with this model.", code="unsupported_parameter")
        kind = (document.get("response_format") or {}).get("type")
        if kind in self.refuses:
            return error_body(f"Invalid parameter: 'response_format' of type '{kind}' is not supported with this model.")
        messages = document.get("messages")
        return None if isinstance(messages, list) and messages else error_body("'messages' is a required property.")


def in_turn(*said: str | Said) -> Callable[[Mapping[str, Any]], str | Said]:
    """Return an `answer` of `Chat` that says one after the other, and the last one ever after.

    >>> answer = in_turn("no JSON", "{}")
    >>> [answer({}), answer({}), answer({})]
    ['no JSON', '{}', '{}']
    """
    left = list(said)
    return lambda document: left.pop(0) if len(left) > 1 else left[0]


def usual_answer(document: Mapping[str, Any]) -> str:
    """Return what is said to a request that nobody has another answer for.

    >>> usual_answer({"messages": [{"role": "user", "content": "[1] It rains."}]})
    'Answer 302cd2a7, as [1] says.'
    """
    contents = [str(message.get("content")) for message in document["messages"]]
    schema = asked_schema(document)
    if schema is None:
        return answer_of(contents, document.get("seed"))
    return json.dumps(example_of(schema, "\0".join([*contents, str(document.get("seed"))])), ensure_ascii=False)


def answer_of(contents: Sequence[str], seed: object = None) -> str:
    """Return the answer to messages with these contents; it names the first passage where there is one, and each seed has its own.

    >>> answer_of(["[1] It rains."])
    'Answer 302cd2a7, as [1] says.'
    """
    words = "\0".join([*contents, *([] if seed is None else [f"seed {seed}"])])
    name = hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"Answer {name}, as [1] says." if "[1]" in contents[-1] else f"Answer {name}, out of nothing."


def asked_schema(document: Mapping[str, Any]) -> Any:
    """Return the JSON Schema that a request has for its answer, in whatever form; None where there is none.

    >>> asked_schema({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}})
    {'type': 'object'}
    """
    told = document.get("response_format") or {}
    if told.get("type") == "json_schema":
        return told["json_schema"].get("schema")
    if document.get("tool_choice") and document.get("tools"):
        return document["tools"][0]["function"].get("parameters")
    found = _IN_WORDS.search(str(document["messages"][0].get("content")))
    return orjson.loads(found[1]) if found else None


def completion_of(document: Mapping[str, Any], said: Said, input_tokens: int) -> dict[str, Any]:
    """Return the reply to a request: a chat completion."""
    words = re.findall(r"\s*\S+", said.text or "")
    most = max(next((document[name] for name in ANSWER_LIMITS if name in document), len(words)), 0)
    text = said.text if said.text is None or most >= len(words) else "".join(words[:most])
    message: dict[str, Any] = {"role": "assistant", "content": text if said.refusal is None else None, "refusal": said.refusal}
    reason = "length" if most < len(words) else said.finish_reason
    if document.get("tool_choice") and document.get("tools") and said.refusal is None:
        name = document["tools"][0]["function"]["name"]
        call = {"id": "call", "type": "function", "function": {"name": name, "arguments": text}}
        message |= {"content": None, "tool_calls": [call]}
    output = min(most, len(words)) + said.reasoning_tokens
    usage: dict[str, Any] = {"prompt_tokens": input_tokens, "completion_tokens": output, "total_tokens": input_tokens + output}
    if said.cached_tokens:
        usage["prompt_tokens_details"] = {"cached_tokens": said.cached_tokens}
    if said.reasoning_tokens:
        usage["completion_tokens_details"] = {"reasoning_tokens": said.reasoning_tokens}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {"id": "chat", "object": "chat.completion", "model": document.get("model"), "choices": [choice], "usage": usage}


def stream_events(document: Mapping[str, Any], *, counted: bool) -> list[bytes]:
    r"""Return a chat completion as the server-sent events of a stream, a word each; `counted` adds one with the tokens.

    >>> stream_events(Chat().reply({"messages": [{"content": "Why?"}]})[1], counted=True)[-1]
    b'data: [DONE]\n\n'
    """
    about = {"id": document.get("id"), "object": "chat.completion.chunk", "model": document.get("model")}
    [choice] = document["choices"]
    message, none = choice["message"], {"index": 0, "finish_reason": None}
    chunks = [[{**none, "delta": {"role": "assistant", "content": ""}}]]
    for name in ("content", "refusal"):
        words = re.findall(r"\s*\S+\s*$|\s*\S+", message.get(name) or "")
        chunks += [[{**none, "delta": {name: word}}] for word in words]
    chunks.append([{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}])
    uncounted = {"usage": None} if counted else {}
    documents = [{**about, "choices": choices, **uncounted} for choices in chunks]
    if counted:
        documents.append({**about, "choices": [], "usage": document["usage"]})
    return [b"data: " + orjson.dumps(event) + b"\n\n" for event in documents] + [b"data: [DONE]\n\n"]
