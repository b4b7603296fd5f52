"""YAML text to a tree: parser events in, nodes and mistakes out, with bounds on depth and on what aliases unfold to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from asyncrun.errors import JobFileError, Mistake, Place
from asyncrun.jobfile.yaml_tree import SURROGATE, Listing, Scalar, Table, TableEntry, YamlNode, show

MAX_LEVELS = 40
"""Levels of nesting; a job file needs seven."""
TOO_DEEP = f"nested deeper than {MAX_LEVELS} levels"
MAX_ALIASED_NODES = 10_000
"""Nodes that aliases may unfold to in all: nine lines of YAML can stand for a billion."""

BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
"""What ends a line in YAML 1.1."""
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What YAML 1.2 calls c-printable, less the byte order mark; both parsers refuse the rest, each in its own words.
UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_TAGS = {None, "!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


@dataclass(slots=True)
class _Open:
    """A list or table whose end has not come yet."""

    event: Any
    table: bool
    items: list[YamlNode] = field(default_factory=list)
    entries: dict[str, TableEntry] = field(default_factory=dict)
    merged: list[YamlNode] = field(default_factory=list)
    key: Scalar | None = None
    size: int = 1
    height: int = 0


def compose(text: str, file: str) -> tuple[YamlNode | None, list[Mistake]]:
    """Return the tree of a YAML text (None: there is nothing in it) and the mistakes that do not hide the rest.

    Raises JobFileError for what cannot be read at all: bad YAML, characters that are no text, too deep, too many aliases.
    """
    bad = UNPRINTABLE.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - (text.rfind("\n", 0, bad.start()) + 1) + 1
        what = f"the character U+{ord(bad.group()):04X} cannot stand in a job file"
        raise JobFileError([Mistake("", what, "text in UTF-8", None, Place(file, line, column))])
    builder = _Builder(file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        builder.mistakes.append(_syntax(error, text, file))
        raise JobFileError(builder.mistakes) from None
    return builder.root, builder.mistakes


class _Builder:
    """Turns events into nodes, without recursion: the depth of the text is not the depth of the stack."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: YamlNode | None = None
        self.mistakes: list[Mistake] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, YamlNode | None] = {}
        self._aliased = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        """Take the parser's next event."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._stop(event, "a second document begins here; a job file is one document", "no second '---'")
        elif isinstance(event, yaml.ScalarEvent):
            self._add(event, self._scalar(event))
        elif isinstance(event, yaml.AliasEvent):
            self._add(event, self._alias(event))
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._check(event)
            if len(self._open) >= MAX_LEVELS:
                self._stop(event, TOO_DEEP)
            if event.anchor:
                self._anchors[event.anchor] = None
            self._open.append(_Open(event, isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close()

    def _scalar(self, event: Any) -> Scalar:
        self._check(event)
        text = event.value
        if SURROGATE.search(text):
            self._note(event, "half of a surrogate pair is no character", "the whole character, or its \\U escape")
            text = SURROGATE.sub("\ufffd", text)
        plain = event.tag is None and not event.style
        node = Scalar(text, plain, event.start_mark.line + 1, event.start_mark.column + 1)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> YamlNode:
        name = event.anchor
        if name not in self._anchors:
            self._stop(event, f"the alias *{name} has no anchor &{name} before it")
        node = self._anchors[name]
        if node is None:
            self._stop(event, f"the alias *{name} stands inside its own anchor")
        self._aliased += node.size
        if self._aliased > MAX_ALIASED_NODES:
            self._stop(event, f"the aliases of this file unfold to more than {MAX_ALIASED_NODES} values")
        if len(self._open) + node.height > MAX_LEVELS:
            self._stop(event, TOO_DEEP)
        return node

    def _add(self, event: Any, node: YamlNode) -> None:
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        parent.size += node.size
        parent.height = max(parent.height, node.height)
        if not parent.table:
            parent.items.append(node)
        elif parent.key is None:
            if not isinstance(node, Scalar):
                self._stop(event, "a key is a word, not a list or a mapping")
            parent.key = node
        else:
            key, parent.key = parent.key, None
            first = parent.entries.get(key.text)
            if key.plain and key.text == "<<":
                parent.merged.extend(node.items if isinstance(node, Listing) else [node])
            elif first is not None:
                what = f"written twice; the first stands on line {first.line}"
                self.mistakes.append(Mistake(show((*self._path(), key.text)), what, None, None, Place(self.file, key.line, key.column)))
            else:
                parent.entries[key.text] = TableEntry(node, key.line, key.column)

    def _close(self) -> None:
        done = self._open.pop()
        mark = done.event.start_mark
        line, column, size, height = mark.line + 1, mark.column + 1, done.size, done.height + 1
        node: YamlNode
        if done.table:
            for source in done.merged:
                if not isinstance(source, Table):
                    self._note(done.event, "'<<' takes a mapping or a list of mappings")
                    continue
                for key, entry in source.entries.items():
                    done.entries.setdefault(key, entry)
            node = Table(done.entries, line, column, size, height)
        else:
            node = Listing(tuple(done.items), line, column, size, height)
        if done.event.anchor:
            self._anchors[done.event.anchor] = node
        self._add(done.event, node)

    def _check(self, event: Any) -> None:
        if event.tag not in _TAGS:
            self._note(event, "tags are not obeyed in a job file", "the value without its tag, in quotes if it is a text")

    def _path(self) -> tuple[str | int, ...]:
        above = (len(node.items) if not node.table else node.key.text if node.key else None for node in self._open)
        return tuple(step for step in above if step is not None)

    def _note(self, event: Any, message: str, allowed: str | None = None) -> None:
        mark = event.start_mark
        self.mistakes.append(Mistake(show(self._path()), message, allowed, None, Place(self.file, mark.line + 1, mark.column + 1)))

    def _stop(self, event: Any, message: str, allowed: str | None = None) -> NoReturn:
        self._note(event, message, allowed)
        raise JobFileError(self.mistakes)


def _syntax(error: yaml.MarkedYAMLError, text: str, file: str) -> Mistake:
    """Return the mistake for YAML that cannot be parsed; the commonest causes get their own words."""
    mark: Any = error.problem_mark or error.context_mark
    before, here = text[max(mark.index - 1, 0) : mark.index], text[mark.index : mark.index + 1]
    problem = error.problem or "it cannot be read"
    message, allowed = ", ".join(_own_words(error)), None
    if before + here == "${":
        name = next(iter(re.findall(r"\$(\{[^}\n]*\})", text[max(mark.index - 1, 0) : mark.index + 200])), "{VAR}")
        message, allowed = "a variable inside {...} or [...] must stand in quotes", f'"${name}"'
    elif "nesting depth" in problem:  # libyaml's own bound, from PyYAML 6.0.4: it looks ahead in "[[[..." before it tells of the first "[".
        message = TOO_DEEP
    elif "tab character" in problem or ("cannot start any token" in problem and here == "\t"):
        message, allowed = "a tab is used for indentation", "spaces"
    elif "cannot start any token" in problem:
        message, allowed = f"a value cannot begin with {here!r} unless it stands in quotes", "the value in quotes"
    elif "mapping values are not allowed" in problem:
        message, allowed = "': ' cannot stand here", "a text with ': ' in quotes, or the same indentation as the keys around it"
    elif "sequence entries are not allowed" in problem:
        message, allowed = "'-' cannot stand here", 'a list on lines of its own, or "-" in quotes'
    line, column = mark.line + 1, mark.column if before + here == "${" else mark.column + 1
    lines = BREAK.split(text)
    if line > len(lines):  # libyaml counts a line more at the end of a text that does not end in a line break.
        line, column = len(lines), len(lines[-1]) + 1
    return Mistake("", message, allowed, None, Place(file, line, column))


def _own_words(error: yaml.MarkedYAMLError) -> Iterator[str]:
    yield "not valid YAML"
    if error.context:
        yield f"{error.context} that begins on line {error.context_mark.line + 1}" if error.context_mark else error.context
    yield error.problem or "it cannot be read"
