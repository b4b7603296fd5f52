"""Classes whose `help()` shows what they are for: of what every class has from Python, pydantic or its base type, nothing."""

from __future__ import annotations

from abc import ABCMeta
from enum import EnumType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    ProtocolType = ABCMeta
else:
    ProtocolType = type(Protocol)

_FOREIGN = ("abc", "builtins", "enum", "pydantic", "typing")
_GENERATED = ("__class_getitem__", "__getstate__", "__post_init__", "__replace__", "__setstate__")


class ShortHelp(type):
    """The type of a class whose `dir()`, and so `help()`, leaves out what was not written for it.

    Methods such as `__aenter__` stay. Every name works as before, and `dir()` of an object is as ever.

    >>> class Point(metaclass=ShortHelp):
    ...     def length(self): ...
    >>> dir(Point)
    ['__doc__', 'length']
    """

    def __dir__(cls) -> list[str]:
        """Return the names that were written for this class and its bases, those of an exception included."""
        ours = [base for base in cls.__mro__ if issubclass(base, BaseException) or base.__module__.partition(".")[0] not in _FOREIGN]
        written = {name for base in ours for name, value in vars(base).items() if not name.startswith("__") or _is_special(name, value)}
        return sorted(written | {"__doc__"})


class ShortHelpABC(ShortHelp, ABCMeta):
    """The same for a class with abstract methods."""


class ShortHelpProtocol(ShortHelp, ProtocolType):
    """The same for a port."""


class ShortHelpEnum(ShortHelp, EnumType):
    """The same for an enumeration: of a text's methods, nothing.

    >>> from enum import StrEnum
    >>> class Colour(StrEnum, metaclass=ShortHelpEnum):
    ...     RED = "red"
    >>> "RED" in dir(Colour), "upper" in dir(Colour), "upper" in dir(Colour.RED)
    (True, False, True)
    """


def _is_special(name: str, value: object) -> bool:
    """Tell whether a name with underscores is a method that not every class, dataclass or model has."""
    return callable(value) and not hasattr(object, name) and name not in _GENERATED and not name.startswith("__pydantic_")
