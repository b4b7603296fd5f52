"""Variables of the job file: `${VAR}`, `${VAR:-default}`, `$$`; expanded once, their values never shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_TOKEN = re.compile(r"\$\$|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Expanded:
    """A text whose variables were filled in.

    `names` are the variables that stand in it, `unset` says what is wrong with which of them, `broken` what cannot be read as one.
    `written` is how many characters of the text stand in the job file itself, in the text, a default or `vars`.
    """

    text: str
    names: tuple[str, ...] = ()
    unset: tuple[tuple[str, str], ...] = ()
    broken: str | None = None
    written: int = 0


class Variables:
    """Where values come from: first what was given by `--var`, then the environment, then the job file's `vars`.

    >>> Variables({}, {"HOME": "/home"}, {"docs": "${HOME}/docs"}).expand("${docs}/${lang:-en} costs $$5").text
    '/home/docs/en costs $5'
    """

    def __init__(self, given: Mapping[str, str], environ: Mapping[str, str], declared: Mapping[str, str]) -> None:
        self._given = given
        self._environ = environ
        self._declared = declared

    def __iter__(self) -> Iterator[str]:
        yield from {**self._declared, **self._environ, **self._given}

    def expand(self, text: str) -> Expanded:
        """Fill in the variables of a text; a value is never expanded again."""
        return self._expand(text, self._declared)

    def _expand(self, text: str, declared: Mapping[str, str]) -> Expanded:
        parts: list[Expanded] = []
        end = 0
        for token in _TOKEN.finditer(text):
            parts += [_literal(text[end : token.start()]), _literal("$") if token[0] == "$$" else self._fill(token, declared)]
            end = token.end()
        parts.append(_literal(text[end:]))
        return Expanded(
            "".join(part.text for part in parts),
            tuple(name for part in parts for name in part.names),
            tuple(dict.fromkeys(problem for part in parts for problem in part.unset)),
            next((part.broken for part in parts if part.broken), None),
            sum(part.written for part in parts),
        )

    def _fill(self, token: re.Match[str], declared: Mapping[str, str]) -> Expanded:
        name, has_default, default = token[1].partition(":-")
        if not token[2] or not _NAME.fullmatch(name) or "${" in default:
            return Expanded(token[0], broken=token[0])
        value = self._value(name, declared)
        if value.text or value.unset:
            return value
        if has_default:
            text = default.replace("$$", "$")
            return Expanded(text, (name,), written=len(text))
        known = name in self._given or name in self._environ or name in declared
        return Expanded(token[0], (name,), ((name, "is empty" if known else "is not set"),))

    def _value(self, name: str, declared: Mapping[str, str]) -> Expanded:
        given = self._given.get(name, self._environ.get(name))
        if given is None:
            if name not in declared:
                return Expanded("", (name,))
            inner = self._expand(declared[name], {})
            return Expanded(inner.text, (name, *inner.names), inner.unset, inner.broken, inner.written)
        if _SURROGATE.search(given):
            return Expanded("", (name,), ((name, "is not valid UTF-8"),))
        return Expanded(given, (name,))


def _literal(text: str) -> Expanded:
    return Expanded(text, written=len(text))
