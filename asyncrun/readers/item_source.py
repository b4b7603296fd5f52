"""The items of a job's input: records of files of every format, and of entries written in place, made into items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson

from asyncrun import registry
from asyncrun.errors import ItemError, Place
from asyncrun.grammar.template import MISSING, Template, parse_template, pick
from asyncrun.readers.input_files import FileSearch, Inventory
from asyncrun.readers.interface import BadRecord, Record
from asyncrun.readers.missing_fields import FieldWatch
from asyncrun.records import BadItem, Item

if TYPE_CHECKING:
    from asyncrun.readers.llama_index import LlamaIndexDocuments

INLINE = "items"
Duplicates = Literal["fail", "first", "last"]
"""What to do with a second item of the same id."""


@dataclass(frozen=True, slots=True)
class ItemSource:
    """The input of a job: files and inline items, and which of their fields make an item.

    `paths` are paths, globs or `-`, relative to `base`, the job file's folder; `inline` holds strings and mappings. `text` is a
    field, a dotted field or a template, `id` likewise; `metadata` names the fields that an item keeps. `root` is the folder
    that ids made of paths are relative to (default: that of a file, or the part of a glob before its first wildcard).
    `stdin` is where standard input was spooled to, `documents` are those of a reader of LlamaIndex. `duplicates` is for whoever scans
    the items: see `distinct_items.UniqueIds`.

    An item whose record has no id gets `<path>#<line>`, `items#<n>` or `-#<line>`, a document its path.

    >>> source = ItemSource(Path("."), inline=("one", {"id": 7, "text": "two"}))
    >>> [(item.id, item.text) for item in source.items()]
    [('items#1', 'one'), ('7', 'two')]
    """

    base: Path
    paths: tuple[str, ...] = ()
    inline: tuple[Any, ...] = ()
    exclude: tuple[str, ...] = ()
    format: str = "auto"
    text: str = "text"
    id: str = "id"
    metadata: tuple[str, ...] = ()
    root: str | None = None
    duplicates: Duplicates = "fail"
    allow_empty: bool = False
    stdin: Path | None = None
    documents: LlamaIndexDocuments | None = None

    def check(self) -> Inventory:
        """Return the files that would be read; nothing of them is read.

        Raises UsageError for a template or format that cannot be used, a missing file, or a glob without a match (unless
        `allow_empty`), StorageError for a folder that cannot be listed.
        """
        parse_template(self.text)
        parse_template(self.id)
        if self.format != "auto":
            registry.locate("readers", self.format)
        if self.documents is not None:
            self.documents.load()
        return self._search().find()

    def watch(self) -> FieldWatch:
        """Return what tells, after a pass, which of the named fields no record has."""
        return FieldWatch(parse_template(self.text), parse_template(self.id), self.metadata)

    def items(
        self,
        inventory: Inventory | None = None,
        on_unnamed: Callable[[Item], object] | None = None,
        watch: FieldWatch | None = None,
    ) -> Iterator[Item | BadItem]:
        """Yield the items in input order, from the beginning at every call; one line is in memory at a time.

        `inventory` is what `check` returned, so that several passes read the same files. `on_unnamed` is called with every
        item of a row that has no id of its own, `watch` sees every record. Raises what `check` raises, and StorageError when a
        file cannot be read to its end.
        """
        make = _Maker(parse_template(self.text), parse_template(self.id), self.metadata, on_unnamed, watch)
        files = (inventory or self.check()).files
        # To look a plugin's reader up is to look at every installed package: once a format, not once a file.
        readers = {format_: registry.load("readers", format_) for format_ in dict.fromkeys(file.format for file in files)}
        for file in files:
            for record in readers[file.format](file.path, file.shown):
                yield make.item(record, file.name)
        for number, value in enumerate(self.inline, 1):
            yield make.item(_inline_record(value, Place(INLINE, number)), INLINE)
        if self.documents is not None:
            for record in self.documents.records():
                yield make.item(record, self.documents.name)

    def _search(self) -> FileSearch:
        return FileSearch(self.base, self.paths, self.exclude, self.format, self.root, self.allow_empty, self.stdin)


@dataclass(frozen=True, slots=True)
class _Maker:
    text: Template
    id: Template
    metadata: tuple[str, ...]
    on_unnamed: Callable[[Item], object] | None
    watch: FieldWatch | None

    def item(self, record: Record | BadRecord, name: str) -> Item | BadItem:
        place = record.place
        if isinstance(record, BadRecord):
            return BadItem(self._own_id_or_none(record) or _id_of_place(name, place), place, record.reason, record.message)
        fields, own_id = record.fields, None
        if self.watch is not None:
            self.watch.see(fields, place)
        try:
            own_id = self._own_id(record)
            text = _encodable(self.text.fill_text(fields), "text")
            metadata = self._metadata(fields) if self.metadata else {}
        except ItemError as error:
            return BadItem(own_id or _id_of_place(name, place), place, error.reason, error.message)
        item = Item(_id_of_place(name, place) if own_id is None else own_id, text, place, metadata)
        if own_id is None and place.line is not None and self.on_unnamed is not None:
            self.on_unnamed(item)
        return item

    def _own_id(self, record: Record | BadRecord) -> str | None:
        """Return the id that a row has of its own. Raises ItemError when it cannot be read."""
        if record.place.line is None or not self._has_id(record.fields):
            return None
        return _encodable(self.id.fill(record.fields), "id")

    def _own_id_or_none(self, record: BadRecord) -> str | None:
        try:
            return self._own_id(record)
        except ItemError:
            return None

    def _has_id(self, fields: Mapping[str, Any]) -> bool:
        """A plain id field that is missing, null or empty is no id; a template must be filled."""
        return self.id.plain is None or bool(fields.get(self.id.plain)) or pick(fields, self.id.plain) not in (MISSING, None, "")

    def _metadata(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields that the item keeps. Raises ItemError where an output could not hold them, before anything is paid for."""
        picked = ((name, pick(fields, name)) for name in self.metadata)
        found = {name: value for name, value in picked if value is not MISSING}
        try:
            orjson.dumps(found)
        except orjson.JSONEncodeError as error:
            raise ItemError(f"the metadata cannot be written: {error}", reason="bad_record") from error
        return found


def _id_of_place(name: str, place: Place) -> str:
    return name if place.line is None else f"{name}#{place.line}"


def _encodable(text: str, what: str) -> str:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise ItemError(f"the {what} has half of a surrogate pair at character {error.start}", reason="bad_text") from error
    return text


def _inline_record(value: Any, place: Place) -> Record | BadRecord:
    """Pass an inline item through JSON, so that it is as plain as a line of a file would be."""
    fields = value if isinstance(value, Mapping) else {"text": value}
    try:
        plain = orjson.loads(orjson.dumps(fields))
    except (TypeError, orjson.JSONEncodeError) as error:
        return BadRecord(place, "bad_text" if "surrogate" in str(error) else "bad_record", f"not JSON: {error}")
    return Record(plain, place)
