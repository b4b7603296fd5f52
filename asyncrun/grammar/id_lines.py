"""Ids in a text file, one a line: as they are, or as a JSON string where a line could not hold them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from asyncrun.escape import printable

_LINE_END = re.compile(r"\r\n|\r|\n")
_BYTE_ORDER_MARK = "\ufeff"


def id_line(name: str) -> str:
    r"""Return the line that stands for an id.

    It is the id itself. One that is empty, has blanks around it, holds a line break or another control character of any kind, or begins
    with a quotation mark or a byte order mark is a JSON string in ASCII.

    >>> print(id_line("notes/7.md"), id_line("two\nlines"))
    notes/7.md "two\nlines"
    """
    plain = name and name == name.strip() and name == printable(name) and name[0] not in ('"', _BYTE_ORDER_MARK)
    return name if plain else json.dumps(name)


def parse_ids(text: str) -> Iterator[str]:
    r"""Yield the ids of such a file; blank lines and blanks around an id do not count. What is no whole JSON string is an id as it is.

    >>> list(parse_ids('notes/7.md\n"two\\nlines"\n'))
    ['notes/7.md', 'two\nlines']
    """
    for line in _LINE_END.split(text.removeprefix(_BYTE_ORDER_MARK)):
        if stripped := line.strip():
            yield _unquoted(stripped) if stripped.startswith('"') else stripped


def _unquoted(line: str) -> str:
    try:
        return str(json.loads(line))
    except ValueError:
        return line
