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

    `owner` is the part of the job file whose `options` these are.
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
        try:
            return self.cls(**args)
        except Exception as error:
            # Whatever it is: of a class that cannot be made there is nothing to try again.
            words = shown(str(error) or type(error).__name__)
            hint = f"Correct options.args of the {self.owner}."
            raise ArgumentError(f"{self.cls.__name__} cannot be made: {words}", hint=hint) from error


def read_options(options: Mapping[str, Any] | None, base: str, kind: str, owner: str, more: tuple[str, ...] = ()) -> LlamaIndexClass:
    """Return the class that `options` name by `class`, with its `args`; `more` are other keys that they may have, of mappings.

    Args:
        options: What the job file has.
        base: The class of LlamaIndex that it must be derived from, with its module.
        kind: What such a class is called: "embedding class".
        owner: The part of the job file whose options these are.
        more: What else options may have.

    Raises ArgumentError for a class that is not there or of another kind, and for secrets among the arguments, MissingExtraError without
    LlamaIndex.
    """
    options = options or {}
    path, args = str(options.get("class", "")), dict(options.get("args") or {})
    for name in args:
        if name.lower().endswith(_SECRETS):
            raise ArgumentError(
                f"options.args.{name} would be kept with the run's settings", hint="Use api_key, or the class's own variable."
            )
    if unknown := options.keys() - {"class", "args", *more}:
        known = " and ".join(f"`{word}`" for word in ("class", "args", *more))
        raise ArgumentError(f"options has no {min(unknown)}", hint=f"It has {known}.")
    others = {word: dict(options.get(word) or {}) for word in more}
    return LlamaIndexClass(_find(path, base, kind, owner), path, args, owner, others)


def _find(path: str, base: str, kind: str, owner: str) -> type[Any]:
    try:
        above = _attribute(base)
    except (ImportError, AttributeError) as error:
        raise MissingExtraError("llama-index needs LlamaIndex, which is not installed", hint=_EXTRA) from error
    try:
        found = _attribute(path)
    except (ImportError, ValueError, AttributeError) as error:
        hint = f"Install its package, and write options.class of the {owner} with its module, such as {base}."
        raise ArgumentError(f"there is no class {printable(path, 100)!r}", hint=hint) from error
    if not (isinstance(found, type) and issubclass(found, above)):
        raise ArgumentError(f"{printable(path, 100)} is no {kind} of LlamaIndex", hint=f"Correct options.class of the {owner}.")
    return found


def _attribute(path: str) -> Any:
    module, _, name = path.replace(":", ".").rpartition(".")
    return getattr(import_module(module), name)
