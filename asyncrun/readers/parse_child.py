"""A process that parses documents for another: paths come in by its pipe, what the files hold goes out; it ends with the pipe."""

from __future__ import annotations

import importlib
import os
import resource
import select
import signal
import struct
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

import orjson

from asyncrun.errors import ItemError, StorageError
from asyncrun.readers.byte_lines import LONGEST, document

Parser = Callable[[bytes], Mapping[str, Any]]
"""Takes the bytes of a file, and returns its fields: the text under `text`, and what the file says of itself.

Under `REMARK` it may say what becomes the record's remark. Raises ItemError for a file that it refuses; whatever else it raises is told
as a file that cannot be read.
"""

REMARK = "\0remark"
LARGEST = 256 * 1024 * 1024
"""Bytes of the largest file that is parsed, after its compression."""
HEADER = struct.Struct(">I?")
"""Of an answer: its length in bytes, and whether it is the last of this process."""


def main() -> None:
    """Answer one request after the other: `seconds` of a file and bytes of memory are the arguments.

    A file that takes longer is ended by the kernel (SIGALRM), whatever the parser does with signals or with the interpreter's lock.
    """
    seconds, memory = int(sys.argv[1]), int(sys.argv[2])
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, memory)
    requests, answers = _private(sys.stdin, os.O_RDONLY, "rb"), _private(sys.stdout, os.O_WRONLY, "wb")
    threading.Thread(target=_end_with_pipe, args=(requests.fileno(),), daemon=True).start()
    while (size := requests.read(4)) and len(size) == 4:
        target, _, path = requests.read(int.from_bytes(size, "big")).partition(b"\0")
        signal.alarm(seconds)
        answer, last = answer_to(target.decode(), Path(os.fsdecode(path)))
        signal.alarm(0)
        # What a large file leaves of the room would be missing to the next one.
        last = last or _address_space() > memory // 4
        answers.write(HEADER.pack(len(answer), last) + answer)
        answers.flush()
        if last:
            return


def answer_to(target: str, path: Path) -> tuple[bytes, bool]:
    """Return the answer about one file as JSON, and whether the process should end after it: its memory was not enough.

    The answer has `fields` and a `remark`, or `reason` and `message` of a bad record, or `unreadable`, the sentence about a process
    that can read no file.
    """
    try:
        data = document(path, str(path), at_most=LARGEST)
        if data is None:
            return _bad(too_large()), False
        fields = dict(_load(target)(data))
        remark = fields.pop(REMARK, "")
        if len(fields["text"]) > LONGEST:
            return _bad(f"its text is longer than {LONGEST >> 20} MB"), False
        return orjson.dumps({"fields": fields, "remark": remark}, default=str, option=orjson.OPT_SERIALIZE_NUMPY), False
    except StorageError as error:
        return orjson.dumps({"unreadable": error.message}), False
    except ItemError as error:
        return _bad(error.message, error.reason), False
    except orjson.JSONEncodeError as error:
        return _bad(f"what it holds cannot be written: {error}", "bad_text"), False
    except MemoryError:
        return _bad("it takes more memory than a parser may have"), True
    except RecursionError:
        return _bad("it is nested too deeply to be parsed"), False
    except Exception as error:
        words = str(error).encode(errors="replace").decode()[:300]
        return _bad(f"it cannot be parsed: {type(error).__name__}{': ' if words else ''}{words}"), False


def too_large() -> str:
    """Return the sentence about a file above `LARGEST`."""
    return f"the file is longer than {LARGEST >> 20} MB"


def _load(target: str) -> Parser:
    function, _, encoding = target.partition(" ")
    module, _, name = function.partition(":")
    parser: Callable[..., Mapping[str, Any]] = getattr(importlib.import_module(module), name)
    return partial(parser, encoding=encoding) if encoding else parser


def _bad(message: str, reason: str = "bad_record") -> bytes:
    return orjson.dumps({"reason": reason, "message": message})


def _limit(what: int, most: int) -> None:
    with suppress(ValueError, OSError):  # not every system lets this be limited, and nobody may raise what is lower already
        resource.setrlimit(what, (most, most))


def _address_space() -> int:
    """Return the bytes that count for the limit, 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _private(stream: IO[str], mode: int, words: str) -> IO[bytes]:
    """Return the pipe behind a standard stream, and leave nothing there: a library may print."""
    kept = os.dup(stream.fileno())
    nothing = os.open(os.devnull, mode)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)
    return os.fdopen(kept, words)


def _end_with_pipe(descriptor: int) -> None:
    """End the process when nobody holds the other end: whoever asked is gone, however it went."""
    watch = select.poll()
    watch.register(descriptor, 0)
    while not any(event & (select.POLLHUP | select.POLLERR) for _, event in watch.poll()):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
