"""Readers of LlamaIndex: what one loads becomes records, kept in a temporary file so that every pass sees the same."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from asyncrun.errors import Place, StorageError, os_words
from asyncrun.llama_index_classes import ClassKind, read_options
from asyncrun.readers.interface import BadRecord, Record

_READER = ClassKind(
    base="llama_index.core.readers.base.BaseReader",
    called="reader",
    owner="input",
    example="llama_index.core.SimpleDirectoryReader",
    more=("load", "make"),
)


class LlamaIndexDocuments:
    """The documents of a reader, loaded once, at the first pass, however many there are.

    A document is a record: its metadata are fields, `text` is its text, and `id` its id where the reader has stated one. What is no
    document, or has no text, or metadata that are not JSON, is set aside.

    Args:
        options: `class` is the class with its module (`llama_index.core.SimpleDirectoryReader`), `args` are its arguments, `load` those of
            its `lazy_load_data` or `load_data`. `make` is a method of the class that makes it instead.

    Raises ArgumentError for a class that is not there, MissingExtraError without LlamaIndex.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._chosen = read_options(options, _READER)
        self._loading = threading.Lock()
        self._spool: tempfile.TemporaryDirectory[str] | None = None

    @property
    def name(self) -> str:
        """Return the name of the class, which stands for a file in places."""
        return self._chosen.cls.__name__

    def load(self) -> None:
        """Have everything loaded, if it is not yet. Blocks.

        Raises ArgumentError when the class does not take its arguments, StorageError for what the reader raises.
        """
        with self._loading:
            if self._spool is None:
                spool = tempfile.TemporaryDirectory(prefix="asyncrun-")
                try:
                    self._fill(Path(spool.name) / "documents")
                except BaseException:
                    spool.cleanup()
                    raise
                self._spool = spool

    def records(self) -> Iterator[Record | BadRecord]:
        """Yield the records in the reader's order; what was loaded is read anew at every call."""
        self.load()
        if self._spool is None:
            return
        with (Path(self._spool.name) / "documents").open("rb") as file:
            for number, line in enumerate(file, 1):
                fields, problem = orjson.loads(line)
                place = Place(self.name, number)
                yield Record(fields, place) if problem is None else BadRecord(place, problem[0], problem[1], fields)

    def close(self) -> None:
        """Remove what was loaded; may be called twice."""
        with self._loading:
            if self._spool is not None:
                self._spool.cleanup()
                self._spool = None

    def _fill(self, path: Path) -> None:
        reader = self._chosen.make(self._chosen.args)
        with path.open("wb") as file:
            for document in self._documents(reader):
                try:
                    file.write(_line(document) + b"\n")
                except OSError as error:
                    raise StorageError(f"cannot keep what {self.name} loads in {path}: {os_words(error)}") from error

    def _documents(self, reader: Any) -> Iterator[Any]:
        load = dict(self._chosen.more.get("load") or {})
        try:
            try:
                found: Iterable[Any] = reader.lazy_load_data(**load)
            except NotImplementedError:
                found = reader.load_data(**load)
            yield from found
        except StorageError:
            raise
        except Exception as error:
            hint = "Correct `options` of the input, or what it reads."
            raise StorageError(f"{self.name} cannot load: {str(error) or type(error).__name__}", hint=hint) from error


def _line(document: Any) -> bytes:
    """Return the fields of a document, and why it is set aside, if it is."""
    text, metadata = getattr(document, "text", None), getattr(document, "metadata", None)
    # Who states no id gets another one each time.
    own = {"id": str(document.id_)} if "id_" in getattr(document, "model_fields_set", ()) else {}
    if not isinstance(text, str) or not isinstance(metadata, Mapping):
        return orjson.dumps((own, ("bad_record", f"{type(document).__name__} is no document with a text")))
    try:
        return orjson.dumps(({**metadata, **own, "text": text}, None))
    except (TypeError, orjson.JSONEncodeError) as error:
        reason = "bad_text" if "surrogate" in str(error) else "bad_record"
        return orjson.dumps((own, (reason, f"its metadata or text are not JSON: {error}")))
