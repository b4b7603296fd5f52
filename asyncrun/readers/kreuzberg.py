"""The reader of what else an office writes (spreadsheets, slides, e-books, RTF, OpenDocument), as Markdown, by the library Kreuzberg."""

from __future__ import annotations

from typing import Any

from asyncrun.readers.interface import ParsedReader, refused

read_kreuzberg = ParsedReader("asyncrun.readers.kreuzberg:parse_kreuzberg")

_FIELDS = {"title": "title", "subject": "subject", "language": "lang", "created_at": "date"}

_ARCHIVES = frozenset(f"application/{name}" for name in ("zip", "gzip", "x-tar", "x-7z-compressed"))


def parse_kreuzberg(data: bytes) -> dict[str, Any]:
    """Return `text`, and `title`, `author`, `date` and so on where the file has them; what it is is told by its bytes.

    Pictures are not read: the library recognises text in them only with files that it would fetch. Raises ItemError for what it does
    not know or cannot read, and for a file without any text.
    """
    import kreuzberg

    if not data:
        raise refused("the file is empty")
    pages = kreuzberg.PageConfig(insert_page_markers=True, marker_format="\f")
    settings = kreuzberg.ExtractionConfig(output_format="markdown", use_cache=False, disable_ocr=True, pages=pages)
    try:
        kind = kreuzberg.detect_mime_type_from_bytes(data)
        if kind in _ARCHIVES:
            raise refused(
                "it is an archive, or a damaged file of an office, of which the library lists the parts: unpack it, or save it anew"
            )
        found = kreuzberg.extract_bytes_sync(data, kind, settings)
    except (kreuzberg.KreuzbergError, RuntimeError) as error:
        raise refused(f"Kreuzberg cannot read it: {str(error)[:200]}") from error
    text = found.content.strip()
    if not text:
        raise refused("no text in it: pictures alone are not read")
    known: dict[str, Any] = {**found.metadata}
    fields = {name: known[key] for key, name in _FIELDS.items() if known.get(key)}
    authors = ", ".join(known.get("authors") or ())
    return {"text": text, **fields, **({"author": authors} if authors else {})}
