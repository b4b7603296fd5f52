"""What is promised of a PDF: pages with form feeds between them, what the file says of itself, and a sentence for what cannot be read."""

from __future__ import annotations

import pytest

from asyncrun.errors import ItemError
from asyncrun.readers import pdf
from asyncrun.readers.pdf import parse_pdf
from tests.documents import INFO, japanese_pdf, pdf_file, pdf_of, text_page


def refusal(data: bytes) -> str:
    with pytest.raises(ItemError) as caught:
        parse_pdf(data)
    assert caught.value.reason == "bad_record"
    return caught.value.message


def test_pages_are_joined_by_form_feeds_and_the_file_says_what_it_is() -> None:
    data = pdf_of([text_page("Hello (world)", "second line"), b"", text_page("Page three")], info=INFO)
    assert parse_pdf(data) == {
        "text": "Hello (world)\nsecond line\n\f\n\fPage three",
        "title": "The manual",
        "author": "Ada",
        "date": "2025-04-30T02:27:20",
        "pages": 3,
    }


def test_japanese_text_is_right() -> None:
    assert parse_pdf(japanese_pdf("日本語の手引き。検索")) == {"text": "日本語の手引き。検索", "pages": 1}


def test_a_hyphen_at_the_end_of_a_line_joins_the_word() -> None:
    text = parse_pdf(pdf_of([text_page("the mem-", "oir of a page")]))["text"]
    assert text == "the memoir of a page"


def test_a_file_without_its_table_of_objects_is_read() -> None:
    assert parse_pdf(pdf_of([text_page("found all the same")], xref=False))["text"] == "found all the same"


def test_a_password_is_told() -> None:
    encrypted = b"/Encrypt << /Filter /Standard /V 1 /R 2 /O <%b> /U <%b> /P -4 >> /ID [<00><00>]" % (b"41" * 32, b"42" * 32)
    assert refusal(pdf_of([text_page("x")], trailer=encrypted)) == "it is protected by a password: save it without one"


WHOLE = pdf_of([text_page("a" * 40)] * 3)
BROKEN = {
    "nothing": (b"", "the file is empty"),
    "no PDF": (b"just text", "it is no PDF, or damaged (cut off, for example)"),
    "cut in half": (WHOLE[: len(WHOLE) // 2], "it is no PDF, or damaged (cut off, for example)"),
    "a scan": (pdf_of([b"", b" "]), "no text in its pages: a scan? Recognise its text first (with ocrmypdf, for example)"),
    "a million pages claimed": (
        pdf_of([text_page("x")]).replace(b"/Count 1 ", b"/Count 1000000 "),
        "it says that it has 1,000,000 pages; at most 50,000 are read",
    ),
    "more pages claimed than there are": (
        pdf_of([text_page("x")]).replace(b"/Count 1 ", b"/Count 7 "),
        "page 2 of 7 cannot be read: Failed to load page.",
    ),
    "pages in a ring": (
        pdf_file([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Count 2 /Kids [2 0 R 2 0 R] >>"]),
        "page 1 of 2 cannot be read: Failed to load page.",
    ),
}


@pytest.mark.parametrize(("data", "expected"), BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_is_told(data: bytes, expected: str) -> None:
    assert refusal(data) == expected


def test_a_text_above_the_bound_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    words = text_page(*["word " * 20] * 40)
    assert parse_pdf(pdf_of([words]))
    monkeypatch.setattr(pdf, "LONGEST", 1000)
    assert refusal(pdf_of([words])) == "its text is longer than 0 MB"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("D:20250430022720Z", "2025-04-30T02:27:20"),
        ("D:20250430022720+09'00'", "2025-04-30T02:27:20"),
        ("D:2025", "2025-01-01"),
        ("D:202504", "2025-04-01"),
        ("yesterday", None),
    ],
)
def test_dates_are_written_as_in_other_formats(written: str, read: str | None) -> None:
    info = b"<< /CreationDate (%b) >>" % written.encode()
    assert parse_pdf(pdf_of([text_page("x")], info=info)).get("date") == read
