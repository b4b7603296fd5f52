"""A tree to plain data: variables filled in, plain scalars read, key files noted; what is wrong goes to the findings."""

from __future__ import annotations

from typing import Any

from asyncrun.escape import printable
from asyncrun.jobfile.findings import Findings, near
from asyncrun.jobfile.scalars import UnclearScalarError, read_plain
from asyncrun.jobfile.tree import Listing, Node, Path, Scalar, Table
from asyncrun.jobfile.variables import Expanded, Variables

MAX_LITERAL_KEY = 15
"""A longer key that stands in the file itself is taken for a real one."""
_FREE = {"extra_body", "params", "options", "items"}
"""Below these keys nobody knows which type is meant: a plain variable may become a number there."""
HIDDEN = {"api_key", "headers", "url", "ping"}
"""What stands below these keys is never shown."""


class Resolver:
    """Turns nodes into data. `key_files` maps the path of an `api_key` to the file that holds it."""

    def __init__(self, variables: Variables, findings: Findings) -> None:
        self.key_files: dict[Path, str] = {}
        self._variables = variables
        self._findings = findings

    def data(self, node: Node | None, path: Path) -> Any:
        """Return what a node stands for."""
        if isinstance(node, Table):
            if path and path[-1] == "api_key":
                return self._key_file(node, path)
            return {key: self.data(entry.value, (*path, key)) for key, entry in node.entries.items()}
        if isinstance(node, Listing):
            return [self.data(item, (*path, position)) for position, item in enumerate(node.items)]
        return self._scalar(node, path) if node else None

    def _scalar(self, node: Scalar, path: Path) -> Any:
        expanded = self._variables.expand(node.text) if "$" in node.text else Expanded(node.text, written=len(node.text))
        if path[-1:] == ("api_key",) and expanded.written > MAX_LITERAL_KEY:
            self._findings.add(path, "a key must not stand in the job file", "${VAR}, or {file: PATH}")
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

    def _unset(self, expanded: Expanded, path: Path) -> str | None:
        secret = not HIDDEN.isdisjoint(path)
        for name, problem in expanded.unset:
            guess = near(name, (known for known in self._variables if known != name))
            message = f"the variable {name} {problem}" + (f" (there is {guess})" if guess else "")
            allowed = f"export {name}, pass --var {name}=VALUE, or write ${{{name}:-default}}"
            self._findings.add_gap("secret" if secret else "variable", path, message, allowed)
        return None if secret else expanded.text

    def _plain(self, expanded: Expanded, path: Path) -> Any:
        try:
            return read_plain(expanded.text)
        except UnclearScalarError as error:
            names = ", ".join(dict.fromkeys(expanded.names))
            self._findings.add(path, f"the value of {names} is not read alike by all; quote it" if names else printable(str(error), 200))
            return expanded.text

    def _key_file(self, node: Table, path: Path) -> None:
        file = self.data(node.entries["file"].value, (*path, "file")) if set(node.entries) == {"file"} else None
        if self._findings.knows((*path, "file")):
            return
        if not isinstance(file, str) or not file or "\0" in file:
            self._findings.add(path, "not a key", "${VAR}, or {file: PATH}")
        else:
            self.key_files[path] = file
