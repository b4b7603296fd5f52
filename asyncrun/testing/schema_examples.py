"""An answer that fits a JSON Schema, always the same one for the same words: what a fake chat model says that is held to one."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from typing import Any

_FORMATS = {
    "date": "2026-11-28",
    "date-time": "2026-11-28T09:00:00Z",
    "time": "09:00:00Z",
    "email": "cat@example.com",
    "uri": "https://example.com/cat",
    "uuid": "3f2b8a52-0d2c-4a51-9d3b-6d1f0c6a9e11",
    "ipv4": "192.0.2.1",
}
_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath")
_DEEPEST = 16
"""Levels after which a schema that holds itself is left: with what is least."""


def example_of(schema: Any, words: str) -> Any:
    """Return a value that fits a schema, as far as its types, bounds, lengths, `enum`, `const` and references go; patterns are not read.

    >>> example_of({"type": "object", "properties": {"kind": {"enum": ["cat", "dog"]}, "legs": {"type": "integer"}}}, "Which?")
    {'kind': 'dog', 'legs': 89}
    """
    drawn = int.from_bytes(hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
    return _Examples(schema, random.Random(drawn)).of(schema, 0)  # noqa: S311 (no secret)


class _Examples:
    def __init__(self, root: Any, rng: random.Random) -> None:
        self._root = root
        self._rng = rng

    def of(self, schema: Any, depth: int) -> Any:
        """Return a value for a schema within the schema."""
        if not isinstance(schema, Mapping):
            return "anything"
        if "const" in schema:
            return schema["const"]
        if isinstance(listed := schema.get("enum"), list) and listed:
            return self._rng.choice(listed)
        if isinstance(place := schema.get("$ref"), str):
            return self.of(self._referred(place), depth + 1)
        for name in ("anyOf", "oneOf"):
            if isinstance(listed := schema.get(name), list) and listed:
                # Of a schema that holds itself the last way out is most often `null`.
                return self.of(listed[-1] if depth > _DEEPEST else listed[0], depth + 1)
        if isinstance(listed := schema.get("allOf"), list) and listed:
            return self.of(_merged([{name: value for name, value in schema.items() if name != "allOf"}, *listed]), depth + 1)
        return self._of_type(schema, depth)

    def _of_type(self, schema: Mapping[str, Any], depth: int) -> Any:
        stated = schema.get("type")
        kind = stated[0] if isinstance(stated, list) and stated else stated
        if kind is None:
            kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
        match kind:
            case "object":
                properties = schema.get("properties") or {}
                wanted = schema.get("required", []) if depth > _DEEPEST else [*properties, *schema.get("required", [])]
                return {name: self.of(properties.get(name), depth + 1) for name in dict.fromkeys(wanted)}
            case "array":
                few = 0 if depth > _DEEPEST else min(1, schema.get("maxItems", 1))
                return [self.of(schema.get("items"), depth + 1) for _ in range(max(few, schema.get("minItems", 0)))]
            case "integer" | "number":
                return self._number(schema, whole=kind == "integer")
            case "boolean":
                return self._rng.random() < 0.5
            case "null":
                return None
            case _:
                return self._text(schema)

    def _number(self, schema: Mapping[str, Any], *, whole: bool) -> float:
        low = schema.get("minimum", schema.get("exclusiveMinimum"))
        high = schema.get("maximum", schema.get("exclusiveMaximum"))
        low = (0 if high is None or high > 0 else high - 100) if low is None else low
        high = low + 100 if high is None else high
        if whole:
            least, most = int(low) + ("exclusiveMinimum" in schema), int(high) - ("exclusiveMaximum" in schema)
            step = int(schema.get("multipleOf", 1)) or 1
            return self._rng.randrange(-(-least // step) * step, most + 1, step)
        return round(low + (high - low) * (0.25 + self._rng.random() / 2), 3)

    def _text(self, schema: Mapping[str, Any]) -> str:
        if (known := _FORMATS.get(str(schema.get("format")))) is not None:
            return known
        text = " ".join(self._rng.choice(_WORDS) for _ in range(2))
        least, most = schema.get("minLength", 0), schema.get("maxLength", len(text) + schema.get("minLength", 0))
        longer: str = text + "." * max(least - len(text), 0)
        return longer[:most]

    def _referred(self, place: str) -> Any:
        found = self._root
        for step in place.removeprefix("#").strip("/").split("/"):
            if step:
                found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        return found


def _merged(schemas: list[Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for schema in schemas:
        if isinstance(schema, Mapping):
            properties = {**merged.get("properties", {}), **schema.get("properties", {})}
            required = [*merged.get("required", []), *schema.get("required", [])]
            merged |= {**schema, **({"properties": properties} if properties else {}), **({"required": required} if required else {})}
    return merged
