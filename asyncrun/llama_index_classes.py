"""Classes of LlamaIndex that a job file names by their paths: found, checked against what they must be, and made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from asyncrun.errors import ArgumentError, MissingExtraError
from asyncrun.escape import printable

_EXTRA = "Install it: pip install 'asyncrun[llama-index]'."
_SECRETS = ("key", "token", "secret", "password")


@dataclass(frozen=True, slots=True)
class LlamaIndexClass:
    """A class by its path, such as `llama_index.core.MockEmbedding`, and the arguments that it is made with.

    `owner` is the part of the job file whose `options` these are, `more` has others of them; `make` among those is a method of the class
    that makes an instance, such as `from_params`.
    """

    cls: type[Any]
    path: str
    args: Mapping[str, Any]
    owner: str
    more: Mapping[str, Any] = field(default_factory=dict)

    def make(self, args: Mapping[str, Any], shown: Callable[[str], str] = str) -> Any:
        """Return an instance. `shown` takes secrets out of words.

        Raises ArgumentError when the class does not take its arguments.
        """
        factory = self.cls if (name := self.more.get("make")) is None else getattr(self.cls, str(name), None)
        if not callable(factory):
            hint = f"Correct options.make of the {self.owner}."
            raise ArgumentError(f"{self.cls.__name__} has no {printable(str(name), 100)}", hint=hint)
        try:
            return factory(**args)
        except Exception as error:
            # Whatever it is: of a class that cannot be made there is nothing to try again.
            words = shown(str(error) or type(error).__name__)
            hint = f"Correct options.args of the {self.owner}."
            raise ArgumentError(f"{self.cls.__name__} cannot be made: {words}", hint=hint) from error


@dataclass(frozen=True, slots=True)
class ClassKind:
    """A kind of class: what it must be derived from, what it is called, the part of the job file that names one, an example.

    `more` are other keys than `class` and `args` that its options may have.
    """

    base: str
    called: str
    owner: str
    example: str
    more: tuple[str, ...] = ()


def read_options(options: Mapping[str, Any] | None, kind: ClassKind) -> LlamaIndexClass:
    """Return the class that `options` of the job file name by `class`, with its `args`.

    Raises ArgumentError for a class that is not there or of another kind, and for secrets among the arguments, MissingExtraError without
    LlamaIndex.
    """
    options = options or {}
    path, args = str(options.get("class", "")), dict(options.get("args") or {})
    if unknown := options.keys() - {"class", "args", *kind.more}:
        known = " and ".join(f"`{word}`" for word in ("class", "args", *kind.more))
        raise ArgumentError(f"options has no {min(unknown)}", hint=f"It has {known}.")
    more = {word: options[word] for word in kind.more if options.get(word)}
    for word, given in {"args": args, **more}.items():
        for name in given if isinstance(given, Mapping) else ():
            if name.lower().endswith(_SECRETS):
                what = f"options.{word}.{name} would be kept with the run's settings"
                raise ArgumentError(what, hint="Use api_key, or the class's own variable.")
    return LlamaIndexClass(_find(path, kind), path, args, kind.owner, more)


def _find(path: str, kind: ClassKind) -> type[Any]:
    try:
        base = _attribute(kind.base)
    except (ImportError, AttributeError) as error:
        raise MissingExtraError("llama-index needs LlamaIndex, which is not installed", hint=_EXTRA) from error
    try:
        found = _attribute(path)
    except (ImportError, ValueError, AttributeError) as error:
        hint = f"Install its package, and write options.class of the {kind.owner} with its module, such as {kind.example}."
        raise ArgumentError(f"there is no class {printable(path, 100)!r}", hint=hint) from error
    except (Exception, SystemExit) as error:
        # Whatever a module does that nobody has tried: it has no guard around its program, or a word too many.
        words = f"the module of {printable(path, 100)!r} cannot be imported: {type(error).__name__}: {printable(str(error), 200)}"
        raise ArgumentError(words, hint=f"Correct it, or options.class of the {kind.owner}.") from error
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ArgumentError(f"{printable(path, 100)} is no {kind.called} of LlamaIndex", hint=f"Correct options.class of the {kind.owner}.")
    return found


def _attribute(path: str) -> Any:
    module, _, name = path.replace(":", ".").rpartition(".")
    return getattr(import_module(module), name)
