"""Documents put into a collection's table and taken out of it; the caller holds the transaction and the collection's row."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from psycopg import sql

from asyncrun.errors import StorageError
from asyncrun.escape import is_utf8, printable
from asyncrun.stores.committing import check_document
from asyncrun.stores.interface import StoredDocument
from asyncrun.stores.metadata_json import metadata_json
from asyncrun.stores.pgvector.filter_sql import number_text
from asyncrun.stores.pgvector.schema import CollectionTable, Tables

if TYPE_CHECKING:
    from asyncrun.records import Chunk
    from asyncrun.stores.pgvector.connections import Connection

LONGEST_ID = 2_000
"""Bytes of a document's id: an entry of PostgreSQL's index holds 2,704 with everything."""
_COLUMNS = 'number, id, doc_id, source, ordinal, text, start, "end", metadata, chunk_metadata, embedding'
_HEAD = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
_END = struct.pack(">h", -1)
_BIGINT, _INT, _SIZE = struct.Struct(">iq"), struct.Struct(">ii"), struct.Struct(">i")
_FIELDS = struct.pack(">h", 11)
_JSONB_VERSION = b"\x01"
_FRAMES_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class TableChange:
    """How many chunks and characters a collection has more, and how many numbers were given away."""

    chunks: int = 0
    characters: int = 0
    numbers: int = 0

    def __add__(self, other: TableChange) -> TableChange:
        return TableChange(self.chunks + other.chunks, self.characters + other.characters, self.numbers + other.numbers)


def refusal(doc_id: str, text: str, metadata: Mapping[str, Any]) -> str | None:
    """Return why PostgreSQL cannot hold a document, None when it can: its texts hold no NUL and no half of a surrogate pair."""
    if len(doc_id.encode("utf-8", "surrogatepass")) > LONGEST_ID:
        return f"PostgreSQL cannot index an id of more than {LONGEST_ID} bytes"
    for what, words in (("id", doc_id), ("text", text)):
        if (at := words.find("\x00")) >= 0:
            return f"PostgreSQL cannot store the NUL character, which the {what} has at position {at}"
        if not is_utf8(words):
            return f"PostgreSQL cannot store the {what}: it is not UTF-8"
    written = _metadata(doc_id, metadata)
    if "\\u0000" in written or "\\ud" in written:
        return "PostgreSQL cannot store the metadata: a text in them has a NUL character or half of a surrogate pair"
    return None


def delete_documents(
    connection: Connection, tables: Tables, row: CollectionTable, source: str, doc_ids: Sequence[str]
) -> tuple[int, TableChange]:
    """Delete those documents of a source that are there; return how many, and what the collection has less."""
    query = sql.SQL("DELETE FROM {} WHERE collection = %s AND source = %s AND doc_id = ANY (%s) RETURNING first_chunk, chunks")
    # What PostgreSQL cannot hold is not there.
    known = [doc_id for doc_id in doc_ids if "\x00" not in doc_id and is_utf8(doc_id)]
    ranges = connection.execute(query.format(tables.documents), (row.number, source, known)).fetchall()
    if not any(chunks for _, chunks in ranges):
        return len(ranges), TableChange()
    gone = sql.SQL(
        """WITH gone AS (DELETE FROM {} USING unnest(%s::bigint[], %s::bigint[]) AS r (first, behind)
           WHERE number >= first AND number < behind RETURNING "end" - start AS size) SELECT count(*), coalesce(sum(size), 0) FROM gone"""
    ).format(tables.chunks(row))
    bounds = ([first for first, _ in ranges], [first + chunks for first, chunks in ranges])
    chunks, characters = connection.execute(gone, bounds).fetchone() or (0, 0)
    return len(ranges), TableChange(-int(chunks), -int(characters))


def insert_documents(
    connection: Connection, tables: Tables, row: CollectionTable, source: str, documents: Sequence[StoredDocument]
) -> TableChange:
    """Put in documents that are not there; return what the collection has more.

    Raises SpaceMismatchError and ValueError as `check_document`, StorageError for what PostgreSQL cannot hold.
    """
    heads: list[tuple[Any, ...]] = []
    number = row.next_chunk
    for document in documents:
        check_document(document, row.dimensions)
        if (why := _unfit(document)) is not None:
            raise StorageError(f"document {printable(document.doc_id, 100)!r}: {why}", hint="Correct the document, or leave it out.")
        heads.append((document.doc_id, document.mark, _metadata(document.doc_id, document.metadata), number, len(document.chunks)))
        number += len(document.chunks)
    columns = [list(column) for column in zip(*heads, strict=True)]
    query = sql.SQL(
        """INSERT INTO {} (collection, source, doc_id, mark, metadata, first_chunk, chunks)
           SELECT %s, %s, * FROM unnest(%s::text[], %s::text[], %s::jsonb[], %s::bigint[], %s::int[])"""
    )
    connection.execute(query.format(tables.documents), (row.number, source, *columns))
    if number == row.next_chunk:
        return TableChange()
    # A statement without parameters.
    copy = f"COPY {{}} ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"
    with connection.cursor().copy(sql.SQL(copy).format(sql.Identifier(tables.schema, row.table_name))) as into:
        into.write(_HEAD)
        for block in _blocks(documents, source, row.next_chunk, [head[2] for head in heads]):
            into.write(block)
        into.write(_END)
    characters = sum(chunk.end - chunk.start for document in documents for chunk in document.chunks)
    return TableChange(number - row.next_chunk, characters, number - row.next_chunk)


def touch(connection: Connection, tables: Tables, row: CollectionTable, change: TableChange) -> None:
    """Give a collection what it has more, and a new revision: random, so that one made anew repeats none that a reader remembers."""
    query = sql.SQL(
        """UPDATE {} SET revision = %s, next_chunk = next_chunk + %s, chunks = chunks + %s, characters = characters + %s
           WHERE number = %s"""
    ).format(tables.collections)
    connection.execute(query, (uuid.uuid4().hex[:16], change.numbers, change.chunks, change.characters, row.number))


def _metadata(doc_id: str, metadata: Mapping[str, Any]) -> str:
    """Return metadata as JSON whose numbers PostgreSQL takes for what they are. Raises StorageError for what has no JSON form."""
    text = metadata_json(doc_id, metadata)
    return metadata_json(doc_id, _in_full(metadata)) if "e+" in text else text


def _in_full(value: Any) -> Any:
    """Return metadata with large numbers in all of their digits: numeric is exact, and 1e23 is not the float that is written so."""
    if isinstance(value, float) and abs(value) >= 1e16 and value - value == 0:
        return int(number_text(value))
    if isinstance(value, Mapping):
        return {key: _in_full(item) for key, item in value.items()}
    return [_in_full(item) for item in value] if isinstance(value, list | tuple) else value


def _unfit(document: StoredDocument) -> str | None:
    text = next((chunk.text for chunk in document.chunks if "\x00" in chunk.text or not is_utf8(chunk.text)), "")
    return refusal(document.doc_id, text, document.metadata)


def _blocks(documents: Sequence[StoredDocument], source: str, number: int, metadata: Sequence[str]) -> Iterator[bytes]:
    """Yield the rows of the documents' chunks in PostgreSQL's binary format (its manual, COPY, "Binary Format")."""
    frames: list[bytes] = []
    owner = _field(source.encode())
    for document, about in zip(documents, metadata, strict=True):
        if not document.chunks:
            continue
        doc_id, shared = _field(document.doc_id.encode()), _field(_JSONB_VERSION + about.encode())
        for chunk, vector in zip(document.chunks, _vector_fields(document.vectors), strict=True):
            frames += _frame(document, chunk, number, (doc_id, owner, shared, vector))
            number += 1
            if len(frames) >= _FRAMES_AT_ONCE * 8:
                yield b"".join(frames)
                frames = []
    yield b"".join(frames)


def _frame(document: StoredDocument, chunk: Chunk, number: int, fields: tuple[bytes, bytes, bytes, bytes]) -> Sequence[bytes]:
    doc_id, owner, shared, vector = fields
    own = b"{}" if not chunk.metadata else _metadata(document.doc_id, chunk.metadata).encode()
    return (
        *(_FIELDS, _BIGINT.pack(8, number), _field(document.chunk_id(chunk).encode()), doc_id, owner, _INT.pack(4, chunk.ordinal)),
        *(_field(chunk.text.encode()), _INT.pack(4, chunk.start), _INT.pack(4, chunk.end), shared, _field(_JSONB_VERSION + own), vector),
    )


def _field(data: bytes) -> bytes:
    return _SIZE.pack(len(data)) + data


def _vector_fields(vectors: np.ndarray[Any, np.dtype[np.float32]]) -> Iterator[bytes]:
    """Yield each row as pgvector takes it: its size, the number of dimensions, two bytes of nothing, the numbers, all big-endian."""
    dimensions = vectors.shape[1]
    head = struct.pack(">ihh", 4 + 4 * dimensions, dimensions, 0)
    data, width = vectors.astype(">f4").tobytes(), 4 * dimensions
    for start in range(0, len(data), width):
        yield head + data[start : start + width]
