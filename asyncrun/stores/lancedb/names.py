"""Which table of a LanceDB folder is which collection: one small file, put in its place whole, so that names change in one step."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from asyncrun.errors import StorageError, os_words
from asyncrun.escape import printable
from asyncrun.process_locks import hold_folder
from asyncrun.stores.interface import Collection

FILE = "asyncrun.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class NamedTable:
    """A collection's space, and the name of its table, which no other collection ever has had."""

    table: str
    fingerprint: str
    dimensions: int

    @property
    def width(self) -> int:
        """Return the size of the table's vectors: no column has none, as the documents have where none of them has a chunk."""
        return max(1, self.dimensions)


class NamesFile:
    """The collections of a folder, by name. Raises StorageError for a folder that is another program's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / FILE

    def read(self) -> dict[str, NamedTable]:
        """Return all collections; none where there is no folder."""
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            self._refuse_foreign_folder()
            return {}
        except NotADirectoryError as error:
            raise StorageError(f"{self.shown} is no folder", hint="Choose another path for the store.") from error
        except OSError as error:
            raise StorageError(f"cannot read the store {self.shown}: {os_words(error)}") from error
        except ValueError as error:
            raise StorageError(f"{FILE} of the store {self.shown} is no JSON") from error
        if not isinstance(content, dict) or "asyncrun" not in content:
            raise StorageError(f"{FILE} of the folder {self.shown} is another program's", hint="Choose another path for the store.")
        if content["asyncrun"] != _VERSION:
            raise StorageError(f"the store {self.shown} is of a newer asyncrun", hint="Upgrade asyncrun.")
        return {name: NamedTable(**each) for name, each in content["collections"].items()}

    @contextmanager
    def changing(self) -> Iterator[dict[str, NamedTable]]:
        """Give all collections to be changed; what they are at the block's end stands in the file then, in one step."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make the folder of the store {self.shown}: {os_words(error)}") from error
        with hold_folder(self.folder):
            names = self.read()
            if not self._file.exists():
                self._write({})  # Before anything else is in the folder: it is known as ours from now on.
            before = dict(names)
            yield names
            if names != before:
                self._write(names)

    def _write(self, names: Mapping[str, NamedTable]) -> None:
        content = {"asyncrun": _VERSION, "collections": {name: asdict(table) for name, table in names.items()}}
        beside = self._file.with_name(f"{FILE}.new")
        try:
            with beside.open("w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._file)
        except OSError as error:
            raise StorageError(f"cannot write the store {self.shown}: {os_words(error)}") from error

    def _refuse_foreign_folder(self) -> None:
        try:
            foreign = next((each.name for each in self.folder.iterdir() if each.name != f"{FILE}.new"), None)
        except FileNotFoundError:
            return
        except OSError as error:
            raise StorageError(f"{self.shown} cannot be a store's folder: {os_words(error)}") from error
        if foreign is not None:
            what = f"the folder {self.shown} holds something else ({printable(foreign, 60)})"
            raise StorageError(what, hint="Choose another path for the store.")

    @property
    def shown(self) -> str:
        """Return the folder's path as it can be printed."""
        return printable(str(self.folder))


def new_table(collection: Collection) -> NamedTable:
    """Return a collection with a table's name that is its own, and that a person knows again."""
    known = re.sub(r"[^A-Za-z0-9]+", "-", collection.name).strip("-")[:40]
    return NamedTable(f"{known or 'collection'}-{secrets.token_hex(6)}", collection.fingerprint, collection.dimensions)
