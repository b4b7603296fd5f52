"""The reader of PDF: the text of its pages, with a form feed between two, and what the file says of itself. PDFium reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from asyncrun.readers.byte_lines import LONGEST
from asyncrun.readers.interface import ParsedReader, refused

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

read_pdf = ParsedReader("asyncrun.readers.pdf:parse_pdf")

MOST_PAGES = 50_000
_NO_TEXT = {"\x02": "", "\0": "", "\ufffe": "", "\f": "\n", "\r\n": "\n", "\r": "\n"}
"""What PDFium writes for a hyphen at the end of a line, what is no character, what would be a page break, and its line ends."""
_DATE = re.compile(r"D:(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)(\d\d)?)?")
_FIELDS = {"title": "Title", "author": "Author", "subject": "Subject", "keywords": "Keywords"}


def parse_pdf(data: bytes) -> dict[str, Any]:
    """Return `text`, with a line end and a form feed between two pages, `pages`, their number, and what the file says of itself.

    That is `title`, `author`, `date` and so on.

    Raises ItemError for a file that is protected by a password or damaged, a page that cannot be read, and a file without any text.
    """
    import pypdfium2

    if not data:
        raise refused("the file is empty")
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise refused(_why_not_opened(str(error))) from error
    with document:
        if len(document) > MOST_PAGES:
            raise refused(f"it says that it has {len(document):,} pages; at most {MOST_PAGES:,} are read")
        text = "\n\f".join(_pages(document))  # A form feed alone parts no words, to most models.
        if not text.strip():
            raise refused("no text in its pages: a scan? Recognise its text first (with ocrmypdf, for example)")
        known = document.get_metadata_dict(skip_empty=True)
        fields = {name: known[key].strip() for name, key in _FIELDS.items() if known.get(key, "").strip()}
        date = _iso_date(known.get("CreationDate", ""))
        return {"text": text, **fields, **({"date": date} if date else {}), "pages": len(document)}


def _pages(document: PdfDocument) -> Iterator[str]:
    import pypdfium2

    length = 0
    for number in range(len(document)):
        try:
            page = document[number]
            reading = page.get_textpage()
            text: str = reading.get_text_bounded()
            reading.close()
            page.close()
        except pypdfium2.PdfiumError as error:
            raise refused(f"page {number + 1} of {len(document):,} cannot be read: {error}") from error
        length += len(text)
        if length > LONGEST:
            raise refused(f"its text is longer than {LONGEST >> 20} MB")
        for found, meant in _NO_TEXT.items():
            text = text.replace(found, meant)  # 20 times as fast as `translate`
        yield text


def _why_not_opened(words: str) -> str:
    if "password" in words.lower():
        return "it is protected by a password: save it without one"
    if "security" in words.lower():
        return "it is encrypted in a way that is not known: save it without a password"
    return "it is no PDF, or damaged (cut off, for example)"


def _iso_date(words: str) -> str | None:
    """Return a date of PDF as the other formats write it; its time zone is left out.

    >>> _iso_date("D:20250430022720Z"), _iso_date("D:2025"), _iso_date("yesterday")
    ('2025-04-30T02:27:20', '2025-01-01', None)
    """
    found = _DATE.match(words.strip())
    if found is None:
        return None
    year, month, day, hour, minute, second = found.groups()
    date = f"{year}-{month or '01'}-{day or '01'}"
    return f"{date}T{hour}:{minute}:{second or '00'}" if hour else date
