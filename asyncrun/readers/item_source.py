"""The items of a job's input: records of files of every format, and of entries written in place, made into items."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson

from asyncrun import registry
from asyncrun.errors import ItemError, Place
from asyncrun.grammar.file_formats import DELIMITED, ENCODED
from asyncrun.grammar.template import MISSING, Template, parse_template, pick
from asyncrun.readers.input_files import FileSearch, InputFile, Inventory
from asyncrun.readers.interface import BadRecord, ParsedReader, Reader, Record, Stopped
from asyncrun.readers.missing_fields import FieldWatch
from asyncrun.records import BadItem, Item

if TYPE_CHECKING:
    from asyncrun.readers.loaded_records import LoadedRecords
    from asyncrun.readers.read_ahead import ParserSource

INLINE = "items"
TEXT = "text"
Duplicates = Literal["fail", "first", "last"]
"""What to do with a second item of the same id."""


@dataclass(frozen=True, slots=True)
class ItemSource:
    """The input of a job: files and inline items, and which of their fields make an item.

    `paths` are paths, globs or `-`, relative to `base`, the job file's folder; `inline` holds strings and mappings. `text` is a
    field, a dotted field or a template, `id` likewise; `metadata` names the fields that an item keeps: with None a document keeps all
    but its text, and a row none. `root` is the folder
    that ids made of paths are relative to (default: that of a file, or the part of a glob before its first wildcard).
    `encoding` is that of text files, `delimiter` stands between the fields of CSV.
    `stdin` is where standard input was spooled to, `loaded` is what a query or a reader of LlamaIndex yields.
    `parsers` parse documents, None: processes of this machine.
    The globs pass over the real paths of files and folders that `left_out` says yes to.
    `duplicates` is for whoever scans the items: see `distinct_items.UniqueIds`.

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
    metadata: tuple[str, ...] | None = None
    root: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    duplicates: Duplicates = "fail"
    allow_empty: bool = False
    left_out: Callable[[str], bool] = lambda _: False
    stdin: Path | None = None
    loaded: LoadedRecords | None = None
    parsers: ParserSource | None = None

    def check(self) -> Inventory:
        """Return the files that would be read; nothing of them is read.

        Raises UsageError for a template or format that cannot be used, a missing file, or a glob without a match (unless
        `allow_empty`), StorageError for a folder that cannot be listed.
        """
        parse_template(self.text)
        parse_template(self.id)
        if self.format != "auto":
            registry.locate("readers", self.format)
        if self.loaded is not None:
            self.loaded.load()
        return self._search().find()

    def watch(self) -> FieldWatch:
        """Return what tells, after a pass, which of the named fields no record has."""
        return FieldWatch(parse_template(self.text), parse_template(self.id), self.metadata or ())

    def items(
        self,
        inventory: Inventory | None = None,
        on_unnamed: Callable[[Item], object] | None = None,
        watch: FieldWatch | None = None,
        on_remark: Callable[[str, Place], object] | None = None,
        stopped: Stopped = lambda: None,
    ) -> Iterator[Item | BadItem]:
        """Yield the items in input order, from the beginning at every call; one line is in memory at a time.

        `inventory` is what `check` returned, so that several passes read the same files. `on_unnamed` is called with every
        item of a row that has no id of its own, `watch` sees every record, `on_remark` hears what a reader remarks, and where. Raises
        what `check` raises, StorageError when a file cannot be read to its end, and what `stopped` returns while a document is parsed.
        """
        make = _Maker(parse_template(self.text), parse_template(self.id), self.metadata, on_unnamed, watch, on_remark)
        files = (inventory or self.check()).files
        # To look a plugin's reader up is to look at every installed package: once a format, not once a file.
        readers = {format_: self._reader(format_) for format_ in dict.fromkeys(file.format for file in files)}
        for file, record in _records(files, readers, stopped, self.parsers):
            yield make.item(record, file.name)
        for number, value in enumerate(self.inline, 1):
            yield make.item(_inline_record(value, Place(INLINE, number)), INLINE)
        if self.loaded is not None:
            for record in self.loaded.records():
                yield make.item(record, self.loaded.name)

    def _reader(self, format_: str) -> Reader:
        """Return the reader of a format, told what the input says of its files."""
        reader: Reader = registry.load("readers", format_)
        told: dict[str, Any] = {"encoding": self.encoding} if self.encoding and format_ in ENCODED else {}
        told |= {"delimiter": self.delimiter} if self.delimiter and format_ in DELIMITED else {}
        if isinstance(reader, ParsedReader):
            return replace(reader, **told)
        return partial(reader, **told) if told else reader

    def _search(self) -> FileSearch:
        of_files = self.exclude, self.format, self.root, self.allow_empty, self.stdin, self.encoding, self.left_out
        return FileSearch(self.base, self.paths, *of_files)


@dataclass(frozen=True, slots=True)
class _Maker:
    text: Template
    id: Template
    metadata: tuple[str, ...] | None
    on_unnamed: Callable[[Item], object] | None
    watch: FieldWatch | None
    on_remark: Callable[[str, Place], object] | None

    def item(self, record: Record | BadRecord, name: str) -> Item | BadItem:
        place = record.place
        if isinstance(record, BadRecord):
            return BadItem(self._own_id_or_none(record) or _id_of_place(name, place), place, record.reason, record.message)
        fields, own_id = record.fields, None
        if self.watch is not None:
            self.watch.see(fields, place)
        if self.on_remark is not None and record.remark:
            self.on_remark(record.remark, place)
        try:
            own_id = self._own_id(record)
            text = _encodable(self.text.fill_text(fields), "text")
            metadata = self._metadata(record)
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

    def _metadata(self, record: Record) -> dict[str, Any]:
        """Return the fields that the item keeps. Raises ItemError where an output could not hold them, before anything is paid for."""
        if self.metadata is None:
            if record.place.line is not None:
                return {}
            found = {name: value for name, value in record.fields.items() if name not in (TEXT, self.text.plain)}
        else:
            picked = ((name, pick(record.fields, name)) for name in self.metadata)
            found = {name: value for name, value in picked if value is not MISSING}
        if not found:
            return found
        try:
            written = orjson.dumps(found)
        except orjson.JSONEncodeError as error:
            raise ItemError(f"the metadata cannot be written: {error}", reason="bad_record") from error
        # A document's dates become texts; those of a row are left to whoever writes them.
        return found if record.place.line is not None else dict(orjson.loads(written))


def _records(
    files: Sequence[InputFile], readers: Mapping[str, Reader], stopped: Stopped, parsers: ParserSource | None
) -> Iterator[tuple[InputFile, Record | BadRecord]]:
    if any(isinstance(reader, ParsedReader) for reader in readers.values()):
        from asyncrun.readers.read_ahead import read_ahead

        yield from read_ahead(files, readers, stopped, parsers)
        return
    for file in files:
        for record in readers[file.format](file.path, file.shown):
            yield file, record


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
