"""The rows of a LanceDB table: one a chunk, and one a document, which says what the document was made from and which rows are its own."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncrun.records import Chunk, Hit
from asyncrun.stores.interface import StoredDocument
from asyncrun.stores.metadata_json import metadata_json
from asyncrun.stores.plain_text import as_plain, from_plain

if TYPE_CHECKING:
    import pyarrow as pa

REF_BITS = 31
"""A version's number `ref` is a step that grows with every commit, and below it so many random bits: writers do not ask each other."""
DOCUMENT = -1
"""The ordinal of the row that stands for the document itself."""
REMOVAL = -2
"""The ordinal of the one row that stands for the last removal, so that a table does not look again as it did before."""
HEAD_COLUMNS = ["key", "ref", "source", "doc_id", "mark", "chunks"]
"""What `read_heads` needs of the documents' rows."""


@dataclass(frozen=True, slots=True)
class DocumentHead:
    """A version of a document: its number, whose it is, its mark, and how many chunks it has."""

    ref: int
    source: str
    doc_id: str
    mark: str
    chunks: int


@dataclass(frozen=True, slots=True, eq=False)
class DocumentHeads:
    """The documents of a table at one of its versions, by their keys.

    `stale` are the refs of rows that others have replaced, `removal` is that of the last removal.
    """

    of_now: Mapping[str, DocumentHead] = field(default_factory=dict)
    stale: frozenset[int] = frozenset()
    removal: int = 0

    @property
    def next_step(self) -> int:
        """Return the least ref that is newer than all."""
        newest = max((head.ref for head in self.of_now.values()), default=0)
        newest = max(newest, self.removal)
        return ((newest >> REF_BITS) + 1) << REF_BITS

    def word(self) -> str:
        """Return a word for what there is: another one after each change."""
        refs = np.sort(np.array([self.removal, *(head.ref for head in self.of_now.values())], dtype=np.int64))
        return hashlib.blake2b(refs.tobytes(), digest_size=8).hexdigest()


def key_of(source: str, doc_id: str) -> str:
    """Return the 32 hexadecimal digits that stand for a document in conditions, where no text of a user ever does."""
    return hashlib.blake2b(json.dumps([source, doc_id]).encode(), digest_size=16).hexdigest()


def read_heads(rows: Iterable[Mapping[str, Any]]) -> DocumentHeads:
    """Return what the documents' rows say; of two versions of a document, as a killed writer leaves them, the newer one counts."""
    of_now: dict[str, DocumentHead] = {}
    stale = set()
    removal = 0
    for row in rows:
        if row["key"] == "":
            removal = max(removal, row["ref"])
            continue
        head = DocumentHead(row["ref"], from_plain(row["source"]), from_plain(row["doc_id"]), from_plain(row["mark"]), row["chunks"])
        other = of_now.get(row["key"])
        if other is not None:
            stale.add(min(other.ref, head.ref))
        if other is None or other.ref < head.ref:
            of_now[row["key"]] = head
    return DocumentHeads(of_now, frozenset(stale), removal)


def new_heads(source: str, documents: Sequence[StoredDocument], step: int) -> dict[str, DocumentHead]:
    """Return documents as new versions, by their keys."""
    return {
        key_of(source, each.doc_id): DocumentHead(step | secrets.randbits(REF_BITS), source, each.doc_id, each.mark, len(each.chunks))
        for each in documents
    }


def table_schema(dimensions: int) -> pa.Schema:
    """Return the columns of a table."""
    import pyarrow as pa

    texts = [(name, pa.string()) for name in ("key", "source", "doc_id", "chunk_id", "text", "mark", "metadata", "about")]
    numbers = [("ref", pa.int64()), ("ordinal", pa.int32()), ("start", pa.int64()), ("end", pa.int64()), ("chunks", pa.int32())]
    return pa.schema([*texts, *numbers, ("vector", pa.list_(pa.float32(), dimensions))])


def document_rows(documents: Sequence[StoredDocument], heads: Mapping[str, DocumentHead], dimensions: int) -> pa.Table:
    """Return the rows of documents, in the order of their heads. Raises StorageError for metadata that have no JSON form."""
    import pyarrow as pa

    rows, vectors = [], []
    for document, (key, head) in zip(documents, heads.items(), strict=True):
        common = {
            "key": key,
            "ref": head.ref,
            "source": as_plain(head.source),
            "doc_id": as_plain(head.doc_id),
            "metadata": metadata_json(document.doc_id, document.metadata),
        }
        rows.append({**common, "ordinal": DOCUMENT, "mark": as_plain(head.mark), "chunks": head.chunks})
        vectors.append(np.zeros((1, dimensions), dtype=np.float32))
        for chunk in document.chunks:
            own = {
                "ordinal": chunk.ordinal,
                "start": chunk.start,
                "end": chunk.end,
                "about": metadata_json(document.doc_id, chunk.metadata),
            }
            rows.append({**common, **own, "chunk_id": as_plain(document.chunk_id(chunk)), "text": as_plain(chunk.text)})
            rows[-1]["about"] = metadata_json(document.doc_id, chunk.metadata)
        if head.chunks:
            vectors.append(document.vectors.astype(np.float32, copy=False))
    schema = table_schema(dimensions)
    table = pa.Table.from_pylist(rows, schema=schema.remove(schema.get_field_index("vector")))
    numbers = pa.array(np.concatenate(vectors).ravel()) if vectors else pa.array([], pa.float32())
    return table.append_column(schema.field("vector"), pa.FixedSizeListArray.from_arrays(numbers, dimensions))


def removal_row(step: int, dimensions: int) -> pa.Table:
    """Return the row that stands for a removal."""
    import pyarrow as pa

    row = {"key": "", "ref": step | secrets.randbits(REF_BITS), "ordinal": REMOVAL, "vector": [0.0] * dimensions}
    return pa.Table.from_pylist([row], schema=table_schema(dimensions))


def hit_of(row: Mapping[str, Any], score: float) -> Hit:
    """Return a chunk's row as a hit."""
    metadata = {**json.loads(row["metadata"]), **json.loads(row["about"])}
    text, doc_id = from_plain(row["text"]), from_plain(row["doc_id"])
    return Hit(from_plain(row["chunk_id"]), doc_id, score, text, metadata, row["start"], row["end"])


def document_of(head: DocumentHead, rows: Sequence[Mapping[str, Any]], vectors: Any) -> StoredDocument:
    """Return a document as it was put in, from its own row and its chunks' rows, with a vector a row, in any order."""
    order = sorted((row["ordinal"], place) for place, row in enumerate(rows))
    chunks = [
        Chunk(from_plain(row["text"]), row["start"], row["end"], ordinal, json.loads(row["about"]))
        for ordinal, place in order
        if ordinal != DOCUMENT and (row := rows[place])
    ]
    places = [place for ordinal, place in order if ordinal != DOCUMENT]
    return StoredDocument(head.doc_id, head.mark, chunks, vectors[places], json.loads(rows[order[0][1]]["metadata"]))
