"""Bodies of requests that do not fit in memory: lines written into a file that nobody else sees, and sent from there."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import BinaryIO

from asyncrun.errors import StorageError, os_words

PIECE = 2**20
"""Bytes that are read from the file at a time."""


@dataclass(frozen=True, slots=True)
class FileContent:
    """The content of a file, between what stands before and behind it; it can be sent several times, one after the other."""

    file: BinaryIO
    length: int
    before: bytes = b""
    behind: bytes = b""

    @property
    def size(self) -> int:
        """Return how many bytes are sent."""
        return len(self.before) + self.length + len(self.behind)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield what is sent."""
        if self.before:
            yield self.before
        await asyncio.to_thread(self.file.seek, 0)
        while piece := await asyncio.to_thread(self.file.read, PIECE):
            yield piece
        if self.behind:
            yield self.behind

    def as_form(self, name: str, purpose: str) -> tuple[FileContent, str]:
        """Return it as the file of a form (RFC 7578) with a purpose, and the form's content type.

        JSON lines hold no line break within them, so the boundary cannot stand in one.
        """
        boundary = f"boundary-of-{name}"
        fields = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n{purpose}\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}.jsonl"\r\n'
            # Azure refuses a file without a type.
            "Content-Type: application/jsonl\r\n\r\n"
        )
        form = replace(self, before=fields.encode() + self.before, behind=self.behind + f"\r\n--{boundary}--\r\n".encode())
        return form, f"multipart/form-data; boundary={boundary}"


@asynccontextmanager
async def written(parts: Iterable[bytes]) -> AsyncIterator[FileContent]:
    """Write the parts into a temporary file without a name, in a thread, and lend its content.

    Raises StorageError where there is no room for it, and what the parts raise.
    """
    with _disk_faults():
        file = await asyncio.to_thread(tempfile.TemporaryFile)
    try:
        length = await asyncio.to_thread(_write, file, parts)
        yield FileContent(file, length)
    finally:
        with suppress(OSError):  # Of a full disk, which was told when it was written to.
            await asyncio.shield(asyncio.to_thread(file.close))


def _write(file: BinaryIO, parts: Iterable[bytes]) -> int:
    length = 0
    for part in parts:
        with _disk_faults():
            length += file.write(part)
    with _disk_faults():
        file.flush()
    return length


@contextmanager
def _disk_faults() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"no temporary file for a batch: {os_words(error)}", hint="Free the disk, or set TMPDIR.") from error
