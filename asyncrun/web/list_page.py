"""The page with the list of runs, and the script that keeps the page of a run fresh: texts that are put together once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from asyncrun.trace.page.html import fill_page, page_part

_HERE = "asyncrun.web"


def render_list(document: Mapping[str, Any]) -> str:
    """Return the page that shows a part of the list, as `RunReader.listed` returns it, in ASCII; its script asks for newer ones.

    >>> render_list({"folder": "/srv", "page": 1, "pages": 1, "first": 1, "total": 0, "files": [], "runs": []}).splitlines()[0]
    '<!doctype html>'
    """
    return fill_page(
        page_part("list.html", _HERE),
        _style(),
        [_script("list.js")],
        document,
        asks=True,
        title=f"Runs of {document['folder']}",
        folder=document["folder"],
    )


@cache
def live_script() -> str:
    """Return what a served page of a run has beside its own script: a way back to the list, and newer documents while the run goes on."""
    return _script("run.js")


@cache
def _style() -> str:
    return page_part("page.css") + page_part("list.css", _HERE)


@cache
def _script(name: str) -> str:
    parts = [page_part("values.js"), page_part("fresh.js", _HERE), page_part(name, _HERE)]
    return '(() => {\n"use strict";\n' + "\n".join(parts) + "})();\n"
