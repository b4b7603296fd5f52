"""What of a JSON Schema a provider can hold its answers to: rules as data, and sentences about what does not keep them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_IN_A_LIST = ("anyOf", "oneOf", "allOf", "prefixItems")
_IN_A_MAPPING = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_IN_PLACE = ("not", "if", "then", "else", "propertyNames")
_WITHIN = ("items", "contains", "additionalProperties")
_ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "$schema", "$id", "$comment", "deprecated", "readOnly", "writeOnly"}
)
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_LENGTHS = frozenset({"minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"})
_CONDITIONS = frozenset({"allOf", "not", "dependentRequired", "dependentSchemas", "dependencies", "if", "then", "else"})


@dataclass(frozen=True, slots=True)
class SchemaRules:
    """What a provider enforces.

    Attributes:
        title: Who it is, as people write it.
        object_root: Whether the whole answer must be an object.
        closed: Whether every object says `additionalProperties: false`.
        all_required: Whether every property must be required.
        without: Keywords that it does not know.
        only: The keywords that it knows, annotations besides; None: all but those of `without`.
        properties: Most properties in all.
        depth: Most levels of objects and lists.
        enum_values: Most values of all `enum` together.
        optional: Most properties that are not required, in all.
        recursive: Whether a schema may hold itself.
    """

    title: str
    object_root: bool = True
    closed: bool = True
    all_required: bool = False
    without: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    properties: int | None = None
    depth: int | None = None
    enum_values: int | None = None
    optional: int | None = None
    recursive: bool = True


STRICT = SchemaRules("OpenAI's strict mode", all_required=True, without=_CONDITIONS, properties=5000, depth=10, enum_values=1000)
AZURE = SchemaRules(
    "Azure's strict mode",
    all_required=True,
    without=_CONDITIONS | _BOUNDS | _LENGTHS | {"pattern", "format", "patternProperties"},
    properties=100,
    depth=5,
)
ANTHROPIC = SchemaRules("Anthropic", without=_BOUNDS | _LENGTHS - {"minItems"}, optional=24, recursive=False)
GEMINI = SchemaRules(
    "Gemini",
    object_root=False,
    closed=False,
    only=frozenset(
        {
            *("$defs", "$ref", "$anchor", "type", "format", "enum", "items", "prefixItems", "minItems", "maxItems"),
            *("minimum", "maximum", "anyOf", "oneOf", "properties", "required", "additionalProperties", "propertyOrdering"),
        }
    ),
)


@dataclass(frozen=True, slots=True)
class _Node:
    """A schema within a schema: where it stands, and how many objects and lists are around it."""

    schema: Mapping[str, Any]
    path: str
    depth: int


def misfits(schema: Mapping[str, Any], rules: SchemaRules) -> Iterator[str]:
    """Yield a sentence for everything in a schema that a provider does not enforce, or refuses.

    >>> closed = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
    >>> list(misfits(closed, STRICT))
    []
    >>> list(misfits({**closed, "required": []}, STRICT))
    ["OpenAI's strict mode wants every property required: a is not"]
    """
    if rules.object_root and schema.get("type") != "object":
        yield f"{rules.title} answers with an object: the schema's type is {schema.get('type')!r}"
    nodes = list(_nodes(_Node(schema, "", 1)))
    for node in nodes:
        yield from _misfits_of(node, rules)
    counts = (
        ("properties", rules.properties, sum(len(_properties(node.schema)) for node in nodes)),
        ("levels", rules.depth, max((node.depth for node in nodes if {"object", "array"} & {*map(str, _types(node.schema))}), default=0)),
        ("values under `enum`", rules.enum_values, sum(len(_listed(node.schema, "enum")) for node in nodes)),
        ("properties that are not required", rules.optional, sum(len(_optional(node.schema)) for node in nodes)),
    )
    for what, most, found in counts:
        if most is not None and found > most:
            yield f"{rules.title} takes at most {most:,} {what}: there are {found:,}"
    if not rules.recursive and _is_recursive(schema):
        yield f"{rules.title} takes no schema that holds itself"


def schema_remark(notes: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence about what a provider does not enforce, none where there is nothing.

    >>> schema_remark(["it does not know `format`", "it does not know `not`"])
    ('answers may break the schema, and are then asked for again: it does not know `format`, and 1 more',)
    """
    more = f", and {len(notes) - 1} more" if len(notes) > 1 else ""
    return tuple(f"answers may break the schema, and are then asked for again: {note}{more}" for note in notes[:1])


def _misfits_of(node: _Node, rules: SchemaRules) -> Iterator[str]:
    where = f" at {node.path}" if node.path else ""
    unknown = rules.without & node.schema.keys()
    if rules.only is not None:
        unknown |= node.schema.keys() - rules.only - _ANNOTATIONS
    for name in sorted(unknown):
        yield f"{rules.title} does not know `{name}`{where}"
    if rules.without & {"maxItems"} and node.schema.get("minItems", 0) not in (0, 1) and "minItems" not in rules.without:
        yield f"{rules.title} knows `minItems` of 0 and 1 alone{where}"
    if "object" not in _types(node.schema):
        return
    if rules.closed and node.schema.get("additionalProperties") is not False:
        yield f"{rules.title} wants `additionalProperties: false`{where}"
    if rules.all_required and (left := _optional(node.schema)):
        yield f"{rules.title} wants every property required: {', '.join(left[:3])} is not{where}"


def _types(schema: Mapping[str, Any]) -> list[Any]:
    stated = schema.get("type")
    return stated if isinstance(stated, list) else [stated]


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    found = schema.get("properties")
    return found if isinstance(found, Mapping) else {}


def _listed(schema: Mapping[str, Any], name: str) -> list[Any]:
    found = schema.get(name)
    return found if isinstance(found, list) else []


def _optional(schema: Mapping[str, Any]) -> list[str]:
    required = _listed(schema, "required")
    return [name for name in _properties(schema) if name not in required]


def _nodes(root: _Node) -> Iterator[_Node]:
    """Yield a schema and those within it. Without recursion: a schema may be nested as deep as JSON may."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        deeper = node.depth + 1
        for name in _IN_A_MAPPING:
            if isinstance(found := node.schema.get(name), Mapping):
                depth = node.depth if name in ("$defs", "definitions") else deeper
                waiting += [_Node(each, _at(node, name, key), depth) for key, each in found.items() if isinstance(each, Mapping)]
        for name in _IN_A_LIST:
            children = enumerate(_listed(node.schema, name))
            waiting += [_Node(each, _at(node, name, place), node.depth) for place, each in children if isinstance(each, Mapping)]
        for name in (*_IN_PLACE, *_WITHIN):
            if isinstance(found := node.schema.get(name), Mapping):
                waiting.append(_Node(found, _at(node, name), deeper if name in _WITHIN else node.depth))


def _at(node: _Node, *steps: object) -> str:
    return ".".join(filter(None, (node.path, *map(str, steps))))


def _is_recursive(schema: Mapping[str, Any]) -> bool:
    """Tell whether a definition leads back to itself."""
    leads: dict[str, set[str]] = {"#": _references(schema, own_definitions=False)}
    for group in ("$defs", "definitions"):
        for name, each in (schema.get(group) or {}).items() if isinstance(schema.get(group), Mapping) else ():
            if isinstance(each, Mapping):
                leads[f"#/{group}/{name}"] = _references(each, own_definitions=True)
    for start, first in leads.items():
        seen: set[str] = set()
        waiting = [*first]
        while waiting:
            if (at := waiting.pop()) == start:
                return True
            if at not in seen:
                seen.add(at)
                waiting += leads.get(at, ())
    return False


def _references(schema: Mapping[str, Any], *, own_definitions: bool) -> set[str]:
    if not own_definitions:
        schema = {name: value for name, value in schema.items() if name not in ("$defs", "definitions")}
    return {str(node.schema["$ref"]) for node in _nodes(_Node(schema, "", 1)) if "$ref" in node.schema}
