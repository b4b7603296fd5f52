"""The reader of Jupyter notebooks: cells as Markdown and fenced code, and what they printed, in one text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from asyncrun.readers.interface import ParsedReader, refused

read_ipynb = ParsedReader("asyncrun.readers.ipynb:parse_ipynb")

LONGEST_OUTPUT = 1000
"""Characters that are kept of what a cell printed: a table or an error says something, a log of a training repeats itself."""


def parse_ipynb(data: bytes) -> dict[str, Any]:
    """Return `text`, the `language` of the code, and `title` and `authors` where the notebook states them.

    Of outputs those that are text are kept, up to `LONGEST_OUTPUT` characters a cell; pictures and what went to the error stream are not.
    Raises ItemError for what is no notebook.
    """
    try:
        notebook = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise refused(f"not a notebook: not JSON: {error.msg}") from None
    about = notebook.get("metadata") if isinstance(notebook, dict) else None
    if not isinstance(about, dict) or not isinstance(notebook.get("cells"), list):
        old = isinstance(notebook, dict) and "worksheets" in notebook
        hint = "; it is of an old version: jupyter nbconvert --to notebook --nbformat 4 makes a new one" if old else ""
        raise refused(f"not a notebook: it has no cells{hint}")
    language = _named(about.get("language_info"), "name") or _named(about.get("kernelspec"), "language") or ""
    names = [name for author in _listed(about.get("authors")) if (name := _named(author, "name"))]
    said = {"language": language, "title": _named(about, "title"), "authors": names}
    parts = (part for cell in notebook["cells"] for part in _parts(cell, language))
    return {"text": "\n\n".join(part for part in parts if part.strip()), **{key: value for key, value in said.items() if value}}


def _parts(cell: Any, language: str) -> Iterator[str]:
    if not isinstance(cell, dict):
        return
    source = _joined(cell.get("source"))
    if cell.get("cell_type") != "code":
        yield source.strip("\n")
    elif source.strip():
        yield _fenced(source, language)
        printed = "\n".join(filter(None, (_printed(output).strip("\n") for output in _listed(cell.get("outputs")))))
        if printed:
            yield _fenced(printed if len(printed) <= LONGEST_OUTPUT else f"{printed[:LONGEST_OUTPUT]} ...", "")


def _printed(output: Any) -> str:
    if not isinstance(output, dict):
        return ""
    match output.get("output_type"):
        case "stream" if output.get("name") != "stderr":
            return _joined(output.get("text"))
        case "execute_result" | "display_data":
            shown = output.get("data")
            return _joined(shown.get("text/plain")) if isinstance(shown, dict) else ""
        case "error":
            return f"{output.get('ename')}: {output.get('evalue')}"
    return ""


def _fenced(code: str, language: str) -> str:
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}{language}\n{code.strip(chr(10))}\n{fence}"


def _joined(lines: Any) -> str:
    return lines if isinstance(lines, str) else "".join(line for line in _listed(lines) if isinstance(line, str))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _named(value: Mapping[str, Any] | Any, key: str) -> str:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""
