"""What Kreuzberg reads is an item, what it dies of is a failed one; without it, its files are passed over, or the extra is named."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import pytest

from asyncrun.errors import MissingExtraError
from asyncrun.readers.interface import BadRecord, Record
from asyncrun.readers.item_source import ItemSource
from asyncrun.readers.parse_pool import ParseLimits, ParserPool
from tests.documents import pdf_of, stream, text_page

MB = 1 << 20
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
RTF = rb"{\rtf1\ansi Hello {\b bold} world\par caf\'e9\par}"


def zip_of(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def xlsx_of(rows: bytes) -> bytes:
    package = "http://schemas.openxmlformats.org/package/2006"
    sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    workbook = f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets><sheet name="Stock" sheetId="1" r:id="r1"/></sheets></workbook>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels"'
        ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{sheet}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{sheet}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{RELATIONS}/officeDocument"'
        ' Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": workbook,
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" Type="{RELATIONS}/worksheet"'
        ' Target="worksheets/sheet1.xml"/></Relationships>',
    }
    data = f'<worksheet xmlns="{MAIN}"><sheetData>'.encode() + rows + b"</sheetData></worksheet>"
    return zip_of({**{name: part.encode() for name, part in parts.items()}, "xl/worksheets/sheet1.xml": data})


def row(*cells: str) -> bytes:
    written = "".join(f'<c t="inlineStr"><is><t>{cell}</t></is></c>' for cell in cells)
    return f"<row>{written}</row>".encode()


def parse(*paths: Path) -> list[Record | BadRecord]:
    with ParserPool(1, ParseLimits(seconds=30, memory=700 * MB)) as pool:
        return [pool.take(each) for each in [pool.begin("asyncrun.readers.kreuzberg:parse_kreuzberg", path, path.name) for path in paths]]


@pytest.mark.needs("kreuzberg")
def test_sheets_and_rtf_are_read_by_their_endings(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(xlsx_of(row("Name", "Count") + row("bolts", "12")))
    (tmp_path / "b.rtf").write_bytes(RTF)
    texts = [item.text for item in ItemSource(tmp_path, ("*",)).items()]
    assert texts == ["## Stock\n\n| Name | Count |\n| --- | --- |\n| bolts | 12 |", "Hello **bold** world\n\ncafé"]


@pytest.mark.needs("kreuzberg")
def test_what_needs_gigabytes_fails_alone(tmp_path: Path) -> None:
    sheet, pages, after = tmp_path / "bomb.xlsx", tmp_path / "bomb.pdf", tmp_path / "after.rtf"
    sheet.write_bytes(xlsx_of(row(*["a" * 30] * 100) * 40_000))
    pages.write_bytes(pdf_of([stream(b"q " * (10 * MB), packed=True)]))
    after.write_bytes(RTF)
    assert sheet.stat().st_size < 2 * MB
    *refused, read = parse(sheet, pages, after)
    for each in refused:
        assert isinstance(each, BadRecord)
        assert each.reason == "bad_record"
        assert each.message.startswith(("its parser ", "it takes more memory", "Kreuzberg cannot read it"))
    assert read.fields["text"].startswith("Hello")


@pytest.mark.needs("kreuzberg")
@pytest.mark.parametrize("data", [b"", b"\x00\xff\xfe" * 1000, xlsx_of(b"")[:300], pdf_of([text_page("x")])[:200]])
def test_what_it_cannot_read_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.xlsx").write_bytes(data)
    (told,) = parse(tmp_path / "a.xlsx")
    assert isinstance(told, BadRecord)
    assert told.reason == "bad_record"


@pytest.mark.needs("kreuzberg")
def test_parts_of_an_archive_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.epub").write_bytes(zip_of({"mimetype": b"application/epub+zip", "a.xhtml": b"<p>words</p>"}))
    (told,) = parse(tmp_path / "a.epub")
    assert isinstance(told, BadRecord)
    assert told.message.startswith("it is an archive, or a damaged file of an office")


def test_without_the_extra_a_glob_passes_over_its_files_and_a_named_one_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kreuzberg", None)
    (tmp_path / "a.txt").write_text("text")
    (tmp_path / "b.rtf").write_bytes(RTF)
    source = ItemSource(tmp_path, ("*",))
    assert list(source.check().lacking) == ["b.rtf"]
    assert [item.id for item in source.items()] == ["a.txt"]
    for named in (ItemSource(tmp_path, ("b.rtf",)), ItemSource(tmp_path, ("*.rtf",), format="kreuzberg")):
        with pytest.raises(MissingExtraError, match="kreuzberg needs the extra 'kreuzberg'") as caught:
            list(named.items())
        assert "pip install 'asyncrun[kreuzberg]'" in str(caught.value.hint)
