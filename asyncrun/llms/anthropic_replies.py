"""What Anthropic's messages hold, whole or event by event: an answer, and why it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from asyncrun.endpoints.replies import BadReplyError, count_of
from asyncrun.finish_reasons import REFUSAL, STOP, finish_reason_of
from asyncrun.llms.openai_replies import SCHEMA_NAME
from asyncrun.records import Answer

_INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
"""What went in, told in three parts."""


def read_message(document: Any) -> Answer:
    """Return the answer of a decoded reply; its text is None where the model has written none.

    >>> reply = {"content": [{"type": "text", "text": "Yes."}], "stop_reason": "end_turn", "usage": {"input_tokens": 3}}
    >>> read_message(reply).finish_reason
    'stop'

    Raises BadReplyError when the document has another shape.
    """
    content = document.get("content") if isinstance(document, Mapping) else None
    if not isinstance(content, list):
        raise BadReplyError("the reply has no list of parts under `content`")
    blocks = [block for block in content if isinstance(block, Mapping)]
    texts = [block["text"] for block in blocks if block.get("type") == "text" and isinstance(block.get("text"), str)]
    text, reason = "".join(texts) if texts else None, document.get("stop_reason")
    for block in blocks:
        if block.get("type") == "tool_use" and block.get("name") == SCHEMA_NAME:
            # What is said beside the tool is no part of the answer.
            text, reason = orjson.dumps(block.get("input")).decode(), STOP if reason == "tool_use" else reason
    if not text and reason == REFUSAL:
        text = _explanation(document.get("stop_details")) or text
    if text is None and not isinstance(reason, str):
        raise BadReplyError("the answer has neither a text nor a reason why it has none")
    return Answer(text, finish_reason_of(reason), **_counts(document.get("usage")))


def _explanation(details: object) -> str | None:
    found = details.get("explanation") if isinstance(details, Mapping) else None
    return found if isinstance(found, str) else None


def _counts(usage: object) -> dict[str, int]:
    """Return the tokens that went in and came out; what it has thought is among those that came out, and not told apart."""
    into = [count_of(usage, name) or 0 for name in _INPUT]
    return {"input_tokens": sum(into), "output_tokens": count_of(usage, "output_tokens") or 0, "cached_tokens": into[-1]}


class MessageStream:
    """Puts the events of a streamed message together, and hands its words on as they come.

    Args:
        on_text: Is told each piece of the answer's text.

    >>> words = []
    >>> stream = MessageStream(words.append)
    >>> for piece in ("Yes", "."):
    ...     stream.add({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})
    >>> stream.add({"type": "message_delta", "delta": {"stop_reason": "end_turn"}})
    >>> words, read_message(stream.document()).text
    (['Yes', '.'], 'Yes.')
    """

    def __init__(self, on_text: Callable[[str], object]) -> None:
        self.begun = False
        self._on_text = on_text
        self._texts: list[str] = []
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}

    def add(self, event: Any) -> None:
        """Take the next event; what it does not know, such as a `ping`, says nothing. Raises BadReplyError where it is none."""
        if not isinstance(event, Mapping) or not isinstance(event.get("type"), str):
            raise BadReplyError("an event of the stream has no type")
        if event["type"] == "message_start" and isinstance(event.get("message"), Mapping):
            self._message |= {name: event["message"].get(name) for name in ("model", "stop_reason")}
            self._count(event["message"])
        delta = event.get("delta")
        if not isinstance(delta, Mapping):
            return
        if isinstance(text := delta.get("text"), str) and text:
            self._tell(text)
        if event["type"] == "message_delta":
            self._message |= {name: delta[name] for name in ("stop_reason", "stop_details") if name in delta}
            self._count(event)

    def _count(self, told: Mapping[str, Any]) -> None:
        usage = told.get("usage")
        self._usage |= {name: count for name, count in usage.items() if count is not None} if isinstance(usage, Mapping) else {}

    def _tell(self, text: str) -> None:
        self._texts.append(text)
        self.begun = True
        self._on_text(text)

    def add_whole(self, document: Any) -> None:
        """Hand on the answer of a server that does not stream, in one piece. Raises BadReplyError where it has another shape."""
        if text := read_message(document).text:
            self._tell(text)

    def document(self) -> dict[str, Any]:
        """Return the reply as it would have come whole. Raises BadReplyError where the stream ended before the answer did."""
        if self._message.get("stop_reason") is None:
            raise BadReplyError("the stream ends before the answer does")
        content = [{"type": "text", "text": "".join(self._texts)}] if self._texts else []
        return {**self._message, "content": content, "usage": self._usage}
