"""Files that are made to do harm: each fails alone, within its bounds, and the file after it is read."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from asyncrun.readers.interface import BadRecord, Record
from asyncrun.readers.item_source import ItemSource
from asyncrun.readers.parse_pool import ParseLimits, ParserPool
from tests.depth import first
from tests.documents import docx_of, paragraph, pdf_of, stream, text_page

MB = 1 << 20
LIMITS = ParseLimits(seconds=20, memory=400 * MB)
MEMORY = "its parser was ended: it takes more than 400 MB of memory"


def nested_forms(levels: int, times: int) -> bytes:
    """Each form draws the next one so many times."""
    words = b"/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << %b >>"
    forms = [stream(b"/X Do " * times, words % b"/XObject << /X %d 0 R >>" % (5 + at)) for at in range(levels - 1)]
    forms.append(stream(text_page("x"), words % b"/Font << /F1 3 0 R >>"))
    return pdf_of([b"/X Do"], resources=b"<< /XObject << /X 4 0 R >> >>", more=forms)


HOSTILE_PDF = {
    "saved states": lambda: pdf_of([stream(b"q " * (20 * MB), packed=True)]),
    "operators": lambda: pdf_of([stream(b"BT /F1 12 Tf " + b"(a) Tj " * (3 * MB) + b"ET", packed=True)]),
    "nested forms": lambda: nested_forms(8, 10),
}


def parse(parser: str, *paths: Path) -> list[Record | BadRecord]:
    with ParserPool(1, LIMITS) as pool:
        return [pool.take(each) for each in [pool.begin(parser, path, path.name) for path in paths]]


@pytest.mark.parametrize("make", first(list(HOSTILE_PDF.values())), ids=first(list(HOSTILE_PDF)))
def test_a_pdf_that_needs_gigabytes_fails_alone(tmp_path: Path, make) -> None:
    bomb, after = tmp_path / "bomb.pdf", tmp_path / "after.pdf"
    bomb.write_bytes(make())
    after.write_bytes(pdf_of([text_page("still here")]))
    assert bomb.stat().st_size < MB
    refused, read = parse("asyncrun.readers.pdf:parse_pdf", bomb, after)
    assert isinstance(refused, BadRecord)
    assert refused.reason == "bad_record"
    assert refused.message in (MEMORY, "it takes more memory than a parser may have", *CRASHES)
    assert read.fields["text"] == "still here"


CRASHES = [f"its parser crashed ({name}): the file is damaged, or made to do harm" for name in ("SIGABRT", "SIGTRAP", "SIGILL", "SIGSEGV")]


def test_a_docx_of_elements_inside_of_each_other_fails_alone(tmp_path: Path) -> None:
    bomb, after = tmp_path / "bomb.docx", tmp_path / "after.docx"
    bomb.write_bytes(docx_of("<w:ins>" * 100_000 + paragraph("x") + "</w:ins>" * 100_000))
    after.write_bytes(docx_of(paragraph("still here")))
    refused, read = parse("asyncrun.readers.docx:parse_docx", bomb, after)
    assert isinstance(refused, BadRecord), refused
    assert refused.reason == "bad_record"
    assert refused.message in (MEMORY, "it is nested too deeply to be parsed", *CRASHES)
    assert read.fields["text"] == "still here"


def test_nothing_that_a_document_points_to_is_fetched(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        page = (
            f'<!DOCTYPE html [<!ENTITY e SYSTEM "{url}">]><html><head><base href="{url}"><link rel=stylesheet href="{url}">'
            f'<script src="{url}"></script></head><body><img src="{url}"><iframe src="{url}"></iframe><main>words &e;</main></body></html>'
        )
        action = f"/OpenAction << /S /URI /URI ({url}) >>".encode()
        files = {
            "a.html": page.encode(),
            "b.pdf": pdf_of([text_page("words")]).replace(b"/Type /Catalog", b"/Type /Catalog " + action),
            "c.docx": docx_of(paragraph(f"words {url}")),
            "d.ipynb": json.dumps(
                {"cells": [{"cell_type": "markdown", "metadata": {}, "source": f"words ![x]({url})"}], "metadata": {}, "nbformat": 4}
            ).encode(),
            "e.md": f"---\nimage: {url}\n---\nwords ![x]({url})".encode(),
        }
        assert action in files["b.pdf"]
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
        texts = [item.text for item in ItemSource(tmp_path, ("*",)).items()]
        assert [text.partition(" ")[0] for text in texts] == ["words"] * len(files)
        with pytest.raises(BlockingIOError):
            server.accept()
