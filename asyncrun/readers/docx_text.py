"""The text of a DOCX as Markdown: headings with their levels, lists, tables, text boxes and notes, from the tree of its document."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from xml.etree.ElementTree import Element

_LEFT_OUT = frozenset({"del", "moveFrom", "Fallback", "rt", "pPr", "rPr", "instrText", "delText", "sectPr", "tblPr", "tcPr", "trPr"})
"""What is deleted or moved away, what repeats another form of the same, readings beside characters, and what is no text."""
_CHARACTERS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "ptab": "\t"}
_HEADING = re.compile(r"heading ([1-9])")
_LIKE_A_HEADING = re.compile(r"^#{1,6}(?=\s)", re.MULTILINE)
_DEEPEST = 6
_STYLES_DEEP = 20


def attribute(element: Element | None, name: str) -> str | None:
    """Return the value of an attribute, whatever its namespace, None where it is not there."""
    return None if element is None else next((value for key, value in element.items() if _local(key) == name), None)


def without_namespaces(tree: Element) -> Element:
    """Return the tree after its elements have lost their namespaces, of which there are two sets; names tell them apart all the same."""
    for each in tree.iter():
        each.tag = _local(each.tag)
    return tree


def child(element: Element | None, path: str) -> Element | None:
    """Return what stands below an element, if it is one, under a name or a path of names."""
    return None if element is None else element.find(path)


@lru_cache(1024)
def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


@dataclass(frozen=True, slots=True)
class _Style:
    level: int | None = None
    numbering: Element | None = None
    based_on: str = ""


_NO_STYLE = _Style()


@dataclass(frozen=True, slots=True)
class DocxStyles:
    """What the styles of a document mean: which are headings, and which number their paragraphs, and how."""

    styles: Mapping[str, _Style] = field(default_factory=dict)
    bullets: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    """Of a list and a level in it, whether it has bullets."""

    @classmethod
    def of(cls, styles: Element | None, numbering: Element | None) -> DocxStyles:
        """Return what the two parts say, each of which may be missing."""
        found = {}
        for each in () if styles is None else styles:
            if each.tag == "style" and attribute(each, "type") in (None, "paragraph"):
                name = (attribute(each.find("name"), "val") or "").lower()
                heading = _HEADING.fullmatch(name)
                level = 1 if name == "title" else int(heading[1]) if heading else _outline(each.find("pPr"))
                based_on = attribute(each.find("basedOn"), "val") or ""
                found[attribute(each, "styleId") or ""] = _Style(level, each.find("pPr/numPr"), based_on)
        return cls({name: _whole(name, found) for name in found}, _bullets(numbering))

    def level(self, paragraph: Element) -> int | None:
        """Return the level of a heading from 1, None for another paragraph."""
        properties = paragraph.find("pPr")
        own = _outline(properties)
        return own if own is not None else self._style(properties).level

    def item(self, paragraph: Element) -> tuple[str, str] | None:
        """Return the list and the level in it of an item of a list, None for another paragraph."""
        properties = paragraph.find("pPr")
        own = child(properties, "numPr")
        if own is None:
            own = self._style(properties).numbering
        number = attribute(child(own, "numId"), "val")
        return None if number in (None, "0") else (number or "", attribute(child(own, "ilvl"), "val") or "0")

    def _style(self, properties: Element | None) -> _Style:
        return self.styles.get(attribute(child(properties, "pStyle"), "val") or "", _NO_STYLE)


def _whole(name: str, styles: Mapping[str, _Style]) -> _Style:
    """Return a style with what it has from those that it is based on."""
    level, numbering = None, None
    for _ in range(_STYLES_DEEP):
        style = styles.get(name, _NO_STYLE)
        level = style.level if level is None else level
        numbering = style.numbering if numbering is None else numbering
        name = style.based_on
    return _Style(level, numbering)


def _outline(properties: Element | None) -> int | None:
    value = attribute(child(properties, "outlineLvl"), "val")
    return int(value) + 1 if value is not None and value.isdigit() and int(value) < 9 else None


def _bullets(numbering: Element | None) -> dict[tuple[str, str], bool]:
    abstract: dict[str, dict[str, bool]] = {}
    found = {}
    for each in () if numbering is None else numbering:
        if each.tag == "abstractNum":
            levels = (level for level in each if level.tag == "lvl")
            formats = {attribute(level, "ilvl") or "0": attribute(level.find("numFmt"), "val") for level in levels}
            abstract[attribute(each, "abstractNumId") or ""] = {level: form == "bullet" for level, form in formats.items()}
        elif each.tag == "num":
            levels_of = abstract.get(attribute(each.find("abstractNumId"), "val") or "", {})
            found.update({(attribute(each, "numId") or "", level): bullet for level, bullet in levels_of.items()})
    return found


def markdown_of(document: Element, styles: DocxStyles, notes: Mapping[str, Element]) -> str:
    """Return the text of a document; `notes` are the parts of its footnotes and endnotes, under `footnote` and `endnote`."""
    body = document.find("body")
    writer = _Writer(styles, notes)
    if body is not None:
        writer.write(body)
        writer.write_notes()
    return "".join(writer.out).strip("\n")


@dataclass(slots=True)
class _Writer:
    styles: DocxStyles
    notes: Mapping[str, Element]
    out: list[str] = field(default_factory=list)
    _in_list: bool = False
    _counts: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    _noted: list[tuple[str, str]] = field(default_factory=list)
    _boxes: list[Element] = field(default_factory=list)

    def write(self, block: Element) -> None:
        """Write what stands in a body, a cell, a box or a note, in order."""
        for each in block:
            name = each.tag
            if name == "p":
                self._paragraph(each)
            elif name == "tbl":
                self._table(each)
            elif name not in _LEFT_OUT:
                self.write(each)
            while self._boxes:
                self.write(self._boxes.pop(0))

    def write_notes(self) -> None:
        """Write the notes that the text refers to, each under its number."""
        written = 0
        while written < len(self._noted):  # a note may refer to another one
            kind, name = self._noted[written]
            written += 1
            for note in self.notes.get(kind, ()):
                if attribute(note, "id") == name:
                    self._block(f"[^{written}]: {' '.join(self._flat(note).split())}")

    def _paragraph(self, paragraph: Element) -> None:
        text = "".join(self._pieces(paragraph)).strip("\n")
        if not text.strip():
            return
        level, item = self.styles.level(paragraph), self.styles.item(paragraph)
        if level is not None:
            self._block(f"{'#' * min(level, _DEEPEST)} {' '.join(text.split())}")
        elif item is not None:
            self._item(*item, text.strip())
        else:
            self._block(_LIKE_A_HEADING.sub(r"\\\g<0>", text) if "#" in text else text)

    def _item(self, number: str, level: str, text: str) -> None:
        depth = int(level) if level.isdigit() and int(level) < 9 else 0
        counts = self._counts[number]
        counts[depth] = counts.get(depth, 0) + 1
        for deeper in [each for each in counts if each > depth]:
            del counts[deeper]
        mark = "-" if self.styles.bullets.get((number, level), True) else f"{counts[depth]}."
        indent = "   " * depth
        lines = text.replace("\n", f"\n{indent}{' ' * (len(mark) + 1)}")
        self._block(f"{indent}{mark} {lines}", in_list=True)

    def _table(self, table: Element) -> None:
        rows = [self._row(row) for row in _inside(table, "tr") if row.find("trPr/del") is None]
        width = max(map(len, rows), default=0)
        if not any(cell for row in rows for cell in row):
            return
        lines = [f"| {' | '.join(row + [''] * (width - len(row)))} |" for row in rows]
        lines.insert(1, "|" + " --- |" * width)
        self._block("\n".join(lines))

    def _row(self, row: Element) -> list[str]:
        cells = []
        for cell in _inside(row, "tc"):
            merged = cell.find("tcPr/vMerge")
            above = merged is not None and attribute(merged, "val") != "restart"
            cells.append("" if above else " ".join(self._flat(cell).split()).replace("|", r"\|"))
            span = attribute(cell.find("tcPr/gridSpan"), "val")
            cells.extend([""] * (min(int(span), 100) - 1 if span and span.isdigit() else 0))
        return cells

    def _flat(self, block: Element) -> str:
        """Return the text of a cell or a note without any form."""
        return " ".join("".join(self._pieces(paragraph)) for paragraph in _inside(block, "p", deep=True))

    def _pieces(self, element: Element) -> Iterator[str]:
        for each in element:
            name = each.tag
            if name == "t":
                yield each.text or ""
            elif name in _CHARACTERS:
                yield _CHARACTERS[name]
            elif name == "txbxContent":
                self._boxes.append(each)
            elif name in ("footnoteReference", "endnoteReference"):
                self._noted.append((name.removesuffix("Reference"), attribute(each, "id") or ""))
                yield f"[^{len(self._noted)}]"
            elif name not in _LEFT_OUT:
                yield from self._pieces(each)

    def _block(self, text: str, *, in_list: bool = False) -> None:
        self.out.append(("\n" if in_list and self._in_list else "\n\n") + text)
        self._in_list = in_list


def _inside(element: Element, name: str, *, deep: bool = False) -> Iterator[Element]:
    """Yield the elements of a name through whatever wraps them; `deep`: through tables, too."""
    for each in element:
        if each.tag == name:
            yield each
        elif each.tag not in _LEFT_OUT and (deep or each.tag != "tbl"):
            yield from _inside(each, name, deep=deep)
