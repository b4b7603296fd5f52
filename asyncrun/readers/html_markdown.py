"""Elements of HTML as Markdown: headings, lists, tables, fenced code; what is bold or a link is its words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

_HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
_INLINE = frozenset(
    (
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd", "label"),
        *("mark", "q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var", "wbr"),
    )
)
_BLANK = re.compile(r"[ \t\r\n\f]+")
_BLOCKS_IN_CELLS = "table,pre,h1,h2,h3,h4,h5,h6"
_MOST_INDENTED = 8
_Step = Callable[[], None]


def render_markdown(node: LexborNode) -> str:
    """Return the text inside an element as Markdown.

    No element that is nested calls this for the ones inside of it, except for the cells of a table that holds no other.
    """
    page = _Page()
    steps: list[LexborNode | _Step] = [node]
    while steps:
        step = steps.pop()
        if callable(step):
            step()
        elif (tag := step.tag) == "-text":
            page.add(step.text_content or "")
        elif tag in _INLINE:
            # As `enter` would: most elements of a page are such, and a generator for each costs a tenth of the time.
            child = step.last_child
            while child is not None:
                steps.append(child)
                child = child.prev
        else:
            steps.extend(reversed(list(page.enter(step))))
    return page.text()


class _Page:
    """What is written: `_line` is the paragraph that is being filled, `_gap` how many line ends stand before it."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._line: list[str] = []
        self._lists: list[int | None] = []
        self._prefix = ""
        self._gap = 0

    def text(self) -> str:
        """Return all that was written."""
        self._end(0)
        return "".join(self._parts)

    def add(self, words: str) -> None:
        """Write words of a paragraph."""
        self._line.append(words)

    def enter(self, node: LexborNode) -> Iterator[LexborNode | _Step]:
        """Write what a node begins with; yield what is inside of it, and what ends it."""
        tag = node.tag or ""
        if tag in _HEADINGS:
            self._heading(_HEADINGS[tag], node)
        elif tag == "br":
            self._end(1)
        elif tag == "pre":
            self._code(node)
        elif tag == "table":
            yield from self._table(node)
        elif tag in ("ul", "ol", "menu"):
            yield from self._list(node, 1 if tag == "ol" else None)
        elif tag == "li":
            self._item()
            yield from node.iter(include_text=True)
            yield lambda: self._end(1)
        elif not tag.startswith(("-", "!")):
            gap = 1 if tag in ("dt", "dd", "option", "tr") or self._lists else 2
            self._end(gap)
            yield from node.iter(include_text=True)
            yield lambda: self._end(gap)

    def _write(self, block: str, gap: int) -> None:
        if self._parts:
            self._parts.append("\n" * max(self._gap, 1))
        self._parts.append(block)
        self._gap = gap

    def _end(self, gap: int) -> None:
        """End the paragraph; `gap` line ends stand after it, one: the next begins on the next line."""
        words = _BLANK.sub(" ", "".join(self._line)).strip()
        self._line.clear()
        if words:
            self._write(self._prefix + words, gap)
            self._prefix = " " * len(self._prefix)
        else:
            self._gap = max(self._gap, gap)

    def _heading(self, marks: str, node: LexborNode) -> None:
        self._end(2)
        for link in node.css("a"):
            if len(words := link.text().strip()) == 1 and not words.isalnum():
                link.decompose()  # the sign of a link to the heading itself
        if words := " ".join(node.text().split()):
            self._gap = max(self._gap, 2)
            self._write(f"{marks} {words}", 2)

    def _code(self, node: LexborNode) -> None:
        self._end(2)
        code = node.text().strip("\n")
        if not code.strip():
            return
        inner = node.css_first("code[class]")
        classes = ((inner or node).attributes.get("class") or "").split()
        language = next((name.partition("-")[2] for name in classes if name.startswith(("language-", "lang-"))), "")
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code)), default=0))
        self._write(f"{fence}{language}\n{code}\n{fence}", 2)

    def _list(self, node: LexborNode, start: int | None) -> Iterator[LexborNode | _Step]:
        outer = self._prefix
        self._end(1 if self._lists else 2)
        self._lists.append(start)
        yield from node.iter(include_text=True)

        def leave() -> None:
            self._end(1)
            self._lists.pop()
            self._prefix = outer if self._lists else ""
            self._gap = max(self._gap, 1 if self._lists else 2)

        yield leave

    def _item(self) -> None:
        self._end(1)
        if not self._lists:
            return
        number = self._lists[-1]
        indent = "  " * min(len(self._lists) - 1, _MOST_INDENTED)
        self._prefix = f"{indent}- " if number is None else f"{indent}{number}. "
        if number is not None:
            self._lists[-1] = number + 1

    def _table(self, node: LexborNode) -> Iterator[LexborNode | _Step]:
        self._end(2)
        rows = [] if any(found.mem_id != node.mem_id for found in node.css(_BLOCKS_IN_CELLS)) else [_cells(row) for row in node.css("tr")]
        rows = [row for row in rows if any(row)]
        if len(rows) < 2 or max(map(len, rows)) < 2:
            # One for the layout of the page.
            yield from node.iter(include_text=True)
            yield lambda: self._end(2)
            return
        if (caption := node.css_first("caption")) is not None:
            self._line.append(caption.text())
            self._end(2)
        head, *body = ("| " + " | ".join(row) + " |" for row in rows)
        self._gap = max(self._gap, 2)
        self._write("\n".join([head, "|" + " --- |" * len(rows[0]), *body]), 2)


def _cells(row: LexborNode) -> list[str]:
    cells = (" ".join(render_markdown(cell).split()) for cell in row.iter() if cell.tag in ("td", "th"))
    return [cell.replace("|", "\\|") for cell in cells]
