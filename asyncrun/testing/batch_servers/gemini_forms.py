"""Gemini's own form of requests and replies: the same request online, in the form that the fake server answers, and its reply back.

Source: python-genai, `types.py` (GenerateContentRequest, GenerateContentResponse, SingleEmbedContentResponse).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

GRPC_CODES = {400: (3, "INVALID_ARGUMENT"), 401: (16, "UNAUTHENTICATED"), 403: (7, "PERMISSION_DENIED"), 404: (5, "NOT_FOUND")} | {
    409: (9, "FAILED_PRECONDITION"),
    429: (8, "RESOURCE_EXHAUSTED"),
    500: (13, "INTERNAL"),
    503: (14, "UNAVAILABLE"),
}
_SETTINGS = {
    "maxOutputTokens": "max_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "stopSequences": "stop",
    "seed": "seed",
    "candidateCount": "n",
}
_REASONS = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}


def chat_request(model: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a `generateContent` request as a chat completion.

    >>> chat_request("m", {"contents": [{"role": "user", "parts": [{"text": "Why?"}]}]})["messages"]
    [{'role': 'user', 'content': 'Why?'}]
    """
    config = request.get("generationConfig") or {}
    system = [{"role": "system", "content": _text(request["systemInstruction"])}] if request.get("systemInstruction") else []
    roles = {"model": "assistant"}
    talk = [{"role": roles.get(turn.get("role"), "user"), "content": _text(turn)} for turn in request.get("contents") or []]
    wanted: dict[str, Any] = {}
    schema = config.get("responseJsonSchema", config.get("responseSchema"))
    if schema is not None:
        wanted = {"response_format": {"type": "json_schema", "json_schema": {"name": "row", "schema": schema}}}
    elif config.get("responseMimeType") == "application/json":
        wanted = {"response_format": {"type": "json_object"}}
    settings = {name: config[theirs] for theirs, name in _SETTINGS.items() if theirs in config}
    return {"model": model, "messages": system + talk, **settings, **wanted}


def chat_reply(completion: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return a chat completion as the reply of `generateContent`."""
    candidates = []
    for choice in completion["choices"]:
        message, reason = choice["message"], _REASONS.get(choice["finish_reason"], "OTHER")
        text = message.get("content")
        content = {"content": {"parts": [{"text": text}], "role": "model"}} if text is not None else {}
        # A refusal has no place of its own here.
        candidates.append({**content, "finishReason": "SAFETY" if message.get("refusal") else reason, "index": choice["index"]})
    usage = completion.get("usage") or {}
    thoughts = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens", 0)
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    counts = {
        "promptTokenCount": usage.get("prompt_tokens", 0),
        "candidatesTokenCount": usage.get("completion_tokens", 0) - thoughts,
        "totalTokenCount": usage.get("total_tokens", 0),
        **({"thoughtsTokenCount": thoughts} if thoughts else {}),
        **({"cachedContentTokenCount": cached} if cached else {}),
    }
    return {"candidates": candidates, "usageMetadata": counts, "modelVersion": model}


def error_row(status: int, body: Any) -> dict[str, Any]:
    """Return the error of a line, a google.rpc.Status."""
    told = body.get("error") if isinstance(body, dict) else None
    message = told.get("message") if isinstance(told, dict) else "Internal error."
    return {"code": GRPC_CODES.get(status, (2, "UNKNOWN"))[0], "message": message}


def _text(content: Mapping[str, Any]) -> str:
    return "".join(part.get("text", "") for part in content.get("parts") or [])
