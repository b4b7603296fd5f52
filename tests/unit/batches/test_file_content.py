"""What is sent stands in a file that can be sent again, and is gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from asyncrun.batches.file_content import FileContent, written
from asyncrun.errors import StorageError


async def sent(content: FileContent) -> bytes:
    return b"".join([piece async for piece in content.pieces()])


@pytest.mark.asyncio
async def test_a_content_can_be_sent_twice() -> None:
    async with written([b"one\n", b"two\n"]) as content:
        assert await sent(content) == await sent(content) == b"one\ntwo\n"
        assert content.size == 8
    assert content.file.closed


@pytest.mark.asyncio
async def test_a_form_has_the_purpose_and_the_file_and_says_how_long_it_is() -> None:
    async with written([b'{"a": 1}\n']) as content:
        form, kind = content.as_form("asyncrun-tag", "batch")
        body = await sent(form)
    assert len(body) == form.size
    boundary = kind.removeprefix("multipart/form-data; boundary=").encode()
    nothing, purpose, file, end = body.split(b"--" + boundary)
    assert (nothing, end) == (b"", b"--\r\n")
    assert purpose == b'\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    head, _, content_of_file = file.partition(b"\r\n\r\n")
    assert b'name="file"; filename="asyncrun-tag.jsonl"' in head
    assert b"Content-Type: application/jsonl" in head
    assert content_of_file == b'{"a": 1}\n\r\n'


class FullDisk:
    closed = False

    def write(self, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    def close(self) -> None:
        """As files do: what is still to be written is tried once more."""
        self.closed = True
        raise OSError(28, "No space left on device")


@pytest.mark.asyncio
async def test_a_full_disk_is_told_as_such_and_leaves_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FullDisk()
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: disk)
    with pytest.raises(StorageError, match="No space left on device") as full:
        async with written([b"one"]):
            pass
    assert "TMPDIR" in full.value.hint
    assert disk.closed


@pytest.mark.asyncio
async def test_what_the_requests_raise_comes_out_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def requests() -> Iterator[bytes]:
        yield b"one"
        raise OSError("of the ledger")

    files: list[Any] = []
    make = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: files.append(make()) or files[0])
    with pytest.raises(OSError, match="of the ledger"):
        async with written(requests()):
            pass
    assert files[0].closed
