from __future__ import annotations

import errno
import io
import os
import subprocess
import sys

import pytest

from asyncrun.errors import StorageError
from asyncrun.streams import OutputStream


class Failing(io.StringIO):
    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.tried = 0

    def write(self, text: str) -> int:
        self.tried += 1
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("answer", [True, False])
def test_a_reader_that_goes_away_ends_nothing(answer: bool) -> None:
    stream = Failing(errno.EPIPE)
    outlet = OutputStream(stream, answer=answer)
    outlet.line("one")
    outlet.line("two")
    assert stream.tried == 1


def test_a_full_disk_is_told_once_where_the_lines_are_the_answer() -> None:
    outlet = OutputStream(Failing(errno.ENOSPC), answer=True)
    with pytest.raises(StorageError, match="No space left"):
        outlet.line("one")
    outlet.line("two")


def test_a_full_disk_is_silence_where_the_lines_are_a_courtesy() -> None:
    stream = Failing(errno.ENOSPC)
    outlet = OutputStream(stream)
    outlet.line("one")
    outlet.line("two")
    assert stream.tried == 1


def test_a_closed_stream_is_silence() -> None:
    stream = io.StringIO()
    stream.close()
    OutputStream(stream).line("one")
    assert stream.closed


def test_a_character_that_the_encoding_lacks_is_written_out() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    OutputStream(stream).line("Zürich")
    assert raw.getvalue() == b"Z\\xfcrich\n"


def test_where_the_encoding_has_no_ellipsis_it_is_a_tilde_and_takes_one_column() -> None:
    raw = io.BytesIO()
    # Like sys.stderr, which writes an escape for whatever its encoding lacks.
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="backslashreplace")
    OutputStream(stream).line("a-long-na\u2026 caf\u00e9")
    OutputStream(stream, errors="replace").line("a-long-na\u2026 caf\u00e9")
    assert raw.getvalue() == b"a-long-na~ caf\\xe9\na-long-na~ caf?\n"


def test_a_process_whose_reader_went_away_ends_with_its_own_exit_code() -> None:
    imports = "import sys; from asyncrun.streams import OutputStream"
    program = f"{imports}; o = OutputStream(sys.stdout); [o.line('x' * 1000) for _ in range(999)]; sys.exit(3)"
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 3
