"""Anthropic's messages as the fake server speaks them: what is asked put into OpenAI's form, and what is said put back.

The facts are those of the types and the client in anthropics/anthropic-sdk-python and of platform.claude.com's pages on rate limits and
structured outputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from asyncrun.llms.schema_rules import ANTHROPIC, misfits
from asyncrun.testing.chat import Chat
from asyncrun.testing.dialects import error_body

_KNOWN = frozenset(
    {
        *("model", "messages", "max_tokens", "system", "temperature", "top_p", "top_k", "stream", "stop_sequences", "metadata"),
        *("tools", "tool_choice", "output_config", "thinking", "service_tier", "cache_control"),
    }
)
_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def messages_reply(chat: Chat, document: Any, headers: Mapping[str, str]) -> tuple[int, Any]:
    """Return status and body of the reply to a request; an error is bytes, in OpenAI's shape.

    >>> asked = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "Why?"}]}
    >>> messages_reply(Chat(), asked, {"anthropic-version": "2023-06-01"})[1]["stop_reason"]
    'end_turn'
    """
    if "anthropic-version" not in headers:
        return 400, error_body("anthropic-version: header is required")
    refused = next(_refusals(chat, document), None) if isinstance(document, Mapping) else "messages: Field required"
    if refused is not None:
        return 400, error_body(refused)
    status, reply = chat.reply(_as_completion(document))
    if isinstance(reply, bytes):
        # Its words for what a conversation may not have: "prompt is too long: 11 tokens > 10 maximum".
        words = orjson.loads(reply)["error"]["message"]
        return status, error_body(f"prompt is too long: {words}" if "context length" in words else words)
    return status, _as_message(reply)


def _refusals(chat: Chat, document: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a request is refused, in Anthropic's words."""
    yield from (f"{name}: Field required" for name in ("model", "messages", "max_tokens") if name not in document)
    yield from (f"{name}: Extra inputs are not permitted" for name in document if name not in _KNOWN or name in chat.refuses)
    if not isinstance(document["max_tokens"], int) or document["max_tokens"] < 1:
        yield "max_tokens: Input should be greater than or equal to 1"
    for place, message in enumerate(document["messages"]):
        if message.get("role") not in ("user", "assistant"):
            yield f"messages.{place}.role: Input should be 'user' or 'assistant'"
    told = (document.get("output_config") or {}).get("format")
    if told is not None:
        yield from (f"output_config.format.schema: {words}" for words in misfits(told["schema"], ANTHROPIC))


def _as_completion(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request for a message as one for a chat completion."""
    system = [{"role": "system", "content": _text(document["system"])}] if document.get("system") else []
    said = [{"role": message["role"], "content": _text(message["content"])} for message in document["messages"]]
    asked: dict[str, Any] = {"model": document["model"], "messages": [*system, *said], "max_tokens": document["max_tokens"]}
    if told := (document.get("output_config") or {}).get("format"):
        asked["response_format"] = {"type": "json_schema", "json_schema": {"schema": told["schema"]}}
    if document.get("tool_choice") and document.get("tools"):
        [tool, *_] = document["tools"]
        function = {"name": tool["name"], "parameters": tool["input_schema"]}
        asked |= {"tools": [{"type": "function", "function": function}], "tool_choice": "required"}
    return asked


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)


def _as_message(completion: Mapping[str, Any]) -> dict[str, Any]:
    """Return a chat completion as a message."""
    [choice] = completion["choices"]
    told, reason = choice["message"], choice["finish_reason"]
    content: list[dict[str, Any]] = []
    stop_details = None
    if told["refusal"] is not None:
        reason, stop_details = "refusal", {"type": "refusal", "category": None, "explanation": told["refusal"]}
    elif "tool_calls" in told:
        function = told["tool_calls"][0]["function"]
        content = [{"type": "tool_use", "id": "toolu_1", "name": function["name"], "input": _loaded(function["arguments"])}]
        reason = "tool_use" if reason == "stop" else reason
    elif told["content"] is not None:
        content = [{"type": "text", "text": told["content"]}]
    used = completion["usage"]
    cached = used.get("prompt_tokens_details", {}).get("cached_tokens", 0)
    usage = {
        "input_tokens": used["prompt_tokens"] - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": used["completion_tokens"],
    }
    about = {"id": "msg_1", "type": "message", "role": "assistant", "model": completion["model"], "content": content}
    return {**about, "stop_reason": _REASONS.get(reason, reason), "stop_sequence": None, "stop_details": stop_details, "usage": usage}


def _loaded(arguments: str) -> Any:
    """Return a tool's input; of an answer that was cut there is none."""
    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return {}


def message_events(message: Mapping[str, Any]) -> list[bytes]:
    """Return a message as the server-sent events of a stream, a word each."""
    usage = message["usage"]
    begun = {**message, "content": [], "stop_reason": None, "stop_details": None, "usage": {**usage, "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    for index, block in enumerate(message["content"]):
        text = block.get("text", "")
        events.append({"type": "content_block_start", "index": index, "content_block": {**block, "text": ""}})
        pieces = (word if place == 0 else f" {word}" for place, word in enumerate(text.split(" ")))
        events += [
            {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": piece}} for piece in pieces if piece
        ]
        events.append({"type": "content_block_stop", "index": index})
    delta = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    events += [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": usage["output_tokens"]}}, {"type": "message_stop"}]
    return [b"event: " + event["type"].encode() + b"\ndata: " + orjson.dumps(event) + b"\n\n" for event in events]


def limit_headers(headers: Mapping[str, str], now: float) -> dict[str, str]:
    """Return what OpenAI's headers say of limits, in Anthropic's names; `now` is in seconds since 1970.

    >>> limit_headers({"x-ratelimit-limit-tokens": "60", "x-ratelimit-reset-tokens": "500ms"}, 0.0)
    {'anthropic-ratelimit-tokens-limit': '60', 'anthropic-ratelimit-tokens-reset': '1970-01-01T00:00:01Z'}
    """
    found = {}
    for name, value in headers.items():
        if not name.startswith("x-ratelimit-"):
            found[name] = value
            continue
        what, unit = name.removeprefix("x-ratelimit-").split("-", 1)
        if what == "reset":
            at = datetime.fromtimestamp(math.ceil(now + float(value.removesuffix("ms")) / 1000), UTC)
            value = at.strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: PLW2901
        found[f"anthropic-ratelimit-{unit}-{what}"] = value
    return found
