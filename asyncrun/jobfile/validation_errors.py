"""Pydantic's errors in the words of the job file: what is wrong, what is allowed, what was probably meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from asyncrun.escape import printable
from asyncrun.jobfile.field_types import IN_JOB_FILE
from asyncrun.jobfile.mistakes import HIDDEN, Findings, suggest
from asyncrun.jobfile.yaml_tree import KeyPath, Listing, Scalar, Table, UnclearScalarError, YamlNode, read_plain

M = TypeVar("M", bound=BaseModel)

MAX_ERRORS = 200
"""More mistakes in one job are counted, not listed: they are the same one, many times over."""

_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}
_BOUNDS = {
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "{le} at most",
    "less_than": "less than {lt}",
}


def build_model(model: type[M], data: Any, source: Callable[[KeyPath], KeyPath], findings: Findings) -> M | None:
    """Return the model of some data, None where too much of it is wrong.

    Every error goes to the findings; what is wrong is then left out, so that the rest can still be checked.
    `source` says where in the file a path of the data stands.
    """
    try:
        return model.model_validate(data, context=IN_JOB_FILE)
    except ValidationError as error:
        errors: list[Any] = error.errors(include_url=False, include_input=False)
    for found in errors[:MAX_ERRORS]:
        _report(found, model, source, findings)
    if len(errors) > MAX_ERRORS:
        findings.add(source(errors[MAX_ERRORS]["loc"]), f"and {len(errors) - MAX_ERRORS} more mistakes from here on")
    try:
        return model.model_validate(_without(data, [found["loc"] for found in errors]), context=IN_JOB_FILE)
    except ValidationError:
        return None


def _report(error: Mapping[str, Any], model: type[BaseModel], source: Callable[[KeyPath], KeyPath], findings: Findings) -> None:
    path = source(error["loc"])
    kind, context = error["type"], error.get("ctx", {})
    if kind == "default_factory_not_called" or findings.knows(path):
        return
    if kind == "extra_forbidden":
        around, key = _model_at(model, error["loc"][:-1]), str(path[-1])
        keys = [] if around is None else _names(around)
        meant = (None if around is None else _one_level_down(around, key)) or suggest(key, keys)
        findings.add(path, "unknown key", ", ".join(keys), meant, key=True)
    elif kind == "missing":
        findings.add(path[:-1], "missing", missing=str(path[-1]))
    else:
        node = findings.node(path)
        hidden = not HIDDEN.isdisjoint(path)
        message, allowed, suggestion = _words(kind, context, error["msg"], None if hidden else node)
        findings.add(path, message, allowed, suggestion)


def _words(kind: str, context: Mapping[str, Any], message: str, node: YamlNode | None) -> tuple[str, str | None, str | None]:
    """Return what is wrong, what is allowed, and what was probably meant."""
    if kind == "wrong":
        return context["message"] or _described(node, context["allowed"]), context["allowed"], context["suggestion"]
    if kind in _EXPECTED:
        return _described(node, _EXPECTED[kind]), _EXPECTED[kind], None
    if kind in _BOUNDS:
        return _described(node, "a number"), _BOUNDS[kind].format(**{key: f"{value:g}" for key, value in context.items()}), None
    if kind == "literal_error":
        words = re.findall(r"'([^']*)'", context["expected"])
        typed = node.text if isinstance(node, Scalar) else ""
        return _described(node, "a text"), ", ".join(words), suggest(typed, words)
    if kind == "string_too_short":
        return "empty", "a text", None
    return message, None, None


def _described(node: YamlNode | None, expected: str | None) -> str:
    """Return a few words for what stands where something else is expected; the value of a variable is not among them."""
    if isinstance(node, Table):
        return "a mapping stands here"
    if isinstance(node, Listing):
        return "a list stands here"
    if node is None:
        return "this value does not fit"
    if "$" in node.text:
        return f"the value of {printable(node.text, 60)} does not fit"
    typed = printable(node.text, 60)
    if not node.plain:
        return f"the text {typed!r} stands here"
    try:
        value = read_plain(node.text)
    except UnclearScalarError as error:
        return str(error)
    if value is None:
        return "nothing stands here"
    quote = f'; as a text it is written "{typed}"' if expected and "text" in expected and not isinstance(value, str) else ""
    if isinstance(value, bool):
        return f"{typed} means {str(value).lower()} in YAML{quote}"
    return f"the text {typed!r} stands here" if isinstance(value, str) else f"the number {typed} stands here{quote}"


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    """Return the model of a mapping at a path of a model."""
    for step in path:
        field = next((field for name, field in model.model_fields.items() if step in (name, field.alias)), None)
        if field is None:
            continue
        inner = next(_models(field.annotation), None)
        if inner is None:
            return None
        model = inner
    return model


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _one_level_down(model: type[BaseModel], key: str) -> str | None:
    """Return a key with the one below which it may stand, such as `llm.delivery`: one that must be there, if there is such a one."""
    fields = sorted(model.model_fields.items(), key=lambda item: not item[1].is_required())
    below = (field.alias or name for name, field in fields for inner in islice(_models(field.annotation), 1) if key in _names(inner))
    return next((f"{name}.{key}" for name in below), None)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _without(data: Any, paths: Iterable[KeyPath]) -> Any:
    """Return a copy of the data without what stands at the paths (or at the nearest place above)."""
    below: dict[str | int, list[KeyPath]] = {}
    for path in paths:
        if path:
            below.setdefault(path[0], []).append(path[1:])

    def stays(step: str | int, value: Any) -> bool:
        return step not in below or (isinstance(value, dict | list) and all(below[step]))

    if isinstance(data, dict):
        return {key: _without(value, below.get(key, ())) for key, value in data.items() if stays(key, value)}
    if isinstance(data, list):
        return [_without(value, below.get(step, ())) for step, value in enumerate(data) if stays(step, value)]
    return data
