"""Small PDF and DOCX for the tests, whole and broken, written by hand: nothing that writes them is needed."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence

INFO = b"<< /Title (The manual) /Author (Ada) /CreationDate (D:20250430022720Z) >>"


def pdf_file(objects: Sequence[bytes], *, info: bytes | None = None, trailer: bytes = b"", xref: bool = True) -> bytes:
    """Return a PDF of these objects, numbered from 1; the first is its catalog."""
    out = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, each in enumerate([*objects, *([info] if info else [])], 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, each)
    start = len(out)
    if xref:
        out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(offsets) + 1)
        out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    named = b"/Info %d 0 R" % len(offsets) if info else b""
    out += b"trailer << /Size %d /Root 1 0 R %b %b >>\nstartxref\n%d\n%%%%EOF\n" % (len(offsets) + 1, named, trailer, start)
    return bytes(out)


def stream(data: bytes, words: bytes = b"", *, packed: bool = False) -> bytes:
    """Return a stream object; a packed one is deflated."""
    held = zlib.compress(data, 9) if packed else data
    return b"<< /Length %d %b %b >>\nstream\n%b\nendstream" % (len(held), b"/Filter /FlateDecode" if packed else b"", words, held)


def pdf_of(
    pages: Sequence[bytes], *, resources: bytes = b"<< /Font << /F1 3 0 R >> >>", more: Sequence[bytes] = (), **kinds: object
) -> bytes:
    """Return a PDF whose pages have these contents: operators, or a whole stream object that begins with `<<`.

    Object 3 is the font Helvetica, those of `more` are numbered from 4 on.
    """
    first = 4 + len(more)
    kids = b" ".join(b"%d 0 R" % (first + 2 * at) for at in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%b] >>" % (len(pages), kids),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *more,
    ]
    for at, content in enumerate(pages):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources %b /Contents %d 0 R >>" % (resources, first + 2 * at + 1)
        )
        objects.append(content if content.startswith(b"<<") else stream(content))
    return pdf_file(objects, **kinds)


def text_page(*lines: str) -> bytes:
    """Return the operators that show lines of Latin text, one below the other."""
    escaped = (line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in lines)
    shown = b" ".join(b"(%b) Tj T*" % line.encode("latin-1") for line in escaped)
    return b"BT /F1 12 Tf 14 TL 72 720 Td %b ET" % shown


def japanese_pdf(text: str) -> bytes:
    """Return a PDF with a page of such a text in a font of the reader's, as a LaTeX of Japan writes it."""
    font = b"<< /Type /Font /Subtype /Type0 /BaseFont /Ryumin-Light /Encoding /UniJIS-UTF16-H /DescendantFonts [5 0 R] >>"
    descendant = (
        b"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /Ryumin-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (Japan1)"
        b" /Supplement 4 >> /FontDescriptor 6 0 R >>"
    )
    descriptor = (
        b"<< /Type /FontDescriptor /FontName /Ryumin-Light /Flags 6 /FontBBox [0 -200 1000 900] /ItalicAngle 0 /Ascent 800 /Descent -200"
        b" /CapHeight 700 /StemV 80 >>"
    )
    page = b"BT /F2 12 Tf 72 720 Td <%b> Tj ET" % text.encode("utf-16-be").hex().encode()
    return pdf_of([page], resources=b"<< /Font << /F2 4 0 R >> >>", more=[font, descendant, descriptor])


WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
RELATIONS = f'<Relationships><Relationship Id="r" Type="{OFFICE}" Target="word/document.xml"/></Relationships>'
STYLES = "".join(
    f'<w:style w:type="paragraph" w:styleId="{name.title().replace(" ", "")}"><w:name w:val="{name}"/>{more}</w:style>'
    for name, more in {
        "heading 1": "",
        "heading 2": "",
        "Mine": '<w:basedOn w:val="Heading2"/>',
        "List Bullet": '<w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr>',
    }.items()
)
NUMBERING = (
    '<w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl>'
    '<w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/></w:lvl>'
    '</w:abstractNum><w:abstractNum w:abstractNumId="7"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl></w:abstractNum>'
    '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="7"/></w:num>'
)
CORE = (
    '<c xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:t="http://purl.org/dc/terms/"><dc:title>The manual</dc:title>'
    "<dc:creator>Ada</dc:creator><dc:subject/><t:created>2025-04-30T02:27:20Z</t:created></c>"
)


def docx_of(body: str, *, parts: Mapping[str, str | bytes] | None = None) -> bytes:
    """Return a DOCX with this in its body, in the words of WordprocessingML; `parts` stand in for those it has, or beside them."""
    written = {
        "_rels/.rels": RELATIONS,
        "word/document.xml": f"<w:document {WORD}><w:body>{body}</w:body></w:document>",
        "word/styles.xml": f"<w:styles {WORD}>{STYLES}</w:styles>",
        "word/numbering.xml": f"<w:numbering {WORD}>{NUMBERING}</w:numbering>",
        "docProps/core.xml": CORE,
        **(parts or {}),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in written.items():
            archive.writestr(name, content)
    return out.getvalue()


def paragraph(text: str, style: str = "", *, item: tuple[int, int] | None = None) -> str:
    """Return a paragraph with a style; an `item` is one of a list, at a level of it."""
    number = f'<w:numPr><w:ilvl w:val="{item[1]}"/><w:numId w:val="{item[0]}"/></w:numPr>' if item else ""
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    return f"<w:p><w:pPr>{named}{number}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"
