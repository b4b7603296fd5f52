"""Texts in other encodings than UTF-8: named by the user, marked by the file, or guessed; and files of them read as UTF-8."""

from __future__ import annotations

import codecs
import io
from typing import IO, NamedTuple

from asyncrun.errors import ItemError

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""Byte order marks, the longer one of two that begin alike first."""
_GUESSED_FROM = 64 * 1024
_HINT = "set `input.encoding`"
_NO_BYTE = "asyncrun.no-byte-of-utf-8"
# A table of names is where the codecs look for what to do with bytes that mean nothing: such a line is no UTF-8 in turn, and is told apart.
codecs.register_error(_NO_BYTE, lambda error: ("\udcff", error.end) if isinstance(error, UnicodeDecodeError) else ("", 0))


class Decoded(NamedTuple):
    """A text, and the encoding that was guessed for it, empty for one that was named, marked or is UTF-8."""

    text: str
    guess: str = ""


def decode_document(data: bytes, encoding: str | None = None, declared: str | None = None) -> Decoded:
    r"""Return a document as text: by its byte order mark, else in `encoding`, else as it is `declared` or UTF-8, else as guessed.

    >>> decode_document("Fl\xfcsse".encode("utf-16")).text
    'Flüsse'

    Raises ItemError (bad_text) for what is in none of them.
    """
    # A text in UTF-16 that begins with a NUL has the mark of UTF-32.
    narrow = encoding is not None and codecs.lookup(encoding).name == "utf-16"
    marks = ((mark, name) for mark, name in _MARKS.items() if not (narrow and name.startswith("utf-32")))
    mark, marked = next(((mark, name) for mark, name in marks if data.startswith(mark)), (b"", None))
    body = data.removeprefix(mark)
    if named := marked or encoding:
        return Decoded(_strictly(body, named, f"not {named}"))
    if declared and (text := _try(body, declared)) is not None:
        return Decoded(text)
    try:
        # Half of the bytes of English in UTF-16 are zeros, and all of them UTF-8.
        if b"\0" not in body or not _looks_wide(body):
            return Decoded(body.decode())
        first = 0
    except UnicodeDecodeError as error:
        first = error.start
    guess = _guess(body, first)
    not_utf8 = f"not UTF-8: byte 0x{body[first]:02x} at offset {first} of the file"
    if not guess:
        raise ItemError(f"{not_utf8}; it looks like no text ({_HINT} if it is one)", reason="bad_text")
    return Decoded(_strictly(body, guess, f"{not_utf8}, and not {guess}, which it looks like"), guess)


def utf8_of(file: IO[bytes], encoding: str) -> IO[bytes]:
    """Return a file whose bytes are those of `file` in UTF-8; what means nothing in its encoding becomes a byte that no UTF-8 has."""
    return io.BufferedReader(_Transcoder(file, encoding), 256 * 1024)


class _Transcoder(io.RawIOBase):
    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._file = file
        self._encoding = encoding
        self._decoder: codecs.IncrementalDecoder | None = None
        self._ready = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed allows any buffer; its only caller gives a view.
        while not self._ready and not self._ended:
            data = self._file.read(64 * 1024)
            self._ended = not data
            if self._decoder is None:
                self._decoder = codecs.getincrementaldecoder(_with_order(self._encoding, data))(_NO_BYTE)
            self._ready = self._decoder.decode(data, self._ended).encode("utf-8", "surrogateescape")
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _with_order(encoding: str, start: bytes) -> str:
    """Return an encoding whose bytes have an order; without a mark it is the usual one, as for `bytes.decode`."""
    name = codecs.lookup(encoding).name
    return f"{name}-le" if name in ("utf-16", "utf-32") and not start.startswith(tuple(_MARKS)) else encoding


def _strictly(data: bytes, encoding: str, otherwise: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        where = f": byte 0x{data[error.start]:02x} at offset {error.start} of the file" if otherwise == f"not {encoding}" else ""
        raise ItemError(f"{otherwise}{where} ({_HINT})", reason="bad_text") from None


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except (LookupError, UnicodeError, ValueError):
        return None


def _looks_wide(data: bytes) -> bool:
    try:
        return _guess(data, 0).startswith(("utf-16", "utf-32"))
    except ItemError:
        return False


def _guess(data: bytes, first: int) -> str:
    """Return the encoding of what lies around the `first` byte that is not UTF-8, empty for no text. Raises ItemError without the extra."""
    try:
        import chardet
    except ImportError:
        told = f"not UTF-8: byte 0x{data[first]:02x} at offset {first} of the file"
        raise ItemError(f"{told} ({_HINT}, or have it guessed: pip install 'asyncrun[documents]')", reason="bad_text") from None

    # What comes before is ASCII for the most part, and fits every guess.
    start = max(0, first - 4096, data.rfind(b"\n", 0, first) + 1)
    start -= start % 4  # Units of UTF-32 begin here.
    return (chardet.detect(data[start : first + _GUESSED_FROM], prefer_superset=True)["encoding"] or "").lower()
