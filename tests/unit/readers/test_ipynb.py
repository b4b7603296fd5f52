"""What the reader of notebooks promises."""

from __future__ import annotations

import json
from typing import Any

import pytest

from asyncrun.errors import ItemError
from asyncrun.readers.ipynb import LONGEST_OUTPUT, parse_ipynb


def notebook(*cells: Any, **about: Any) -> bytes:
    return json.dumps({"cells": cells, "metadata": about, "nbformat": 4, "nbformat_minor": 5}).encode()


def code(source: Any, *outputs: Any) -> dict[str, Any]:
    return {"cell_type": "code", "source": source, "outputs": outputs, "metadata": {}, "execution_count": 1}


def test_cells_are_text_and_fenced_code_with_what_they_printed() -> None:
    data = notebook(
        {"cell_type": "markdown", "source": ["# Title\n", "Some words"]},
        code(["x = 1\n", "print(x)"], {"output_type": "stream", "name": "stdout", "text": ["1\n"]}),
        code(
            "x + 1",
            {"output_type": "stream", "name": "stderr", "text": "warning"},
            {"output_type": "execute_result", "data": {"text/plain": "2", "text/html": "<b>2</b>", "image/png": "iVBOR"}},
            {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["\u001b[0;31m"]},
        ),
        code("  \n"),
        {"cell_type": "raw", "source": "as it is"},
        language_info={"name": "python"},
        title="A notebook",
        authors=[{"name": "Ada"}, {"name": "Grace"}],
    )
    assert parse_ipynb(data) == {
        "text": "# Title\nSome words\n\n```python\nx = 1\nprint(x)\n```\n\n```\n1\n```\n\n"
        "```python\nx + 1\n```\n\n```\n2\nValueError: no\n```\n\nas it is",
        "language": "python",
        "title": "A notebook",
        "authors": ["Ada", "Grace"],
    }


def test_outputs_have_a_bound_and_fences_close() -> None:
    text = parse_ipynb(notebook(code("'```'", {"output_type": "stream", "name": "stdout", "text": "x" * 5000})))["text"]
    assert text.startswith("````\n'```'\n````\n\n```\n")
    assert text.count("x") == LONGEST_OUTPUT
    assert text.endswith(" ...\n```")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a notebook: not JSON"),
        (b"{", "not a notebook: not JSON"),
        (b"[" * 100_000, "not a notebook: not JSON"),
        (b"[]", "not a notebook: it has no cells"),
        (b'{"cells": {}, "metadata": {}}', "not a notebook: it has no cells"),
        (b'{"worksheets": [], "metadata": {}}', "not a notebook: it has no cells; it is of an old version"),
    ],
)
def test_what_is_no_notebook_says_so(data: bytes, message: str) -> None:
    with pytest.raises(ItemError) as caught:
        parse_ipynb(data)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    "cell", [None, 5, [], {}, {"source": 5}, {"cell_type": "code", "source": ["x", 1], "outputs": [None, {}, {"data": 5}]}]
)
def test_cells_of_other_forms_break_nothing(cell: Any) -> None:
    assert parse_ipynb(notebook(cell, {"cell_type": "markdown", "source": "after"}, language_info=[], authors="x"))["text"].endswith(
        "after"
    )
