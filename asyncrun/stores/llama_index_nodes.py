"""The vector stores of LlamaIndex behind a store, one a collection: made, asked, changed, kept; and the nodes that go into them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from asyncrun.errors import ArgumentError, StorageError
from asyncrun.llama_index_classes import LlamaIndexClass
from asyncrun.records import Chunk
from asyncrun.stores.interface import StoredDocument
from asyncrun.stores.llama_index_records import KnownCollection, unit_rows

if TYPE_CHECKING:
    from asyncrun.records import Vectors

T = TypeVar("T")
COLLECTION = "{collection}"
"""What stands for a collection's name in an argument of the class."""


@dataclass(slots=True)
class _Opened:
    """An instance of the class for one collection, and which version of the collection's nodes it has seen."""

    instance: Any
    version: int


class NodeStores:
    """The instances of a class, one a collection. What they raise becomes StorageError, without the secrets.

    Args:
        chosen: The class.
        named: Arguments that are no part of the options: an address, a key.
        path: Beside it is kept what a class has in memory alone.
    """

    def __init__(self, chosen: LlamaIndexClass, named: Mapping[str, str], path: Path) -> None:
        self._chosen = chosen
        self._named = named
        self._path = path
        self._opened: dict[str, _Opened] = {}
        self._in_memory = hasattr(chosen.cls, "from_persist_path")
        if self._in_memory and (chosen.args or named):
            raise ArgumentError(f"{self.name} is kept beside {path.name}, and takes no args", hint="Leave them out.")
        self.several = self._in_memory or any(COLLECTION in str(value) for value in chosen.args.values())

    @property
    def name(self) -> str:
        """Return the name of the class."""
        return self._chosen.cls.__name__

    def ask(self, known: KnownCollection, vector: Vectors, count: int) -> list[str]:
        """Return the ids of the nearest nodes, so many at most."""
        from llama_index.core.vector_stores.types import VectorStoreQuery

        store = self._instance(known)

        def ask() -> list[str]:
            answer = store.query(VectorStoreQuery(query_embedding=vector.tolist(), similarity_top_k=count))
            return list(answer.ids) if answer.ids else [node.node_id for node in answer.nodes or ()]

        return self._told(ask)

    def add(self, known: KnownCollection, nodes: Sequence[Any]) -> None:
        """Put nodes in, durably; nobody else may change the collection meanwhile."""
        self._change(known, lambda store: store.add(nodes))

    def delete(self, known: KnownCollection, ref_doc_ids: Sequence[str]) -> None:
        """Delete the nodes of documents, durably; nobody else may change the collection meanwhile."""
        self._change(known, lambda store: [store.delete(ref_doc_id) for ref_doc_id in ref_doc_ids])

    def nodes(self, document: StoredDocument, ref_doc_id: str, ids: Sequence[str]) -> Iterator[Any]:
        """Yield the nodes of a document's chunks: the text, the document's metadata, the vector of unit length."""
        from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode

        field = getattr(self._chosen.cls, "model_fields", {}).get("flat_metadata")
        flat = field is not None and bool(field.default)

        def about(chunk: Chunk) -> dict[str, Any]:
            metadata = {"chunk_id": document.chunk_id(chunk), **document.metadata, **chunk.metadata}
            return {
                name: json.dumps(value, ensure_ascii=False) if flat and isinstance(value, list | dict) else value
                for name, value in metadata.items()
            }

        for node_id, chunk, vector in zip(ids, document.chunks, unit_rows(document.vectors), strict=True):
            yield TextNode(
                id_=node_id,
                text=chunk.text,
                embedding=vector.tolist(),
                metadata=about(chunk),
                excluded_embed_metadata_keys=["chunk_id"],
                excluded_llm_metadata_keys=["chunk_id"],
                start_char_idx=chunk.start,
                end_char_idx=chunk.end,
                relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=ref_doc_id)},
            )

    def close(self) -> None:
        """Release all instances; the next call makes them anew."""
        for opened in self._opened.values():
            for each in (opened.instance, getattr(opened.instance, "client", None)):
                if callable(close := getattr(each, "close", None)):
                    with suppress(Exception):  # Nothing is lost: what was committed is there.
                        close()
        self._opened.clear()

    def _change(self, known: KnownCollection, change: Callable[[Any], object]) -> None:
        store = self._instance(known)
        try:
            self._told(lambda: change(store))
            if self._in_memory:
                self._told(lambda: _persist(store, self._file(known.name)))
        except BaseException:
            self._opened.pop(known.name, None)  # Half of it may have been done.
            raise
        self._opened[known.name].version = known.version + 1

    def _instance(self, known: KnownCollection) -> Any:
        """Return the instance for a collection; one in memory is read anew when others have changed it."""
        opened = self._opened.get(known.name)
        if opened is None or (self._in_memory and opened.version != known.version):
            opened = self._opened[known.name] = _Opened(self._make(known.name), known.version)
        return opened.instance

    def _make(self, collection: str) -> Any:
        file = self._file(collection)
        if self._in_memory and file.exists():
            return self._told(lambda: self._chosen.cls.from_persist_path(str(file)))
        args = self._chosen.args.items()
        filled = {name: value.replace(COLLECTION, collection) if isinstance(value, str) else value for name, value in args}
        return self._chosen.make({**filled, **self._named}, self._redacted)

    def _file(self, collection: str) -> Path:
        return self._path.with_name(f"{self._path.name}.{quote(collection, safe='')}.json")

    def _told(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except Exception as error:
            raise StorageError(f"{self.name}: {self._redacted(str(error) or type(error).__name__)}") from error

    def _redacted(self, words: str) -> str:
        for secret in self._named.values():
            words = words.replace(secret, "***")
        return words


def _persist(store: Any, path: Path) -> None:
    beside = path.with_name(f"{path.name}.new")
    store.persist(str(beside))
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    beside.replace(path)
