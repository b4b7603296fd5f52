"""Chat requests and replies between OpenAI's form, which Gemini speaks online, and Gemini's own, which its batches want."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from asyncrun.batches.documents import part_of, text_of
from asyncrun.errors import ArgumentError
from asyncrun.finish_reasons import finish_reason_of

_SETTINGS = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "stop": "stopSequences",
    "seed": "seed",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
"""What OpenAI's form calls what stands in Gemini's `generationConfig`."""
_SAID_ELSEWHERE = frozenset({"model", "messages", "stream", "response_format"})
_ROLES = {"user": "user", "assistant": "model"}


def to_gemini(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request in Gemini's form.

    >>> to_gemini({"model": "m", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9})
    {'contents': [{'role': 'user', 'parts': [{'text': 'Hello'}]}], 'generationConfig': {'maxOutputTokens': 9}}

    Raises ArgumentError for what has no word in it: it would be left out in silence.
    """
    unknown = sorted(body.keys() - _SETTINGS.keys() - _SAID_ELSEWHERE)
    if unknown:
        hint = "Leave it out of `extra_body`, or use `delivery: online`."
        raise ArgumentError(f"batches of Gemini cannot be told {', '.join(unknown)}", hint=hint)
    messages = body["messages"]
    system = [message["content"] for message in messages if message["role"] == "system"]
    contents = [{"role": _ROLES[each["role"]], "parts": [{"text": each["content"]}]} for each in messages if each["role"] != "system"]
    config = {_SETTINGS[name]: value for name, value in body.items() if name in _SETTINGS and value is not None}
    if isinstance(config.get("stopSequences"), str):
        config["stopSequences"] = [config["stopSequences"]]
    config |= _format(body.get("response_format"))
    instruction = {"systemInstruction": {"parts": [{"text": "\n\n".join(system)}]}} if system else {}
    return {"contents": contents, **instruction, **({"generationConfig": config} if config else {})}


def _format(wanted: object) -> dict[str, Any]:
    kind = part_of(wanted, "type")
    if kind in (None, "text"):
        return {}
    schema = part_of(wanted, "json_schema", "schema")
    return {"responseMimeType": "application/json", **({"responseJsonSchema": schema} if kind == "json_schema" and schema else {})}


def from_gemini(reply: Mapping[str, Any]) -> dict[str, Any]:
    """Return a reply in OpenAI's form. A prompt that was blocked is an answer without a text, ended by the content filter.

    >>> from_gemini({"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]})["choices"][0]["message"]["content"]
    'Hi'
    """
    candidates = part_of(reply, "candidates")
    choices = [_choice(index, each) for index, each in enumerate(candidates)] if isinstance(candidates, list) else []
    if not choices and part_of(reply, "promptFeedback", "blockReason"):
        choices = [_choice(0, {"finishReason": "SAFETY"})]
    counts = _counter(part_of(reply, "usageMetadata"))
    thoughts = counts("thoughtsTokenCount")
    usage = {
        "prompt_tokens": counts("promptTokenCount"),
        "completion_tokens": counts("candidatesTokenCount") + thoughts,
        "total_tokens": counts("totalTokenCount"),
        "prompt_tokens_details": {"cached_tokens": counts("cachedContentTokenCount")},
        "completion_tokens_details": {"reasoning_tokens": thoughts},
    }
    return {"object": "chat.completion", "model": text_of(reply, "modelVersion"), "choices": choices, "usage": usage}


def _choice(index: int, candidate: object) -> dict[str, Any]:
    parts, reason = part_of(candidate, "content", "parts"), text_of(candidate, "finishReason")
    # What the model has thought is marked as such, and no part of the answer.
    texts = [text for part in parts if (text := text_of(part, "text")) and not part.get("thought")] if isinstance(parts, list) else []
    ended = finish_reason_of(reason.lower()) if reason is not None else None
    return {"index": index, "message": {"role": "assistant", "content": "".join(texts) if texts else None}, "finish_reason": ended}


def _counter(usage: object) -> Callable[[str], int]:
    def count(name: str) -> int:
        found = part_of(usage, name)
        return found if type(found) is int and found >= 0 else 0

    return count
