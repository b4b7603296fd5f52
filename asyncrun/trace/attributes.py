"""Payloads to span attributes: numbers and short texts stay, texts of documents only where they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from dataclasses import fields, is_dataclass
from enum import Enum
from math import isfinite
from typing import Any

import orjson

from asyncrun.callbacks.base_handler import message_of

Plain = bool | int | float | str

LONGEST_TEXT = 200
"""Characters of an attribute; a longer text is left out, an error's words are cut."""
MOST_ATTRIBUTES = 40
MOST_TEXTS = 5
"""Texts of documents of one event that are stored where they are asked for, each cut to `LONGEST_TEXT`."""
_FIRST_CUT = LONGEST_TEXT * 5
"""Where a text is cut before secrets are taken out of it, so that few of them are cut in two."""

_TEXTS = frozenset(
    {
        *("documents", "chunks", "nodes", "formatted_prompt", "messages", "completion", "response", "query_str", "sub_question"),
        *("embeddings", "additional_kwargs", "serialized", "function_call", "function_call_response", "tool", "template"),
        *("template_vars", "system_prompt", "query_wrapper_prompt"),
        *("text", "texts", "query", "question", "prompt", "answer", "content", "document"),
    }
)


def pick_attributes(payload: Mapping[Any, Any] | None) -> dict[str, Plain]:
    """Return what of a payload is small enough to be stored.

    A list gives its length as `<key>.count`, a record or a mapping its numbers as `<key>.<field>`, an exception `error.type`
    and `error.message`. What stands under a key for texts (`EventPayload.CHUNKS`, `"text"`, ...) is never taken.

    >>> pick_attributes({"tokens": 12, "texts": ["a", "b"], "query": "a secret question", "model": "small"})
    {'tokens': 12, 'texts.count': 2, 'model': 'small'}
    """
    picked: dict[str, Plain] = {}
    for key, value in (payload or {}).items():
        name = key.value if isinstance(key, Enum) else str(key)
        kind = value.__class__
        if kind is int or kind is float or kind is bool:
            picked[name] = value
        elif kind is str:
            if len(value) <= LONGEST_TEXT and name not in _TEXTS:
                picked[name] = value
        elif kind is list:
            picked[f"{name}.count"] = len(value)
        elif value is not None:
            _pick_other(name, value, picked)
    return picked


def pick_texts(payload: Mapping[Any, Any]) -> dict[str, Plain]:
    """Return the texts of documents in a payload: of a list the first `MOST_TEXTS`, as `<key>.0` and so on; their beginnings.

    >>> pick_texts({"texts": ["a", "b"], "query": "a question", "model": "small"})
    {'texts.0': 'a', 'texts.1': 'b', 'query': 'a question'}
    """
    found: dict[str, Plain] = {}
    for key, value in payload.items():
        name = key.value if isinstance(key, Enum) else str(key)
        if name not in _TEXTS:
            continue
        several = isinstance(value, list | tuple)
        for index, part in enumerate(value[:MOST_TEXTS] if several else [value]):
            text = getattr(part, "content", part)  # of a message
            if isinstance(text, str):
                found[f"{name}.{index}" if several else name] = text[:_FIRST_CUT]
    return found


def texts_in(attributes: Mapping[str, Plain]) -> list[str]:
    """Return the texts that `pick_texts` has put among attributes.

    >>> texts_in({"tokens": 3, "chunks.count": 2, "chunks.0": "a", "chunks.1": "b"})
    ['a', 'b']
    """
    return [value for key, value in attributes.items() if isinstance(value, str) and key.partition(".")[0] in _TEXTS]


def read_payload(payload: Any, *, texts: bool = False) -> dict[str, Plain]:
    """Return what `pick_attributes` does, whatever stands in the payload; with `texts` also what `pick_texts` does.

    >>> read_payload("no mapping")
    {'payload.unreadable': 'ValueError'}
    """
    if not payload:
        return {}
    try:
        # A copy: who made the event may go on with the payload in another thread.
        copy = dict(payload)
        picked = pick_attributes(copy)
        return picked | pick_texts(copy) if texts else picked
    except Exception as error:
        return {"payload.unreadable": type(error).__name__}


def _pick_other(name: str, value: Any, picked: dict[str, Plain]) -> None:
    if isinstance(value, BaseException):
        picked["error.type"] = type(value).__name__
        picked["error.message"] = message_of(value)[:_FIRST_CUT]
    elif isinstance(value, str):
        if len(value) <= LONGEST_TEXT and name not in _TEXTS:
            picked[name] = str(value.value) if isinstance(value, Enum) else str(value)
    elif isinstance(value, int | float):
        picked[name] = int(value) if isinstance(value, int) else float(value)
    elif isinstance(value, Mapping):
        picked.update((f"{name}.{key}", part) for key, part in value.items() if isinstance(part, int | float))
    elif is_dataclass(value):
        parts = ((item.name, getattr(value, item.name)) for item in fields(value))
        picked.update((f"{name}.{key}", part) for key, part in parts if isinstance(part, int | float))
    elif isinstance(value, Sized):
        picked[f"{name}.count"] = len(value)


def clean_values(value: Any, clean: Callable[[str], str]) -> Any:
    """Return what can be written as JSON, every text in it passed through `clean`.

    >>> clean_values({"key": ["secret", 1, None]}, lambda text: text.replace("secret", "***"))
    {'key': ['***', 1, None]}
    """
    if isinstance(value, Mapping):
        return {clean(str(key)): clean_values(part, clean) for key, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean_values(part, clean) for part in value]
    if value is None or isinstance(value, bool | float):
        return value
    # Larger numbers cannot be written; as a text they can.
    return int(value) if isinstance(value, int) and abs(value) < 1 << 63 else clean(str(value))


def dump_attributes(attributes: Mapping[str, Plain], clean: Callable[[str], str]) -> bytes | None:
    """Return attributes as JSON, every text passed through `clean`; None when there are none."""
    kept: dict[str, Plain] = {}
    for key, value in attributes.items():
        if len(kept) == MOST_ATTRIBUTES:
            break
        if isinstance(value, str):
            kept[clean(key)] = clean(value)
        elif isinstance(value, float):
            if isfinite(value):
                kept[clean(key)] = float(value)
        elif abs(value) < 1 << 63:
            kept[clean(key)] = value
    return orjson.dumps(kept) if kept else None
