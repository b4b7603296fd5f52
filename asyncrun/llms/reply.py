"""Reading a reply to a chat completion: the answer, why it ended, what it used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from asyncrun.endpoints.replies import MOST_TOKENS, BadReplyError
from asyncrun.records import Answer

REFUSAL = "refusal"
CONTENT_FILTER = "content_filter"

_FILTERED = re.compile(r"content.?filter|content management policy|ResponsibleAIPolicy", re.IGNORECASE)


def read_answer(document: Any) -> Answer:
    """Return the answer of a decoded reply; its text is None where the model has written none.

    A refusal is an answer whose `finish_reason` is `refusal`, with the model's words as its text.

    >>> read_answer({"choices": [{"message": {"content": "Yes."}, "finish_reason": "length"}]}).finish_reason
    'length'

    Raises BadReplyError when the document has another shape.
    """
    choices = document.get("choices") if isinstance(document, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        raise BadReplyError("the reply has no list of answers under `choices`")
    message, reason = choice.get("message"), choice.get("finish_reason")
    if not isinstance(message, dict):
        message = {}
    text = _text(message.get("content"))
    if text is None and isinstance(message.get(REFUSAL), str) and message[REFUSAL]:
        text, reason = message[REFUSAL], REFUSAL
    if text is None and not isinstance(reason, str):
        raise BadReplyError("the answer has neither a text nor a reason why it has none")
    counted = _counts(document.get("usage"))
    return Answer(text, reason if isinstance(reason, str) else None, *counted)


def filtered(words: str) -> bool:
    """Tell whether the words of a refused request say that a content filter has stopped it (Azure: 400 with the code content_filter).

    >>> filtered("The response was filtered due to the prompt triggering Azure OpenAI's content management policy.")
    True
    """
    return _FILTERED.search(words) is not None


def _text(content: object) -> str | None:
    """Return the text of a message; some models send it in parts, of which those that are text count."""
    if isinstance(content, list):
        parts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
        return "".join(parts) if parts else None
    return content if isinstance(content, str) else None


def _counts(usage: object) -> tuple[int, int]:
    """Return the tokens that went in and came out; 0 where the server does not count."""
    if not isinstance(usage, Mapping):
        return 0, 0
    into, out, both = (_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    return into or max(both - out, 0), out


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_TOKENS else 0
