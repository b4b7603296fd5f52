"""Chat completions of a fake server: the same messages have the same answer everywhere, and different ones different answers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncrun.testing.faults import error_body

LIMITS = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True, slots=True)
class Chat:
    """How a fake server answers: `limits` are the names it knows for the most tokens of an answer, `max_input_tokens` is its context."""

    limits: tuple[str, ...] = LIMITS
    max_input_tokens: int = 8192

    def reply(self, document: Mapping[str, Any]) -> tuple[int, Any]:
        """Return status and body of the reply to a request.

        >>> Chat().reply({"model": "m", "messages": [{"role": "user", "content": "[1] It rains."}]})[1]["choices"][0]["finish_reason"]
        'stop'
        """
        unknown = next((name for name in LIMITS if name in document and name not in self.limits), None)
        if unknown:
            return 400, error_body(f"Unsupported parameter: '{unknown}' is not supported with this model.", code="unsupported_parameter")
        messages = document.get("messages")
        if not isinstance(messages, list) or not messages:
            return 400, error_body("'messages' is a required property.")
        words = [word for message in messages for word in str(message.get("content")).split()]
        if len(words) > self.max_input_tokens:
            message = (
                f"This model's maximum context length is {self.max_input_tokens} tokens. However, your messages have {len(words)} tokens."
            )
            return 400, error_body(message, code="context_length_exceeded")
        answer = answer_of([str(message.get("content")) for message in messages]).split()
        most = next((document[name] for name in LIMITS if name in document), len(answer))
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": " ".join(answer[:most]), "refusal": None},
            "finish_reason": "length" if most < len(answer) else "stop",
        }
        used = min(most, len(answer))
        usage = {"prompt_tokens": len(words), "completion_tokens": used, "total_tokens": len(words) + used}
        return 200, {"id": "chat", "object": "chat.completion", "model": document.get("model"), "choices": [choice], "usage": usage}


def answer_of(contents: Sequence[str]) -> str:
    """Return the answer to messages with these contents; it names the first passage where there is one.

    >>> answer_of(["[1] It rains."])
    'Answer 302cd2a7, as [1] says.'
    """
    name = hashlib.blake2b("\0".join(contents).encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"Answer {name}, as [1] says." if "[1]" in contents[-1] else f"Answer {name}, out of nothing."
