"""Reader of Markdown, a file a record: its front matter is what the file says of itself, the rest its text."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from asyncrun.errors import Place
from asyncrun.readers.interface import BadRecord, Record
from asyncrun.readers.text import read_whole, remark_of

LONGEST_FRONT = 64 * 1024
"""Characters of the longest front matter."""
_DEEPEST = 32
_FRONT = re.compile(r"(?P<fence>---|\+\+\+)[ \t]*\r?\n(?P<front>(?:.*\n)*?)(?P<end>---|\+\+\+|\.\.\.)[ \t]*(?:\r?\n|\Z)")
_YAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BROKEN = "with front matter that is no {}, which stays in the text"


class Split(NamedTuple):
    """A text in Markdown without its front matter, the fields of that, and what is wrong with it, if it stays in the text."""

    text: str
    fields: Mapping[str, Any]
    remark: str = ""


def read_markdown(path: Path, shown: str, *, encoding: str | None = None) -> Iterator[Record | BadRecord]:
    """Yield the file as one record, the fields of its front matter beside its text. Raises StorageError where no file can be read now.

    `encoding` is as for `read_text`.
    """
    read = read_whole(path, shown, encoding)
    if isinstance(read, BadRecord):
        yield read
        return
    text, fields, remark = split_front_matter(read.text)
    yield Record({**fields, "text": text}, Place(shown), remark or remark_of(read))


def split_front_matter(text: str) -> Split:
    r"""Return a text without the front matter at its beginning: YAML between lines of `---`, or TOML between lines of `+++`.

    >>> split_front_matter("---\ntitle: Cats\ndate: 2026-01-02\n---\nThey purr.")
    Split(text='They purr.', fields={'title': 'Cats', 'date': '2026-01-02'}, remark='')

    What is no mapping is text; what cannot be read stays text, with a remark. References in YAML (`*name`) are not followed.
    """
    if not text.startswith(("---", "+++")):
        return Split(text, {})
    match = _FRONT.match(text, 0, LONGEST_FRONT)
    cut = match is not None and match.end() == LONGEST_FRONT < len(text)
    if match is None or cut or (match["fence"] == "+++") != (match["end"] == "+++"):
        return Split(text, {})
    language, parse = ("TOML", tomllib.loads) if match["fence"] == "+++" else ("YAML", _parse_yaml)
    try:
        fields = parse(match["front"])
    except (ValueError, yaml.YAMLError, RecursionError):
        return Split(text, {}, _BROKEN.format(language))
    if fields is None and not match["front"].strip():
        fields = {}
    if not isinstance(fields, dict):
        return Split(text, {})
    return Split(text[match.end() :], _plain(fields))


def _parse_yaml(text: str) -> Any:
    depth = 0
    for event in yaml.parse(text, _YAML):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST or isinstance(event, yaml.AliasEvent):
            raise ValueError("nested too deeply, or with a reference that may stand for more than the file holds")
    return yaml.load(text, _YAML)  # noqa: S506 (a safe loader)


def _plain(value: Any) -> Any:
    """Return a value with a form in JSON: dates become texts, and what JSON does not know as well."""
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if value is None or isinstance(value, bool) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return value
    return (value if isinstance(value, str) else str(value)).encode(errors="replace").decode()
