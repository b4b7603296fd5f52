"""Variables of the job file: `${VAR}`, `${VAR:-default}`, `$$`; filled in once, where the tree becomes data, their values never shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from asyncrun.escape import printable
from asyncrun.jobfile.mistakes import HIDDEN, Findings, suggest
from asyncrun.jobfile.yaml_tree import (
    SURROGATE,
    KeyPath,
    Listing,
    Scalar,
    Table,
    UnclearScalarError,
    YamlNode,
    children,
    is_nothing,
    read_plain,
)

_TOKEN = re.compile(r"\$\$|\$\{([^}]*)(\}?)")
VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


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
        if not token[2] or not VARIABLE_NAME.fullmatch(name) or "${" in default:
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
        if SURROGATE.search(given):
            return Expanded("", (name,), ((name, "is not valid UTF-8"),))
        return Expanded(given, (name,))


def declared_variables(findings: Findings) -> dict[str, str]:
    """Return the section `vars` as it is written; what is wrong with it goes to the findings."""
    found: dict[str, str] = {}
    node = findings.node(("vars",))
    if node is not None and not isinstance(node, Table) and not is_nothing(node):
        findings.add(("vars",), "not a mapping", "a mapping of names to texts")
    for name, value in children(node) if isinstance(node, Table) else ():
        if not VARIABLE_NAME.fullmatch(str(name)):
            findings.add(("vars", name), "not a variable's name", "letters, digits and '_', no digit first", key=True)
        elif not isinstance(value, Scalar):
            findings.add(("vars", name), "a variable holds one text", "a text or a number")
        else:
            found[str(name)] = value.text
    return found


def _literal(text: str) -> Expanded:
    return Expanded(text, written=len(text))


def _is_notice_address(path: KeyPath) -> bool:
    return path[-2:] == ("notify", "to") or path[-3:-1] == ("notify", "to")


MAX_LITERAL_KEY = 15
"""A longer key that stands in the file itself is taken for a real one."""
_FREE = {"extra_body", "params", "options", "items"}
"""Below these keys nobody knows which type is meant: a plain variable may become a number there."""


class Resolver:
    """Turns nodes into data. `key_files` maps the path of an `api_key` to the file that holds it."""

    def __init__(self, variables: Variables, findings: Findings) -> None:
        self.key_files: dict[KeyPath, str] = {}
        self._variables = variables
        self._findings = findings

    def data(self, node: YamlNode | None, path: KeyPath) -> Any:
        """Return what a node stands for."""
        if isinstance(node, Table):
            if path and path[-1] == "api_key":
                return self._key_file(node, path)
            return {key: self.data(entry.value, (*path, key)) for key, entry in node.entries.items()}
        if isinstance(node, Listing):
            return [self.data(item, (*path, position)) for position, item in enumerate(node.items)]
        return self._scalar(node, path) if node else None

    def _scalar(self, node: Scalar, path: KeyPath) -> Any:
        expanded = self._variables.expand(node.text) if "$" in node.text else Expanded(node.text, written=len(node.text))
        if path[-1:] == ("api_key",) and expanded.written > MAX_LITERAL_KEY:
            self._findings.add(path, "a key must not stand in the job file", "${VAR}, or {file: PATH}")
            return None
        if _is_notice_address(path) and not expanded.unset and expanded.written >= len(expanded.text):
            self._findings.add(path, "an address of notices is a key, which must not stand in the job file", "${VAR}")
            return None
        if expanded.broken:
            allowed = "${NAME}, ${NAME:-default}, and $$ for a dollar sign"
            self._findings.add(path, f"{printable(expanded.broken, 40)!r} cannot be read as a variable", allowed)
            return node.text
        if expanded.unset:
            return self._unset(expanded, path)
        if node.plain and (not expanded.names or _FREE.intersection(path)):
            return self._plain(expanded, path)
        return expanded.text

    def _unset(self, expanded: Expanded, path: KeyPath) -> str | None:
        secret = not HIDDEN.isdisjoint(path)
        for name, problem in expanded.unset:
            guess = suggest(name, (known for known in self._variables if known != name))
            message = f"the variable {name} {problem}" + (f" (there is {guess})" if guess else "")
            allowed = f"export {name} or give it by --env-file, pass --var {name}=VALUE, or write ${{{name}:-default}}"
            self._findings.add_gap("secret" if secret else "variable", path, message, allowed)
        return None if secret else expanded.text

    def _plain(self, expanded: Expanded, path: KeyPath) -> Any:
        if path[-1:] == ("deadline",) and ":" in expanded.text:
            return expanded.text  # A time of day, whatever YAML takes it for.
        try:
            return read_plain(expanded.text)
        except UnclearScalarError as error:
            names = ", ".join(dict.fromkeys(expanded.names))
            self._findings.add(path, f"the value of {names} is not read alike by all; quote it" if names else printable(str(error), 200))
            return expanded.text

    def _key_file(self, node: Table, path: KeyPath) -> None:
        file = self.data(node.entries["file"].value, (*path, "file")) if set(node.entries) == {"file"} else None
        if self._findings.knows((*path, "file")):
            return
        if not isinstance(file, str) or not file or "\0" in file:
            self._findings.add(path, "not a key", "${VAR}, or {file: PATH}")
        else:
            self.key_files[path] = file
