"""Processes that parse documents ahead: a file that hangs, crashes or eats memory ends its process and fails, the others go on."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import orjson

from asyncrun.errors import Place, ResourceError, StorageError, os_words
from asyncrun.readers.interface import BadRecord, Record, Stopped
from asyncrun.readers.parse_child import HEADER, LARGEST
from asyncrun.redact import inheritable

T = TypeVar("T")
HELD = 16 * 1024 * 1024
"""Bytes of answers that wait to be taken: with so many, no further file is begun."""
STOP_NOTICED = 0.25
"""Seconds after which whoever waits for a file asks whether to go on."""
_CALL = "import sys; sys.path[:] = {path!r}; from asyncrun.readers.parse_child import main; main()"


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """What one file may take of the machine: `seconds` of real time, and bytes of address space with the parser itself."""

    seconds: int = 60
    memory: int = 2 * 1024 * 1024 * 1024


class Ended(NamedTuple):
    """How a process ended in the middle of a file: its exit code (negative: a signal), and its largest memory in bytes, 0 if unknown."""

    code: int
    memory: int


class ParserProcess:
    """One process that parses files, one after the other."""

    def __init__(self, limits: ParseLimits) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", _CALL.format(path=sys.path), str(limits.seconds), str(limits.memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=inheritable(os.environ),
            process_group=0,  # A Ctrl-C at the terminal is for whoever runs the job.
        )
        # The system counts what this process had when it started the other one as the largest memory of that one, too.
        self._inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def parse(self, parser: str, path: Path) -> tuple[bytes, bool] | Ended:
        """Return the answer about a file, and whether the process ends after it, or how it ended before it. Blocks."""
        request = parser.encode() + b"\0" + os.fsencode(path)
        source, sink = self._process.stdout, self._process.stdin
        assert source is not None and sink is not None  # noqa: S101 (both are pipes)
        try:
            sink.write(len(request).to_bytes(4, "big") + request)
            sink.flush()
            header = source.read(HEADER.size)
            size, last = HEADER.unpack(header) if len(header) == HEADER.size else (0, True)
            answer = source.read(size) if size <= 2 * LARGEST else b""
        except OSError:  # of a pipe whose other end is gone
            size, answer, last = 0, b"", True
        if not answer or len(answer) < size:
            return self._ended()
        return answer, last

    def kill(self) -> None:
        """End the process at once; whoever waits for its answer sees that it has ended."""
        self._process.kill()

    def close(self) -> None:
        """End the process, wait for that, and close its pipes. Blocks for milliseconds."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # of what was written and never read
                if pipe is not None:
                    pipe.close()

    def _ended(self) -> Ended:
        try:
            _, status, usage = os.wait4(self._process.pid, 0)
        except ChildProcessError:  # whoever closes the pool was faster
            return Ended(-signal.SIGKILL, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        largest = usage.ru_maxrss if usage.ru_maxrss > self._inherited else 0
        return Ended(self._process.returncode, largest * (1 if sys.platform == "darwin" else 1024))


@dataclass(slots=True, eq=False)
class Parsing:
    """A file on its way through a parser."""

    parser: str
    path: Path
    shown: str
    answer: bytes | Ended | OSError | None = None


@dataclass(eq=False)
class ParserPool:
    """Parses files in the order in which they are begun, `size` at once, each in a process that is started when it is first needed.

    `ahead` files are begun or parsed and not taken, at most: whoever begins them sees to that.

    It is used as a context, at whose end no process and no thread of it is left. One thread takes the answers.
    """

    size: int
    limits: ParseLimits = field(default_factory=ParseLimits)
    ahead: int = 32

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[Parsing] = deque()
        self._idle: list[ParserProcess] = []
        self._processes: set[ParserProcess] = set()
        self._threads: list[threading.Thread] = []
        self._busy = 0
        self._held = 0
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._changed:
            self._closed = True
            self._waiting.clear()
            for process in self._processes:
                process.kill()
            self._changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():  # a collection of garbage may close a pool from anywhere
                thread.join()
        for process in self._processes:
            process.close()
        self._processes.clear()

    def begin(self, parser: str, path: Path, shown: str) -> Parsing:
        """Have a file parsed; `parser` is a `ParsedReader.target`."""
        parsing = Parsing(parser, path, shown)
        with self._changed:
            self._waiting.append(parsing)
            if self._busy + len(self._waiting) > len(self._threads) < self.size:
                self._threads.append(threading.Thread(target=self._work, name="asyncrun parser", daemon=True))
                self._threads[-1].start()
            self._changed.notify_all()
        return parsing

    def take(self, parsing: Parsing, stopped: Stopped = lambda: None) -> Record | BadRecord:
        """Wait for a file's record. Blocks.

        Raises what `stopped` returns meanwhile, StorageError when no file can be read now, ResourceError when no process can be started.
        """
        with self._changed:
            while (answer := parsing.answer) is None:
                self._changed.wait(STOP_NOTICED)
                if (error := stopped()) is not None:
                    raise error
            if isinstance(answer, bytes):
                self._held -= len(answer)
                self._changed.notify_all()
        return record_of(answer, Place(parsing.shown), self.limits)

    def _work(self) -> None:
        while True:
            with self._changed:
                # Files are begun in order: where the next one is waited for, no answer is held, so nobody waits for ever.
                while not self._closed and (not self._waiting or self._held >= HELD):
                    self._changed.wait()
                if self._closed:
                    return
                parsing = self._waiting.popleft()
                self._busy += 1
            answer = self._answer(parsing)
            with self._changed:
                self._busy -= 1
                parsing.answer = answer
                self._held += len(answer) if isinstance(answer, bytes) else 0
                self._changed.notify_all()

    def _answer(self, parsing: Parsing) -> bytes | Ended | OSError:
        try:
            process = self._process()
        except OSError as error:
            return error
        answered = process.parse(parsing.parser, parsing.path)
        answer, last = (answered, True) if isinstance(answered, Ended) else answered
        with self._changed:
            if self._closed:
                return answer
            if not last:
                self._idle.append(process)
                return answer
            self._processes.discard(process)
        process.close()
        return answer

    def _process(self) -> ParserProcess:
        with self._changed:
            if self._closed:
                raise OSError("the pool is closed")
            if self._idle:
                return self._idle.pop()
            process = ParserProcess(self.limits)
            self._processes.add(process)
            return process


def record_of(answer: bytes | Ended | OSError, place: Place, limits: ParseLimits) -> Record | BadRecord:
    """Return the record that an answer of a parser stands for. Raises StorageError where it could read no file."""
    if isinstance(answer, OSError):
        raise ResourceError(f"no process can be started to parse it: {os_words(answer)}", place=place) from answer
    if isinstance(answer, Ended):
        return BadRecord(place, "bad_record", _how_it_ended(answer, limits))
    told: dict[str, Any] = orjson.loads(answer)
    if "unreadable" in told:
        raise StorageError(told["unreadable"], place=place, hint="Run the same command again: finished items are not sent again.")
    if "fields" in told:
        return Record(told["fields"], place, told["remark"])
    return BadRecord(place, told["reason"], told["message"])


def _how_it_ended(ended: Ended, limits: ParseLimits) -> str:
    if ended.code == -signal.SIGALRM:
        return f"its parser was ended: it took longer than {limits.seconds} s"
    if ended.memory > limits.memory // 2:
        return f"its parser was ended: it takes more than {limits.memory >> 20} MB of memory"
    name = signal.Signals(-ended.code).name if ended.code < 0 else f"exit code {ended.code}"
    return f"its parser crashed ({name}): the file is damaged, or made to do harm"
