"""The reader of DOCX, Word's format: what its parts say of styles, lists, notes and the file itself. The text is made by `docx_text`."""

from __future__ import annotations

import io
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element, ParseError
from xml.etree.ElementTree import fromstring as parse_xml
from xml.parsers import expat

from asyncrun.readers.docx_text import DocxStyles, attribute, markdown_of, without_namespaces
from asyncrun.readers.interface import ParsedReader, refused

read_docx = ParsedReader("asyncrun.readers.docx:parse_docx")

MOST = 128 * 1024 * 1024
"""Bytes of the parts that are read, unpacked."""
_MAIN = "word/document.xml"
_FIELDS = {"title": "title", "creator": "author", "subject": "subject", "keywords": "keywords", "created": "date"}
_OLE = bytes.fromhex("d0cf11e0a1b11ae1")


def parse_docx(data: bytes) -> dict[str, Any]:
    """Return `text` as Markdown (headings, lists, tables, notes), and `title`, `author`, `date` and so on where the file has them.

    Insertions that are tracked are text, deletions are not. Headers, footers and comments are left out. Raises ItemError for a file that
    is no DOCX, damaged, protected by a password, without any text, or too large when it is unpacked.
    """
    if data.startswith(_OLE):
        raise refused("it is protected by a password, or in the format of Word 97 (.doc): save it as .docx without one")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _Parts(archive).fields()
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error) as error:
        raise refused(f"it is no DOCX, or damaged: {error}") from error
    except (ParseError, expat.ExpatError) as error:
        raise refused(f"it is damaged: not XML: {error}") from error


@dataclass(slots=True)
class _Parts:
    archive: zipfile.ZipFile
    left: int = field(default=MOST, init=False)

    def fields(self) -> dict[str, Any]:
        main = self._main()
        folder = main.rpartition("/")[0]
        body = self._part(main)
        if body is None:
            raise refused("it is no DOCX: it has no document in it")
        styles = DocxStyles.of(self._part(f"{folder}/styles.xml"), self._part(f"{folder}/numbering.xml"))
        notes = {kind: self._part(f"{folder}/{kind}s.xml") for kind in ("footnote", "endnote")}
        text = markdown_of(body, styles, {kind: part for kind, part in notes.items() if part is not None})
        if not text.strip():
            raise refused("no text in it: pictures alone are not read")
        return {"text": text, **self._properties()}

    def _main(self) -> str:
        """Return the name of the part that holds the text: nearly always the same."""
        relations = self._part("_rels/.rels")
        for each in () if relations is None else relations:
            if (attribute(each, "Type") or "").endswith("/officeDocument"):
                return (attribute(each, "Target") or _MAIN).lstrip("/")
        return _MAIN

    def _properties(self) -> dict[str, str]:
        core = self._part("docProps/core.xml")
        found = [(each.tag, (each.text or "").strip()) for each in (() if core is None else core)]
        return {_FIELDS[name]: value.removesuffix("Z") for name, value in found if name in _FIELDS and value}

    def _part(self, name: str) -> Element | None:
        try:
            info = self.archive.getinfo(name)
        except KeyError:
            return None
        if info.flag_bits & 1:
            raise refused("it is protected by a password: save it without one")
        # Nothing beyond the size that is stated is ever unpacked.
        self.left -= info.file_size
        if self.left < 0:
            raise refused(f"it is larger than {MOST >> 20} MB when it is unpacked")
        data = self.archive.read(info)
        _refuse_document_type(data)
        return without_namespaces(parse_xml(data))  # noqa: S314


def _refuse_document_type(data: bytes) -> None:
    """Raise ItemError for XML with a document type, whose entities could grow without bound or name other files; Word writes none."""

    class Begun(Exception):  # noqa: N818
        """The first element: what follows can declare nothing."""

    def declared(*_: object) -> None:
        raise refused("it declares a document type, which Word does not do: it is made to do harm")

    def begun(*_: object) -> None:
        raise Begun

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = declared
    parser.StartElementHandler = begun
    with suppress(Begun):
        parser.Parse(data, True)
