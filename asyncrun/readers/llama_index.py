"""Readers of LlamaIndex: what one loads becomes records, kept in a temporary file so that every pass sees the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from asyncrun.errors import StorageError
from asyncrun.llama_index_classes import ClassKind, read_options
from asyncrun.readers.loaded_records import LoadedRecords

_READER = ClassKind(
    base="llama_index.core.readers.base.BaseReader",
    called="reader",
    owner="input",
    example="llama_index.core.SimpleDirectoryReader",
    more=("load", "make"),
)


class LlamaIndexDocuments(LoadedRecords):
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
        super().__init__(self._chosen.cls.__name__)

    def _lines(self) -> Iterator[bytes]:
        reader = self._chosen.make(self._chosen.args)
        return (_line(document) for document in self._documents(reader))

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
