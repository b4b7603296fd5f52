"""The fields that a job names and that its records do not have: found while they pass, so that each is told once and not for every row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncrun.errors import Place, UsageError
from asyncrun.escape import printable
from asyncrun.grammar.template import MISSING, Template, pick
from asyncrun.humanize import did_you_mean

SHOWN = 20
"""How many fields of the records are named."""


@dataclass(frozen=True, slots=True)
class MissingField:
    """A field that no record has: the `key` of the input that names it, what `known` fields there are, and where the first record stands.

    With `needed` every item fails without it.
    """

    key: str
    name: str
    known: tuple[str, ...]
    place: Place
    needed: bool

    def __str__(self) -> str:
        return f"no item has `{self.name}` (input.{self.key}); {self._there}"

    def error(self, named_by: str = "") -> UsageError:
        """Return the error of a job that cannot do without it; `named_by` says who names it where the input does not."""
        place = Place(self.place.file)
        if named_by:
            return UsageError(f"no item has `{self.name}`, {named_by}; {self._there}", place=place, hint="Name a field that there is.")
        return UsageError(str(self), place=place, hint=f"Set `input.{self.key}` in the job file, or `--{self.key}` of a call without one.")

    @property
    def _there(self) -> str:
        return describe_fields(self.known, self.name) or "the records are empty"


def describe_fields(known: Sequence[str], asked: str) -> str:
    """Return which fields there are, and which of them was probably meant; nothing where there are none.

    >>> describe_fields(["id", "body"], "bodi")
    "the fields are id, body; did you mean 'body'?"
    """
    shown = ", ".join(printable(name, 40) for name in known[:SHOWN]) + (f" and {len(known) - SHOWN:,} more" if len(known) > SHOWN else "")
    return f"the fields are {shown}{did_you_mean(asked, known)}" if known else ""


class FieldWatch:
    """Sees the records of one pass, and tells which fields none of them has.

    >>> from asyncrun.grammar.template import parse_template
    >>> watch = FieldWatch(parse_template("text"), parse_template("id"), ("lang",))
    >>> watch.see({"id": 1, "body": "b", "lang": "en"}, Place("a.jsonl", 1))
    >>> [field.name for field in watch.missing()]
    ['text']
    """

    def __init__(self, text: Template, id_: Template, metadata: tuple[str, ...]) -> None:
        # An id field of its own may be missing: the place stands for it. Nobody has asked for the usual one.
        named = [("text", name, True) for name in text.fields] + [("metadata", name, False) for name in metadata]
        named += [("id", name, id_.plain is None) for name in id_.fields if id_.plain != "id"]
        self._unseen = dict.fromkeys(named)
        self._known: dict[str, None] = {}
        self._first: Place | None = None
        self._rows = False

    @property
    def satisfied(self) -> bool:
        """Say whether every field was seen."""
        return not self._unseen

    def see(self, fields: Mapping[str, Any], place: Place) -> None:
        """Take in a record."""
        if not self._unseen:
            return
        self._first = self._first or place
        self._rows = self._rows or place.line is not None
        for each in [each for each in self._unseen if pick(fields, each[1]) is not MISSING]:
            del self._unseen[each]
        self._known.update(dict.fromkeys(map(str, fields)))

    def missing(self) -> Iterator[MissingField]:
        """Yield what none of the records had; nothing where there were none. The id of a document is its path."""
        for key, name, needed in self._unseen:
            if self._first is not None and (self._rows or key != "id"):
                yield MissingField(key, name, tuple(self._known), self._first, needed)
