"""Answers of a query job as a person reads them: each question with what was answered, or with its best hit and its page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from asyncrun.trace.views.styled_text import Style, StyledLine, StyledPart, StyledText, fit, one_line


def render_answers(rows: Iterable[Mapping[str, Any]], width: int) -> StyledText:
    """Return two lines for each row of a query job, no line wider than `width`.

    >>> hit = {"doc_id": "tea.md", "text": "Tea is made of leaves."}
    >>> print(render_answers([{"query": "what is tea?", "hits": [hit], "answer": None}], 40))
    what is tea?
      tea.md: Tea is made of leaves.
    """
    return StyledText(tuple(line for row in rows for line in _answer(row, width)))


def _answer(row: Mapping[str, Any], width: int) -> tuple[StyledLine, StyledLine]:
    question = fit(width, StyledPart(_plain(row.get("query")), Style.TITLE))
    hits = row.get("hits") or []
    if row.get("answer"):
        return question, fit(width, f"  {_plain(row['answer'])}")
    if not hits:
        return question, fit(width, StyledPart("  nothing found", Style.ODD))
    page = (hits[0].get("metadata") or {}).get("page")
    at = f", page {page}" if isinstance(page, int) else ""
    return question, fit(width, "  ", StyledPart(_plain(hits[0].get("doc_id")), Style.HEAD), f"{at}: {_plain(hits[0].get('text'))}")


def _plain(text: object) -> str:
    """Return a text on one line, without the marks of Markdown's headings."""
    return one_line(" ".join(re.sub(r"(?m)^#+ ", "", str(text)).split()))
