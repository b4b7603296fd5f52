"""The page of a run as a text that stands alone: it loads nothing, and runs nothing but its own script."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

SCRIPTS = ("values.js", "report.js", "tree.js", "picture.js", "timeline.js", "details.js", "page.js")
"""The parts of the script, each after what it uses; they share one scope."""


def render_page(document: Mapping[str, Any], *, live: str = "") -> str:
    """Return the page that shows what `page_document` returns, in ASCII.

    Its Content-Security-Policy allows the page's own style and scripts, by their hashes, and nothing else. `live` is one more script, of
    whoever serves the page: it may ask the server that the page came from, and nobody else, for a newer document, and hands it on:
    `document.dispatchEvent(new CustomEvent("run-document", {detail: document}))`.

    >>> from asyncrun.trace.page.document import page_document
    >>> from asyncrun.trace.run_record import RunRecord
    >>> run = RunRecord("r", 0.0, 2.0, "succeeded", 0, 2.0, None, "1", "here")
    >>> render_page(page_document(run, [], now=5.0)).splitlines()[0]
    '<!doctype html>'
    """
    return fill_page(
        page_part("page.html"),
        page_part("page.css"),
        [text for text in (page_script(SCRIPTS), live) if text],
        document,
        asks=bool(live),
        title=f"Run {document['run']['run_id']}",
        status=document["run"]["status"],
        verdict=document["verdict"],
    )


def fill_page(template: str, style: str, scripts: Sequence[str], document: Mapping[str, Any], *, asks: bool, **texts: str) -> str:
    """Return a page, in ASCII: the template with a style, scripts, and the document as JSON, under a policy that allows nothing else.

    With `asks` the scripts may ask the server that the page came from. `texts` stand in the template under their names, as text.
    """
    # No encoding of a terminal or a file must change what the policy has the hashes of.
    plain = [text.encode("ascii", "backslashreplace").decode() for text in scripts]
    page = Template(template).substitute(
        policy=escape(_policy(style, plain, asks=asks)),
        style=style,
        data=_data(document),
        scripts="".join(f"<script>{script}</script>" for script in plain),
        **{name: escape(text) for name, text in texts.items()},
    )
    return page.rstrip().encode("ascii", "xmlcharrefreplace").decode()


def page_script(names: Sequence[str], package: str = "asyncrun.trace.page") -> str:
    """Return files with parts of a script as one script with a scope of its own."""
    return '(() => {\n"use strict";\n' + "\n".join(page_part(name, package) for name in names) + "})();\n"


def page_part(name: str, package: str = "asyncrun.trace.page") -> str:
    """Return the text of a file that a page is made of."""
    return (files(package) / name).read_text(encoding="utf-8")


def _policy(style: str, scripts: Sequence[str], *, asks: bool) -> str:
    allowed = " ".join(map(_hash, scripts))
    server = "; connect-src 'self'" if asks else ""
    return f"default-src 'none'; style-src {_hash(style)}; script-src {allowed}{server}; base-uri 'none'; form-action 'none'"


def _hash(part: str) -> str:
    return f"'sha256-{b64encode(sha256(part.encode()).digest()).decode()}'"


def _data(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    # No text can end the script element, or begin a comment in it.
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
