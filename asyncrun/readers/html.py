"""The reader of HTML: the text of a page's main part as Markdown, and what the page says of itself. Lexbor reads it; nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from asyncrun.readers.encodings import decode_document
from asyncrun.readers.interface import ParsedReader, refused
from asyncrun.readers.parse_child import REMARK

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

read_html = ParsedReader("asyncrun.readers.html:parse_html")

DEEPEST = 5000
"""Elements inside of each other: above it the library's time grows with the square of the depth (0.1 s here, 40 s at 100,000)."""
MOST_TAGS = 1_000_000
"""Of a page: so many take up to 9 s and 50 MB of them, 12,500,000, more than 2 GB after 10 to 20 s."""
_MAIN = ("main,[role=main]", "#main-content", "article")
_NO_TEXT = "script,style,noscript,template,svg,math,iframe,object,canvas,select,button,[hidden],[aria-hidden=true]"
_AROUND = "nav,aside,form,[role=navigation],[role=search]"
_OF_THE_SITE = "header,footer,[role=banner],[role=contentinfo]"
_DECLARED = re.compile(rb"""<(?:meta\b[^>]{0,300}?charset|\?xml\b[^>]{0,100}?encoding)\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_MEANT = {
    **dict.fromkeys(("iso-8859-1", "iso8859-1", "latin1", "ascii", "us-ascii"), "windows-1252"),
    **{"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc-kr": "cp949", "ks_c_5601-1987": "cp949"},
    **dict.fromkeys(("utf-16", "utf-16le", "utf-16be"), "utf-8"),
}
"""What browsers take a declared encoding for; a declaration that can be read in ASCII is not in UTF-16."""
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)")
_CLOSED_BY_OTHERS = frozenset(
    (
        *("p", "li", "dt", "dd", "td", "th", "tr", "thead", "tbody", "tfoot", "option", "optgroup", "colgroup", "rt", "rp", "html", "head"),
        *("body", "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"),
    )
)
_SAID = {
    "description": ("description", "og:description"),
    "author": ("author", "article:author", "dc.creator"),
    "date": ("date", "article:published_time", "dc.date", "dcterms.created"),
}
_LONGEST_FIELD = 1000


def parse_html(data: bytes, encoding: str | None = None) -> dict[str, Any]:
    """Return `text`, the page's main part as Markdown, and `title`, `lang`, `description`, `author`, `date`, `canonical` where there are.

    `encoding` is that of the page, whatever it declares. The main part is the element that says so, else the articles, else the body
    without what stands around it (navigation, asides, forms).
    Raises ItemError for bytes that are no text, for too many elements, and for elements nested too deeply.
    """
    declared = _DECLARED.search(data, 0, 4096)
    name = declared[1].decode().lower() if declared else None
    html, guess = decode_document(data, encoding, declared=_MEANT.get(name, name) if name else None)
    fields = html_fields(html)
    return {**fields, REMARK: f"that says no encoding, read as {guess} by a guess"} if guess else fields


def html_fields(html: str) -> dict[str, Any]:
    """Return the fields of a page as `parse_html` does."""
    from selectolax.lexbor import LexborHTMLParser

    from asyncrun.readers.html_markdown import render_markdown

    if (tags := html.count("<")) > MOST_TAGS:
        raise refused(f"it has {tags:,} tags; at most {MOST_TAGS:,} are read")
    if (depth := _depth(html)) > DEEPEST:
        raise refused(f"its elements are nested {depth:,} deep; at most {DEEPEST:,} are read")
    tree = LexborHTMLParser(html)
    fields = dict(_fields(tree))
    _drop(tree.root, _NO_TEXT)
    parts = _main_parts(tree)
    if not any(part.text().strip() for part in parts):
        tree = LexborHTMLParser(html)  # There are pages that are one form, or a header.
        _drop(tree.root, _NO_TEXT)
        parts = [tree.body] if tree.body is not None else []
    return {"text": "\n\n".join(filter(None, map(render_markdown, parts))), **fields}


def _main_parts(tree: LexborHTMLParser) -> list[LexborNode]:
    """Return the elements that hold the text, without what stands around it."""
    for selector in _MAIN:
        found = tree.css(selector)
        parts = found[:1] if selector != "article" else _outermost(found)
        for part in parts:
            _drop(part, _AROUND)
        if any(part.text().strip() for part in parts):
            return parts
    _drop(tree.body, f"{_AROUND},{_OF_THE_SITE}")
    return [tree.body] if tree.body is not None else []


def _outermost(parts: list[LexborNode]) -> list[LexborNode]:
    inside = {inner.mem_id for part in parts for inner in part.css("article") if inner.mem_id != part.mem_id}
    return [part for part in parts if part.mem_id not in inside]


def _drop(node: LexborNode | None, selector: str) -> None:
    # The inner ones first: what is inside of one that is dropped is no more.
    for found in reversed(node.css(selector)) if node is not None else ():
        # A page whose elements are not closed has its text inside of what should have ended before.
        if found.css_first("main,h1,article") is None:
            found.decompose()


def _fields(tree: LexborHTMLParser) -> Iterator[tuple[str, str]]:
    said: dict[str, str] = {}
    for meta in tree.css("meta[content]"):
        attributes = meta.attributes
        key = (attributes.get("name") or attributes.get("property") or "").lower()
        said.setdefault(key, attributes.get("content") or "")
    title, root, canonical = tree.css_first("title"), tree.root, tree.css_first('link[rel="canonical"]')
    found = {
        "title": (title.text() if title is not None else "") or said.get("og:title", ""),
        "lang": (root.attributes.get("lang") if root is not None else None) or "",
        **{name: next((said[key] for key in keys if said.get(key)), "") for name, keys in _SAID.items()},
        "canonical": (canonical.attributes.get("href") if canonical is not None else None) or "",
    }
    yield from ((name, words[:_LONGEST_FIELD]) for name, value in found.items() if (words := " ".join(value.split())))


def _depth(html: str) -> int:
    """Return how deep elements can be nested at most, found in one pass."""
    if html.count("<") <= DEEPEST:
        return 0
    depth = deepest = 0
    for tag in _TAG.finditer(html):
        closes, name = tag.groups()
        if name.lower() in _CLOSED_BY_OTHERS:
            continue
        depth = max(0, depth - 1) if closes else depth + 1
        deepest = max(deepest, depth)
    return deepest
