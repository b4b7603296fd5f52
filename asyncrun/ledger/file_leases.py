"""Leases: files that say what a job is sending, in this process or another; the kernel ends them with their process, even by SIGKILL.

A lease is held as long as its file is locked with `flock`: nobody has to renew it, and no clock is compared. What a killed process leaves
is a file without a lock, which the next one to look removes. A process that is suspended keeps its leases.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import orjson

from asyncrun.errors import StorageError, os_words
from asyncrun.process_locks import hold_folder
from asyncrun.records import KEY_BYTES, EmbedFailure

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXTS, ANSWER = ".texts", ".answer"


class Lease:
    """A file that is locked from when it is taken until it ends. Its methods block, and may be called in any threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._busy = threading.Lock()
        self._over = False
        self._path: Path | None = None
        self._file: BinaryIO | None = None

    def end(self) -> None:
        """Let go of it; may be called twice. One that is taken later is not taken at all."""
        with self._busy:
            self._over = True
            if self._file is None or self._path is None:
                return
            with suppress(OSError):  # On a full disk they are not told.
                self._file.write(self._last_words())
                self._file.flush()
            with suppress(OSError):
                self._path.unlink()
            with suppress(OSError):
                self._file.close()
            self._path = self._file = None

    def _last_words(self) -> bytes:
        """Return what those who wait are told at the end."""
        return b""


class TextLease(Lease):
    """Texts of a space that a job is sending.

    `others` are the leases in which others have some of those that were asked for. `failed` is to say, by key, why some of its texts have
    no vector: it is told at its end.
    """

    def __init__(self, folder: Path, of: str) -> None:
        super().__init__(folder)
        self._of = of
        self.others: list[OtherLease] = []
        self.failed: dict[bytes, EmbedFailure] = {}

    def take(self, space: str, keys: bytes) -> NDArray[np.bool_]:
        """Return which of the texts, by their keys one after the other, are in nobody else's lease; those are in this one from now on.

        Raises TryLaterError while another process is looking, and StorageError.
        """
        wanted = np.frombuffer(keys, dtype=f"V{KEY_BYTES}")
        mine = np.ones(len(wanted), dtype=bool)
        with self._busy, _usable(self._folder), hold_folder(self._folder, timeout=0):
            for other in () if self._over else _others(self._folder):
                taken = np.isin(wanted, other.keys()) if other.space == space else np.zeros(1, dtype=bool)
                if not taken.any():
                    other.close()
                    continue
                other.texts = int(np.count_nonzero(taken))
                self.others.append(other)
                mine &= ~taken
            if mine.any() and not self._over:
                self._publish(space, wanted[mine])
        return mine

    def _publish(self, space: str, keys: NDArray[np.void]) -> None:
        descriptor, name = mkstemp(TEXTS, dir=self._folder)
        self._path, self._file = Path(name), os.fdopen(descriptor, "wb")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._file.write(orjson.dumps({"of": self._of, "pid": os.getpid(), "space": space, "texts": len(keys)}) + b"\n")
        self._file.write(keys.tobytes())
        self._file.flush()

    def _last_words(self) -> bytes:
        return orjson.dumps([[key.hex(), failure.reason, failure.message, failure.attempts] for key, failure in self.failed.items()])

    def close(self) -> None:
        """End it, and let go of what others have."""
        self.end()
        for other in self.others:
            other.close()


@dataclass(slots=True, eq=False)
class OtherLease:
    """A lease of another job. `texts` is how many of the texts that were asked for are in it, `here` says that it is of this process."""

    of: str
    here: bool
    space: str
    count: int
    file: BinaryIO
    texts: int = 0

    def has_ended(self) -> bool:
        """Tell whether its job has let go of it, or its process has ended. Does not block."""
        try:
            fcntl.flock(self.file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(self.file, fcntl.LOCK_UN)
        return True

    def keys(self) -> NDArray[np.void]:
        """Return the keys of its texts; may be called once. Blocks."""
        found = self.file.read(self.count * KEY_BYTES)
        return np.frombuffer(found[: len(found) // KEY_BYTES * KEY_BYTES], dtype=f"V{KEY_BYTES}")

    def failed(self) -> dict[bytes, EmbedFailure]:
        """Return what its job told at its end, after `keys`; nothing where its process was killed. Blocks."""
        with suppress(OSError, ValueError):
            rows = orjson.loads(self.file.read())
            return {bytes.fromhex(key): EmbedFailure(0, reason, message, attempts) for key, reason, message, attempts in rows}
        return {}

    def close(self) -> None:
        """Let go of its file; may be called twice."""
        self.file.close()


class AnswerLease(Lease):
    """The right to ask a model for one answer."""

    def __init__(self, folder: Path, key: bytes) -> None:
        super().__init__(folder)
        self._name = key.hex() + ANSWER

    def take(self) -> bool:
        """Tell whether nobody else has it: then it is this one's. Raises StorageError."""
        path = self._folder / self._name
        with self._busy, _usable(self._folder):
            if self._over:
                return False
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            file = os.fdopen(descriptor, "wb")
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever had it may have removed the file since it was opened here.
                free = os.path.samestat(os.fstat(descriptor), path.stat())
            except (BlockingIOError, FileNotFoundError):
                free = False
            if free:
                self._path, self._file = path, file
                return True
            file.close()
            return False


def _others(folder: Path) -> Iterator[OtherLease]:
    """Yield the leases that are held, and remove what killed processes have left."""
    for path in sorted(folder.glob(f"*{TEXTS}")):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            continue
        try:
            head = orjson.loads(file.readline())
            other = OtherLease(head["of"], head["pid"] == os.getpid(), head["space"], head["texts"], file)
        except (ValueError, KeyError, TypeError):
            other = OtherLease("", False, "", 0, file)
        if other.has_ended():
            path.unlink(missing_ok=True)
            file.close()
        else:
            yield other


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """Make the folder of the leases if it is not there, and say what an error of the disk means."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        yield
    except OSError as error:
        raise StorageError(
            f"cannot say in {folder} what is being sent: {os_words(error)}",
            hint="Make room on the disk and the folder writable, or choose another one with --state-dir.",
        ) from error
