"""What the job file's language has and this version does not: one row a feature; whoever builds one deletes its row."""

from __future__ import annotations

from asyncrun import registry
from asyncrun.jobfile.mistakes import Findings, suggest
from asyncrun.jobfile.yaml_tree import KeyPath, Scalar, YamlNode, children, is_nothing, matching

KEYS: dict[KeyPath, str] = {
    **dict.fromkeys((("llms", "*", "options"), ("jobs", "*", "llm", "options")), "a table of options for an adapter"),
    **dict.fromkeys((("jobs", "*", "chunk", "context", "llm"), ("defaults", "chunk", "context", "llm")), "a chunk's context by a model"),
}
"""Keys that are not built, and what they are for."""

VALUES: dict[KeyPath, dict[str, str]] = {
    ("jobs", "*", "chunk", "context"): {"headings": "sending a chunk with the headings above it"},
    ("defaults", "chunk", "context"): {"headings": "sending a chunk with the headings above it"},
}
"""Values that are not built, and what they are for."""


def note_later(findings: Findings) -> None:
    """Add a gap for every key and value of the file that is not built yet; an empty one asks for nothing."""
    for pattern, what in KEYS.items():
        for path, node in matching(findings.root, pattern):
            if not _empty(node):
                findings.add_gap("part", path, not_yet(what), key=True)
    for pattern, words in VALUES.items():
        for path, node in matching(findings.root, pattern):
            if isinstance(node, Scalar) and node.text in words:
                findings.add_gap("part", path, not_yet(words[node.text]))


def not_yet(what: str) -> str:
    """Return the sentence about a feature that is not built.

    >>> not_yet("a chunk's context by a model")
    "a chunk's context by a model is not in this version yet"
    """
    return f"{what} is not in this version yet"


class Names:
    """The names that a port knows: what is built, and what is installed."""

    def __init__(self) -> None:
        self._built: dict[str, list[str]] = {}

    def built(self, port: str) -> list[str]:
        """Return the names that can be used."""
        if port not in self._built:
            self._built[port] = registry.names(port)  # Looks at every installed package: once is enough.
        return self._built[port]

    def knows(self, port: str, name: str | None) -> bool:
        """Tell whether a name can be used; nobody looks at installed packages for a built-in one."""
        return name is not None and (name in registry.BUILT_IN[port] or name in self.built(port))

    def plugins(self, port: str) -> list[str]:
        """Return the names that installed plugins bring."""
        return [name for name in self.built(port) if name not in registry.BUILT_IN.get(port, {})]

    def check_extra(self, port: str, value: str, path: KeyPath, findings: Findings) -> None:
        """Find out whether the extra is installed that a built-in name needs."""
        missing = registry.missing_extra(port, value)
        if missing is not None and not findings.knows(path):
            hint = str(missing.hint)
            findings.add_gap("part", path, missing.message, f"another one, or {hint[:1].lower()}{hint[1:].rstrip('.')}")

    def check(self, port: str, word: str, value: str, path: KeyPath, findings: Findings, *, extra: tuple[str, ...] = ()) -> bool:
        """Tell whether a name can be used; if not, the findings say why. `word` is what such a name is called."""
        if value in extra or value in registry.BUILT_IN[port]:
            self.check_extra(port, value, path, findings)
            return True  # Without a look at the installed plugins, which costs milliseconds.
        built = [*extra, *self.built(port)]
        if value in built:
            return True
        allowed = ", ".join(built)
        if port in ("embedders", "llms"):
            allowed += " (openai with base_url for any compatible server)"
        if (refusal := registry.refusal(port, value)) is not None:
            findings.add_gap("part", path, refusal, allowed)
        elif not findings.knows(path):
            findings.add(path, f"unknown {word}{findings.quoted(path)}", allowed, suggest(value, built))
        return False


def _empty(node: YamlNode) -> bool:
    return is_nothing(node) if isinstance(node, Scalar) else not any(True for _ in children(node))
