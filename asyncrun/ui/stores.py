"""What is in a store: its collections, one of them, the hits of a search by hand; as texts for people and as JSON documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from asyncrun.embedders.local_model import MODEL, MODEL_NAME
from asyncrun.escape import printable
from asyncrun.humanize import counted
from asyncrun.records import Hit
from asyncrun.stores.interface import DROPPED, REBUILT, REPLACED, Collection, CollectionStats
from asyncrun.trace.views.styled_text import Style, StyledLine, StyledPart, StyledText, fit, line, one_line, shorten
from asyncrun.ui.formatting import build_table, draw_table, render_size
from asyncrun.ui.run_json import document

SNIPPET_LINES = 3
"""Lines of a hit's text that are shown."""
_UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class CollectionView:
    """A collection as it is shown: `space` describes its vectors where the ledger knows them, `fields` are the names of its metadata."""

    stats: CollectionStats
    space: Mapping[str, Any] | None
    fields: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class CopyCounts:
    """What a copy did with the documents of a collection: `copied` are those that were not there or differed, of so many `chunks`."""

    collection: str
    to: str
    copied: int = 0
    chunks: int = 0
    unchanged: int = 0
    removed: int = 0


def render_collections(name: str, views: Sequence[CollectionView], width: int) -> str:
    """Return a table of collections, and what the names of other generations mean."""
    if not views:
        return f"nothing has been put into {printable(name)} yet"
    table = build_table("collection", "space", numbers=("documents", "chunks", "size"))
    for view in views:
        stats = view.stats
        counts = (f"{sum(stats.documents.values()):,}", f"{stats.chunks:,}", _size(stats.size))
        table.add_row(printable(stats.collection.name), render_space(stats.collection, view.space), *counts)
    return "\n".join([draw_table(table, width), *_generations([view.stats.collection.name for view in views])])


def _generations(names: Sequence[str]) -> Iterator[str]:
    if any(name.endswith(REBUILT) for name in names):
        yield f"{REBUILT}: the next generation, being filled; nobody is answered from it yet"
    if any(name.endswith(REPLACED) for name in names):
        yield f"{REPLACED}: the generation before; `asyncrun store rollback` goes back to it, `asyncrun clean` removes it"
    if any(name.endswith(DROPPED) for name in names):
        yield f"{DROPPED}: the generation before that, which the next run or `asyncrun clean` removes"


def collections_document(name: str, type_: str, views: Sequence[CollectionView]) -> dict[str, Any]:
    """Return the same as a JSON document."""
    return document(store=name, type=type_, collections=[describe_collection(view) for view in views])


def describe_collection(view: CollectionView) -> dict[str, Any]:
    """Return what a collection is and holds; `space` and `bytes` are null where they are not known."""
    stats = view.stats
    _, at, generation = stats.collection.name.rpartition("@")
    return {
        "name": stats.collection.name,
        "generation": {REBUILT: "rebuild", REPLACED: "replaced", DROPPED: "dropped"}.get(at + generation, "current"),
        "documents": sum(stats.documents.values()),
        "chunks": stats.chunks,
        "bytes": stats.size,
        "dimensions": stats.collection.dimensions,
        "fingerprint": stats.collection.fingerprint,
        "space": None if view.space is None else dict(view.space),
        "sources": dict(stats.documents),
    }


def render_collection(view: CollectionView) -> str:
    """Return what one collection holds, a line for each thing."""
    stats = view.stats
    rows = [
        ("collection", stats.collection.name),
        ("space", render_space(stats.collection, view.space)),
        ("fingerprint", stats.collection.fingerprint + (", which the ledger does not know" if view.space is None else "")),
        ("documents", f"{sum(stats.documents.values()):,}"),
        ("chunks", f"{stats.chunks:,}"),
        ("size", "not known" if stats.size is None else render_size(stats.size)),
        ("metadata", ", ".join(view.fields) or "none"),
        *(("source", f"{source}: {counted(number, 'document')}") for source, number in sorted(stats.documents.items())),
    ]
    return "\n".join(f"{name:<11}  {printable(value)}" for name, value in rows)


def collection_document(name: str, view: CollectionView) -> dict[str, Any]:
    """Return the same as a JSON document."""
    return document(store=name, collection={**describe_collection(view), "fields": list(view.fields)})


def render_rollback(view: CollectionView) -> str:
    """Return which generation is asked from now on."""
    stats = view.stats
    held = f"{counted(sum(stats.documents.values()), 'document')} ({render_space(stats.collection, view.space)})"
    return printable(f"{stats.collection.name} has {held} now; what it had before is kept as {stats.collection.name}{REPLACED}")


def render_space(collection: Collection, space: Mapping[str, Any] | None) -> str:
    """Return the space of a collection in words, the beginning of its fingerprint where nothing describes it.

    >>> render_space(Collection("pets", "8199be6f", 384), {"provider": "openai", "model": "m"})
    'openai/m, 384 dimensions'
    """
    if space is None:
        words = f"space {collection.fingerprint[:8]}"
    elif named := space.get("name"):
        words = str(named)
    else:
        model = MODEL_NAME if space.get("model") == MODEL.sha256 else space.get("model")
        host = f" at {space['host']}" if space.get("host") else ""
        words = f"{space.get('provider')}/{model}{host}"
    return printable(f"{words}, {counted(collection.dimensions, 'dimension')}")


def render_hits(hits: Sequence[Hit], width: int) -> StyledText:
    """Return each hit with its place, score, document, page and headings, and the beginning of its text, in lines of `width` columns."""
    if not hits:
        return StyledText((line(StyledPart("nothing found", Style.ODD)),))
    return StyledText(tuple(each for number, hit in enumerate(hits, 1) for each in _hit(number, hit, width)))


def _hit(number: int, hit: Hit, width: int) -> Iterator[StyledLine]:
    page, headings = hit.metadata.get("page"), hit.metadata.get("headings")
    where = [f"page {page}"] if isinstance(page, int) else []
    where += [" > ".join(map(str, headings))] if isinstance(headings, list | tuple) and headings else []
    told = StyledPart("".join(f"  {one_line(part)}" for part in where), Style.FAINT)
    yield fit(width, f"{number:>2}  {hit.score:#.3g}  ", StyledPart(one_line(hit.doc_id), Style.HEAD), told)
    yield from (line(f"    {each}") for each in _snippet(hit.text, max(width - 4, 10)))


def _snippet(text: str, width: int) -> list[str]:
    """Return the beginning of a text in a few lines of `width` columns."""
    from rich.console import Console
    from rich.text import Text

    # Twice as many columns of text as are shown: words do not fill their lines.
    beginning = one_line(shorten(" ".join(text.split()), 2 * SNIPPET_LINES * width))
    lines = [each.plain.rstrip() for each in Text(beginning).wrap(Console(width=width), width)]
    return lines if len(lines) <= SNIPPET_LINES else [*lines[: SNIPPET_LINES - 1], shorten(f"{lines[SNIPPET_LINES - 1]} …", width)]


def hits_document(hits: Sequence[Hit]) -> dict[str, Any]:
    """Return hits as a JSON document, each as a query job writes it."""
    return document(hits=[{**asdict(hit), "metadata": dict(hit.metadata)} for hit in hits])


def render_copies(copies: Sequence[CopyCounts], to: str) -> str:
    """Return what was copied, a line for each collection."""
    return "\n".join(printable(_copy(copy, to)) for copy in copies) or "there is no collection to copy"


def _copy(copy: CopyCounts, to: str) -> str:
    words = [f"copied {counted(copy.copied, 'document')} of {counted(copy.chunks, 'chunk')}"]
    words += [f"{copy.unchanged:,} there already"] if copy.unchanged else []
    words += [f"{copy.removed:,} removed"] if copy.removed else []
    return f"{copy.collection} -> {to}, {copy.to}: {', '.join(words)}"


def copies_document(copies: Sequence[CopyCounts], to: str) -> dict[str, Any]:
    """Return the same as a JSON document."""
    return document(store=to, collections=[asdict(copy) for copy in copies])


def _size(size: int | None) -> str:
    return _UNKNOWN if size is None else render_size(size)
