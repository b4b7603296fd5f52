"""Why answers end: the words of several vendors, as one word each."""

from __future__ import annotations

STOP, LENGTH, CONTENT_FILTER, REFUSAL = "stop", "length", "content_filter", "refusal"
_WORDS = {
    # Anthropic.
    "end_turn": STOP,
    "stop_sequence": STOP,
    "max_tokens": LENGTH,
    "model_context_window_exceeded": LENGTH,
    "tool_use": "tool_calls",
    # Mistral.
    "model_length": LENGTH,
    # Gemini, as it has them elsewhere.
    "safety": CONTENT_FILTER,
    "recitation": CONTENT_FILTER,
    "blocklist": CONTENT_FILTER,
    "prohibited_content": CONTENT_FILTER,
    "spii": CONTENT_FILTER,
    "image_safety": CONTENT_FILTER,
}


def finish_reason_of(word: object) -> str | None:
    """Return why an answer ended; a word that nobody knows stays as it is.

    >>> finish_reason_of("MAX_TOKENS"), finish_reason_of("end_turn"), finish_reason_of("pause_turn"), finish_reason_of(None)
    ('length', 'stop', 'pause_turn', None)
    """
    if not isinstance(word, str):
        return None
    return _WORDS.get(word.lower(), STOP if word == "STOP" else word)
