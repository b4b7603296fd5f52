"""A folder of documents of every kind, as an office has one: the recipe of documents is followed in it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.documents import docx_of, paragraph, pdf_of, text_page

MANUAL = (
    ("Pump P-40", "This manual is for whoever runs the pump. Read it before the first start.", "Keep it near the pump."),
    ("Start", "Open the valve on the suction side first.", "Then switch the motor on and wait for ten seconds.", "The red lamp goes out."),
    ("Maintenance", "Change the oil every 500 hours of running.", "Use 1.2 litres of the grade ISO VG 46.", "Never run the pump dry."),
)
POLICY = (
    paragraph("Spare parts", "Heading1")
    + paragraph("Every order of spare parts needs the signature of the head of workshop.")
    + paragraph("Delivery", "Heading2")
    + paragraph("Seals are delivered within two days, motors within three weeks.")
)
FAQ = """<!doctype html><html><head><title>Questions</title></head><body><nav>Home | Contact</nav><main><h1>Questions</h1>
<h2>The pump makes a noise</h2><p>There is air in the suction line. Close the valve, and let the air out at the screw on top.</p>
<h2>The red lamp stays on</h2><p>The pressure is too low. Look for a leak.</p></main><footer>All rights reserved</footer></body></html>"""
NOTES = "---\ntitle: Visit in May\nyear: 2025\n---\n# Visit in May\n\nThe oil of pump 3 was black. It was changed, and the filter too.\n"
NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"language_info": {"name": "python"}},
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Pressure\n\nThe pressure falls by 0.3 bar a year."},
        {
            "cell_type": "code",
            "id": "b",
            "metadata": {},
            "execution_count": 1,
            "source": "pressure.resample('YE').mean()",
            "outputs": [],
        },
    ],
}


def make_folder(folder: Path) -> None:
    """Write a PDF of three pages, half of one, a DOCX, a page of HTML, Markdown with front matter and a notebook."""
    (folder / "notes").mkdir(parents=True)
    pdf = pdf_of([text_page(*lines) for lines in MANUAL])
    (folder / "manual.pdf").write_bytes(pdf)
    (folder / "scan.pdf").write_bytes(pdf[: len(pdf) // 2])
    (folder / "spare-parts.docx").write_bytes(docx_of(POLICY))
    (folder / "questions.html").write_text(FAQ)
    (folder / "notes" / "visit.md").write_text(NOTES)
    (folder / "pressure.ipynb").write_text(json.dumps(NOTEBOOK))
