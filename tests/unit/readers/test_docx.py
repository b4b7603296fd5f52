"""What is promised of a DOCX: its text as Markdown, what the file says of itself, and a sentence for what cannot be read."""

from __future__ import annotations

import io
import zipfile

import pytest

from asyncrun.errors import ItemError
from asyncrun.readers.docx import parse_docx
from tests.documents import WORD, docx_of, paragraph


def text_of(body: str, **parts: str) -> str:
    return str(parse_docx(docx_of(body, parts={f"word/{name}.xml": part for name, part in parts.items()}))["text"])


def refusal(data: bytes) -> str:
    with pytest.raises(ItemError) as caught:
        parse_docx(data)
    assert caught.value.reason == "bad_record"
    return caught.value.message


def test_headings_have_their_levels_and_the_file_says_what_it_is() -> None:
    body = paragraph("One", "Heading1") + paragraph("Text.") + paragraph("Two", "Heading2") + paragraph("Of mine", "Mine")
    assert parse_docx(docx_of(body)) == {
        "text": "# One\n\nText.\n\n## Two\n\n## Of mine",
        "title": "The manual",
        "author": "Ada",
        "date": "2025-04-30T02:27:20",
    }


def test_an_outline_level_makes_a_heading_too_and_one_paragraph_is_no_heading_by_its_look() -> None:
    outlined = '<w:p><w:pPr><w:outlineLvl w:val="2"/></w:pPr><w:r><w:t>Deep</w:t></w:r></w:p>'
    assert text_of(outlined + paragraph("# not one") + paragraph("C# is")) == "### Deep\n\n\\# not one\n\nC# is"


def test_lists_have_marks_and_numbers() -> None:
    items = [("a", (1, 0)), ("b", (1, 1)), ("c", (1, 0)), ("first", (2, 0)), ("second", (2, 0))]
    body = "".join(paragraph(text, item=item) for text, item in items)
    body += paragraph("after") + paragraph("by style", "ListBullet")
    assert text_of(body) == "- a\n   - b\n- c\n1. first\n2. second\n\nafter\n\n- by style"


def test_a_table_is_one_of_markdown() -> None:
    def cell(content: str, properties: str = "") -> str:
        return f"<w:tc><w:tcPr>{properties}</w:tcPr>{content}</w:tc>"

    nested = f"<w:tbl><w:tr>{cell(paragraph('inside'))}</w:tr></w:tbl>"
    rows = [
        cell(paragraph("Name")) + cell(paragraph("Value"), '<w:gridSpan w:val="2"/>'),
        cell(paragraph("a|b") + paragraph("c"), '<w:vMerge w:val="restart"/>') + cell(nested) + cell(paragraph("3")),
        cell(paragraph("hidden"), "<w:vMerge/>") + cell(paragraph("x")),
    ]
    rows.append(f"<w:trPr><w:del/></w:trPr>{cell(paragraph('gone'))}")
    assert (
        text_of(f"<w:tbl><w:tblPr/>{''.join(f'<w:tr>{row}</w:tr>' for row in rows)}</w:tbl>")
        == "| Name | Value |  |\n| --- | --- | --- |\n| a\\|b c | inside | 3 |\n|  | x |  |"
    )


def run(words: str) -> str:
    return f"<w:r>{words}</w:r>"


PIECES = {
    "insertions are text": (f"<w:ins>{run('<w:t>new</w:t>')}</w:ins>", "new"),
    "deletions are not": (f"<w:del>{run('<w:delText>old</w:delText>')}</w:del>{run('<w:t>kept</w:t>')}", "kept"),
    "moved text is where it went": (f"<w:moveFrom>{run('<w:t>x</w:t>')}</w:moveFrom><w:moveTo>{run('<w:t>x</w:t>')}</w:moveTo>", "x"),
    "links": (f"<w:hyperlink>{run('<w:t>a link</w:t>')}</w:hyperlink>", "a link"),
    "controls": (f"<w:sdt><w:sdtPr><w:alias/></w:sdtPr><w:sdtContent>{run('<w:t>filled in</w:t>')}</w:sdtContent></w:sdt>", "filled in"),
    "fields": (run("<w:instrText>PAGE</w:instrText>") + run("<w:t>7</w:t>"), "7"),
    "tabs and breaks": (run("<w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:noBreakHyphen/>"), "a\tb\nc-"),
    "readings": ("<w:ruby><w:rt><w:r><w:t>かん</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>漢</w:t></w:r></w:rubyBase></w:ruby>", "漢"),
}


@pytest.mark.parametrize(("pieces", "expected"), PIECES.values(), ids=PIECES)
def test_what_is_text_in_a_paragraph(pieces: str, expected: str) -> None:
    assert text_of(f"<w:p>{pieces}</w:p>") == expected


def test_a_text_box_comes_once_after_its_paragraph() -> None:
    box = f"<w:txbxContent>{paragraph('in the box')}</w:txbxContent>"
    drawn = f'<mc:AlternateContent xmlns:mc="mc"><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback></mc:AlternateContent>'
    assert text_of(f"<w:p>{run(drawn)}{run('<w:t>before</w:t>')}</w:p>" + paragraph("after")) == "before\n\nin the box\n\nafter"


def test_notes_stand_at_the_end_under_their_numbers() -> None:
    reference = '<w:footnoteReference w:id="2"/>'
    body = f"<w:p>{run('<w:t>claim</w:t>')}{run(reference)}</w:p>" + paragraph("more")
    notes = "".join(f'<w:footnote w:id="{name}">{paragraph(text)}</w:footnote>' for name, text in {"-1": "line", "2": "proof"}.items())
    assert text_of(body, footnotes=f"<w:footnotes {WORD}>{notes}</w:footnotes>") == "claim[^1]\n\nmore\n\n[^1]: proof"


def test_the_other_set_of_namespaces_and_another_name_of_the_main_part_are_read() -> None:
    strict = 'xmlns:w="http://purl.oclc.org/ooxml/wordprocessingml/main"'
    relations = '<R><X Type="http://purl.oclc.org/ooxml/officeDocument/relationships/officeDocument" Target="/word/document2.xml"/></R>'
    document = f"<w:document {strict}><w:body>{paragraph('One', 'Heading1')}</w:body></w:document>"
    data = docx_of("", parts={"_rels/.rels": relations, "word/document2.xml": document})
    assert parse_docx(data)["text"] == "# One"


ENTITIES = (
    '<!DOCTYPE w:document [<!ENTITY a "text">{more}]><w:document {word}><w:body><w:p><w:r><w:t>&a;</w:t></w:r></w:p></w:body></w:document>'
)


@pytest.mark.parametrize("more", ["", '<!ENTITY b SYSTEM "file:///etc/passwd">', '<!ENTITY b "&a;&a;&a;"><!ENTITY c "&b;&b;&b;">'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused(more: str, encoding: str) -> None:
    data = docx_of("", parts={"word/document.xml": f'<!DOCTYPE d [<!ENTITY a "text">{more}]>{ENTITIES}'.encode(encoding)})
    assert refusal(data) == "it declares a document type, which Word does not do: it is made to do harm"


def encrypted() -> bytes:
    data = bytearray(docx_of(paragraph("x")))
    at = data.rindex(b"PK\x01\x02", 0, data.index(b"word/document.xml", data.index(b"PK\x01\x02")))
    data[at + 8] |= 1
    return bytes(data)


def zip_of(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return out.getvalue()


WHOLE = docx_of(paragraph("some text " * 50))
BROKEN = {
    "nothing": (b"", "it is no DOCX, or damaged: File is not a zip file"),
    "cut in half": (WHOLE[: len(WHOLE) // 2], "it is no DOCX, or damaged: File is not a zip file"),
    "another zip": (zip_of("a.txt", b"x"), "it is no DOCX: it has no document in it"),
    "no XML": (docx_of("<w:p>"), "it is damaged: not XML: mismatched tag: line 1, column 98"),
    "only a picture": (docx_of("<w:p><w:r><w:drawing/></w:r></w:p>"), "no text in it: pictures alone are not read"),
    "Word 97 or encrypted": (
        bytes.fromhex("d0cf11e0a1b11ae1") + bytes(512),
        "it is protected by a password, or in the format of Word 97 (.doc): save it as .docx without one",
    ),
    "an encrypted part": (encrypted(), "it is protected by a password: save it without one"),
}


@pytest.mark.parametrize(("data", "expected"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_told(data: bytes, expected: str) -> None:
    assert refusal(data) == expected


def test_a_bomb_is_refused_by_the_size_that_it_states() -> None:
    assert refusal(zip_of("word/document.xml", b" " * (129 << 20))) == "it is larger than 128 MB when it is unpacked"


def test_a_bomb_that_states_less_is_not_unpacked_further() -> None:
    data = bytearray(zip_of("word/document.xml", b" " * (1 << 20)))
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    assert refusal(bytes(data)).startswith("it is no DOCX, or damaged: Bad CRC-32")
