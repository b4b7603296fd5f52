"""Whether somebody still reads a stream."""

from __future__ import annotations

import errno
import io
import os
import pty
from pathlib import Path

import pytest

from asyncrun.streams import discard_output, reader_is_gone

BROKEN = OSError(errno.EIO, "Input/output error")


def test_a_terminal_whose_window_was_closed_is_gone() -> None:
    ours, theirs = pty.openpty()
    os.close(ours)
    with os.fdopen(theirs, "w") as stream:
        with pytest.raises(OSError, match="Input/output error") as raised:
            os.write(stream.fileno(), b"x")
        assert reader_is_gone(stream, raised.value)
        discard_output(stream)
        stream.write("x")


def test_a_broken_disk_is_not_taken_for_a_reader_that_left(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as stream:
        assert not reader_is_gone(stream, BROKEN)
        assert reader_is_gone(stream, BrokenPipeError())
    with Path("/dev/full").open("w") as full:
        assert not reader_is_gone(full, OSError(errno.ENOSPC, "No space left on device"))


def test_what_is_no_file_is_left_as_it_is() -> None:
    stream = io.StringIO()
    discard_output(stream)
    stream.write("x")
    assert stream.getvalue() == "x"
    assert not reader_is_gone(stream, BROKEN)
