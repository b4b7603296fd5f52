"""What OpenAI's chat completions hold, whole or word by word: an answer, and why it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from asyncrun.endpoints.replies import BadReplyError, count_of
from asyncrun.finish_reasons import REFUSAL, STOP, finish_reason_of
from asyncrun.records import Answer

SCHEMA_NAME = "row"
"""The name of a schema, and of the tool that takes an answer in it."""


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
    if not text and isinstance(message.get(REFUSAL), str) and message[REFUSAL]:
        text, reason = message[REFUSAL], REFUSAL
    if not text and (arguments := _tool_arguments(message.get("tool_calls"))) is not None:
        text, reason = arguments, STOP if reason == "tool_calls" else reason
    if text is None and not isinstance(reason, str):
        raise BadReplyError("the answer has neither a text nor a reason why it has none")
    return Answer(text, finish_reason_of(reason), **_counts(document.get("usage")))


def read_model(document: Any) -> str | None:
    """Return the model that a decoded reply names, None where it names none.

    >>> read_model({"model": "gpt-4o-mini-2024-07-18", "choices": []})
    'gpt-4o-mini-2024-07-18'
    """
    found = document.get("model") if isinstance(document, dict) else None
    return found if isinstance(found, str) else None


def _text(content: object) -> str | None:
    """Return the text of a message; some models send it in parts, of which those that are text count."""
    if isinstance(content, list):
        parts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
        return "".join(parts) if parts else None
    return content if isinstance(content, str) else None


def _tool_arguments(calls: object) -> str | None:
    """Return what the tool that takes an answer was called with."""
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and function.get("name") == SCHEMA_NAME and isinstance(function.get("arguments"), str):
            return str(function["arguments"])
    return None


def _counts(usage: object) -> dict[str, int]:
    """Return the tokens that went in and came out; 0 where the server does not count."""
    if not isinstance(usage, dict):
        return {}
    into, out = count_of(usage, "prompt_tokens") or 0, count_of(usage, "completion_tokens") or 0
    both = count_of(usage, "total_tokens") or 0
    into = into or max(both - out, 0)
    # What Gemini has thought is in the total alone.
    out, said = max(out, both - into), out
    reasoning = count_of(usage.get("completion_tokens_details"), "reasoning_tokens")
    # DeepSeek's name stands beside OpenAI's.
    cached = count_of(usage.get("prompt_tokens_details"), "cached_tokens") or count_of(usage, "prompt_cache_hit_tokens") or 0
    return {
        "input_tokens": into,
        "output_tokens": out,
        "reasoning_tokens": min(out - said if reasoning is None else reasoning, out),
        "cached_tokens": min(cached, into),
    }


class AnswerStream:
    """Puts the chunks of a streamed chat completion together, and hands its words on as they come.

    Args:
        on_text: Is told each piece of the answer's text; the words of a refusal are one, too.

    >>> words = []
    >>> stream = AnswerStream(words.append)
    >>> for chunk in ({"delta": {"content": "Yes"}}, {"delta": {"content": "."}}, {"delta": {}, "finish_reason": "stop"}):
    ...     stream.add({"choices": [chunk]})
    >>> words, read_answer(stream.document()).text
    (['Yes', '.'], 'Yes.')
    """

    def __init__(self, on_text: Callable[[str], object]) -> None:
        self.begun = False
        self._on_text = on_text
        self._texts: dict[str, list[str]] = {"content": [], REFUSAL: []}
        self._finish_reason: str | None = None
        self._usage: Any = None
        self._model: str | None = None

    def add(self, event: Any) -> None:
        """Take the next chunk. Raises BadReplyError where it has another shape."""
        choices = event.get("choices") if isinstance(event, Mapping) else None
        if not isinstance(choices, list):
            raise BadReplyError("an event of the stream has no list of answers under `choices`")
        self._usage = event.get("usage") or self._usage
        self._model = read_model(event) or self._model
        # Of several answers the first is read, as of a whole reply; the chunk that counts the tokens has none.
        for choice in choices:
            if isinstance(choice, Mapping) and not choice.get("index"):
                self._add(choice)

    def _add(self, choice: Mapping[str, Any]) -> None:
        delta = choice.get("delta")
        for name, texts in self._texts.items():
            text = _text(delta.get(name)) if isinstance(delta, Mapping) else None
            if text:
                texts.append(text)
                self.begun = True
                self._on_text(text)
        if isinstance(choice.get("finish_reason"), str):
            self._finish_reason = choice["finish_reason"]

    def add_whole(self, document: Any) -> None:
        """Hand on the answer of a server that does not stream, in one piece. Raises BadReplyError where it has another shape."""
        if text := read_answer(document).text:
            self.begun = True
            self._on_text(text)

    def document(self) -> dict[str, Any]:
        """Return the reply as it would have come whole. Raises BadReplyError where the stream ended before the answer did."""
        if self._finish_reason is None:
            raise BadReplyError("the stream ends before the answer does")
        message = {name: "".join(texts) if texts else None for name, texts in self._texts.items()}
        choices = [{"message": message, "finish_reason": self._finish_reason}]
        return {"choices": choices, "usage": self._usage, "model": self._model}
