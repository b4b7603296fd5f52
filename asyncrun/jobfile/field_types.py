"""The types of the job file's fields: each knows how it is written, what may stand there, and its JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from asyncrun.endpoints.address import is_address
from asyncrun.jobfile import units
from asyncrun.short_help import ShortHelp

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _PydanticType
else:
    _PydanticType = type(BaseModel)

VARIABLE_SCHEMA = {"type": "string", "pattern": r"\$\{"}
"""Wherever a number may stand, a variable may."""

NAME_PATTERN = "[a-z0-9_-]+"
IN_JOB_FILE: Any = object()
"""The context in which an entry of a job file is validated: its mistakes are collected, with their places."""


class _Made:
    """A default that is made anew for each object."""

    def __repr__(self) -> str:
        return "..."


def _parameter(name: str, field: FieldInfo) -> Parameter:
    written = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    default = Parameter.empty if field.is_required() else written.get("default", _Made() if field.default_factory else field.default)
    return Parameter(field.alias or name, Parameter.KEYWORD_ONLY, default=default)


class _ModelType(ShortHelp, _PydanticType):
    """The type of the models: their help shows the keys as a job file has them, and of pydantic's methods nothing."""

    def __dir__(cls) -> list[str]:  # noqa: N805
        """Return what an object has, without the settings of its class."""
        settings = {"model_config", *cast("type[BaseModel]", cls).__class_vars__}
        return [name for name in super().__dir__() if name not in settings]

    @property
    def __signature__(cls) -> Signature:  # noqa: N805
        """Return the keys, those first that must be there; a kind names itself."""
        fields = cast("type[BaseModel]", cls).model_fields
        parameters = [_parameter(name, field) for name, field in fields.items() if name != "kind"]
        return Signature(sorted(parameters, key=lambda each: each.default is not Parameter.empty))

    @__signature__.setter
    def __signature__(cls, made: object) -> None:  # noqa: N805
        """Pass over what pydantic makes of the fields: what a value becomes is not how it is written."""


class Model(BaseModel, metaclass=_ModelType):
    """The root of all models of the job file: frozen, and strict about unknown keys."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


def wrong(message: str, allowed: str | None = None, suggestion: str | None = None) -> PydanticCustomError:
    """Return the error that a validator raises for a value; it never holds the value of a variable."""
    return PydanticCustomError("wrong", "{message}", {"message": message, "allowed": allowed, "suggestion": suggestion})


@dataclass(frozen=True, slots=True, eq=False)
class Accepts:
    """Says in the JSON Schema which other forms a field takes."""

    forms: tuple[dict[str, Any], ...]

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the field's own schema or one of the other forms."""
        return {"anyOf": [handler(core_schema), *self.forms]}


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """Says in the JSON Schema how a value with a unit is written."""

    plain: dict[str, Any] | None
    description: str
    pattern: str | None = None

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the schema of what is written, not of what it becomes."""
        forms = [self.plain] if self.plain else []
        if self.pattern:
            forms.append({"type": "string", "pattern": self.pattern})
        return {"anyOf": [*forms, VARIABLE_SCHEMA], "description": self.description}


def _unit(parse: Callable[[Any], Any], expected: str) -> BeforeValidator:
    def validate(value: object) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise wrong("", expected)
        try:
            return parse(value)
        except ValueError as error:
            raise wrong(str(error), expected) from None

    return BeforeValidator(validate)


def _no_flag(value: object) -> object:
    # Pydantic would take true for 1.
    if isinstance(value, bool):
        raise wrong("", "a number")
    return value


def _flag(value: object) -> object:
    # Pydantic would take 1 for true.
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise wrong("", "true or false")
    return value


def _rate(value: float) -> float:
    if not value > 0:
        raise wrong("nothing could ever be sent", "more than 0; a limit that is not known is left out")
    return value


def _path(value: str) -> str:
    if not value.strip():
        raise wrong("empty", "a path")
    if "\0" in value:
        raise wrong("a path cannot hold a NUL character")
    return value


def _address(value: str) -> str:
    if "${" in value:
        return value  # Its variables are not filled in yet.
    if not is_address(value):
        raise wrong("not the address of a server", "http://HOST:PORT or https://HOST/PATH")
    parts = urlsplit(value)
    if parts.username is not None:
        raise wrong(
            "a name or a password must not stand in an address, which is shown", "api_key, or a header with the value of a variable"
        )
    if parts.query or parts.fragment:
        raise wrong("what follows '?' or '#' must not stand in an address, which is shown", "params: {name: value}, or api_key for a key")
    return value


def _name(value: str) -> str:
    if not re.fullmatch(NAME_PATTERN, value):
        near = re.sub(r"[^a-z0-9_-]+", "-", value.lower()).strip("-")[:60]
        raise wrong("not a name", "small letters a-z, digits, '_' and '-'", near or None)
    return value


def _workers(value: object) -> object:
    if value == "auto":
        return None
    if isinstance(value, bool):
        raise wrong("", "auto, or a whole number of 1 or more")
    return value


def one_or_more(value: object) -> object:
    """Return a list for one text."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise wrong("", "a text or a list of texts")
    return value


_NUMBER = Accepts((VARIABLE_SCHEMA,))
Count: TypeAlias = Annotated[int, Field(ge=1), BeforeValidator(_no_flag), _NUMBER]
Whole: TypeAlias = Annotated[int, Field(ge=0), BeforeValidator(_no_flag), _NUMBER]
Number: TypeAlias = Annotated[float, Field(ge=0), BeforeValidator(_no_flag), _NUMBER]
Temperature: TypeAlias = Annotated[float, Field(ge=0, le=2), BeforeValidator(_no_flag), _NUMBER]
Rate: TypeAlias = Annotated[
    float, BeforeValidator(_no_flag), AfterValidator(_rate), Field(json_schema_extra={"exclusiveMinimum": 0}), _NUMBER
]
Flag: TypeAlias = Annotated[bool, BeforeValidator(_flag), _NUMBER]
Text: TypeAlias = Annotated[str, Field(min_length=1)]
Name: TypeAlias = Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": f"^{NAME_PATTERN}$"})]
Workers: TypeAlias = Annotated[Count | None, BeforeValidator(_workers), Accepts(({"const": "auto"},))]
ServerAddress: TypeAlias = Annotated[str, AfterValidator(_address)]
FilePath: TypeAlias = Annotated[str, AfterValidator(_path)]
Texts: TypeAlias = Annotated[tuple[Text, ...], BeforeValidator(one_or_more), Accepts(({"type": "string"},))]
FilePaths: TypeAlias = Annotated[tuple[FilePath, ...], BeforeValidator(one_or_more), Accepts(({"type": "string"},))]
Duration: TypeAlias = Annotated[
    float,
    _unit(units.parse_duration, units.DURATIONS),
    Written({"type": "number", "exclusiveMinimum": 0}, units.DURATIONS, r"^[0-9.]+ *(ms|s|m|h|d)?$"),
]
DeadlineField: TypeAlias = Annotated[
    units.Deadline,
    _unit(units.parse_deadline, units.DEADLINES),
    Written({"type": "number", "exclusiveMinimum": 0}, units.DEADLINES, r"^[0-9.]+ *(ms|s|m|h|d)?$|^[0-9]{1,2}:[0-9]{2}$"),
]
DeliveryField: TypeAlias = Literal["online", "batch"]
Size: TypeAlias = Annotated[
    int,
    _unit(units.parse_size, units.SIZES),
    Written({"type": "integer", "minimum": 1}, units.SIZES, r"^[0-9.]+ *([kKmMgGtT]?[iI]?[bB])?$"),
]
CountOrPercent: TypeAlias = Annotated[
    units.Threshold,
    _unit(units.parse_threshold, units.THRESHOLDS),
    Written({"type": "integer", "minimum": 0}, units.THRESHOLDS, r"^[0-9]+(\.[0-9]+)? *%?$"),
]
Percentage: TypeAlias = Annotated[float, _unit(units.parse_share, units.SHARES), Written(None, units.SHARES, r"^[0-9]+(\.[0-9]+)? *%$")]
