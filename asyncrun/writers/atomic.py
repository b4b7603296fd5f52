"""A file that appears whole or not at all: written beside its place, made durable, then renamed into it."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from asyncrun.errors import AsyncrunError, OutputError, Place, StorageError, os_words

_BUFFER = 1024 * 1024
_LONGEST_NAME = 200  # Of 255 bytes on common file systems: the rest is for the dot, the random part and the ending.
_STREAM = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,6})")
_MOST_LINKS = 40
"""Symbolic links that Linux follows in one path."""
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class AtomicFile:
    """Bytes for `path`, kept in `.<name>.<random>.tmp` in the same folder until `commit`.

    Missing folders are made. Permissions follow the umask, whatever a former file had. If `path` is a symbolic link, the file
    that it leads to is replaced and the link stays. The temporary file is locked while it is written: one without a lock
    belongs to a dead run and is removed when the same output is opened again.

    Raises OutputError when the output cannot be created, StorageError when the disk is full or fails.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._buffer = bytearray()
        self._descriptor: int | None = None
        try:
            self._target = _target(path)
            self._target.parent.mkdir(parents=True, exist_ok=True)
            _sweep(self._target)
            self._temporary, self._descriptor = _create(self._target)
        except (OSError, ValueError, RuntimeError) as error:
            raise _error(path, "cannot be created", error) from error

    def write(self, data: bytes) -> int:
        """Add bytes; they reach the disk in blocks."""
        self._buffer += data
        if len(self._buffer) >= _BUFFER:
            self._flush()
        return len(data)

    def commit(self) -> os.stat_result:
        """Make what was written durable and put it in its place; returns which file it is there."""
        self.finish()
        return self.put_in_place()

    def write_at_start(self, data: bytes) -> None:
        """Put bytes in the place of as many first ones."""
        self._flush()
        try:
            os.pwrite(self._open_descriptor(), data, 0)
        except OSError as error:
            raise _error(self.path, "cannot be written", error, StorageError) from error

    def finish(self) -> None:
        """Make what was written durable; only `put_in_place` and `abort` may follow."""
        self._flush()
        try:
            os.fsync(self._open_descriptor())
        except OSError as error:
            raise _error(self.path, "cannot be written", error, StorageError) from error

    def remove_former(self) -> None:
        """Remove the file in whose place this one will be, if there is one."""
        try:
            self._target.unlink(missing_ok=True)
            _sync_folder(self._target.parent)
        except OSError as error:
            raise _error(self.path, "cannot be put in its place", error) from error

    def put_in_place(self) -> os.stat_result:
        """Put the finished file in its place; returns which file it is there."""
        try:
            placed = os.fstat(self._open_descriptor())
            self._temporary.replace(self._target)
            _sync_folder(self._target.parent)
        except OSError as error:
            raise _error(self.path, "cannot be put in its place", error) from error
        self._close()
        return placed

    def abort(self) -> None:
        """Throw away what was written; does nothing after `commit`, nor a second time."""
        if self._descriptor is not None:
            with suppress(FileNotFoundError):
                self._temporary.unlink()
            self._close()

    def _flush(self) -> None:
        descriptor = self._open_descriptor()
        try:
            with memoryview(self._buffer) as left:
                written = 0
                while written < len(left):
                    written += os.write(descriptor, left[written:])
        except OSError as error:
            raise _error(self.path, "cannot be written", error, StorageError) from error
        self._buffer.clear()

    def _open_descriptor(self) -> int:
        if self._descriptor is None:
            raise OutputError(f"{self.path} is closed")
        return self._descriptor

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
            self._buffer.clear()


def is_stream(path: Path) -> bool:
    """Tell whether a path stands for an open stream, such as `/dev/stdout`, or is a device, a pipe or a socket.

    >>> is_stream(Path("/dev/stdout")), is_stream(Path("/dev/null")), is_stream(Path("notes.jsonl"))
    (True, True, False)
    """
    if stream_number(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def stream_number(path: Path) -> int | None:
    """Return which descriptor of this process a path stands for, None for any other path.

    >>> stream_number(Path("/dev/stderr"))
    2
    """
    step = path.absolute()
    for _ in range(_MOST_LINKS):
        if found := _STREAM.fullmatch(str(step)):
            return int(found[1])
        if not os.path.islink(step):  # noqa: PTH114  # which raises nothing for a name that no file can have
            break
        step = Path(os.path.normpath(step.parent / step.readlink()))
    return None


def _target(path: Path) -> Path:
    """Follow symbolic links to the file that is meant, and refuse what a rename must not replace."""
    if is_stream(path):
        # Renaming over /dev/null or a pipe would replace it for everybody, and over /dev/stdout the file that it is redirected to.
        raise OSError(errno.EINVAL, "it is not a regular file")
    target = path.resolve()
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return target
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    return target


def _create(target: Path) -> tuple[Path, int]:
    """Make and lock a temporary file; another one, if a sweeper took it for a dead one before the lock was there."""
    while True:
        temporary = target.with_name(f"{_stem(target)}{secrets.token_hex(8)}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        except OSError:
            # A file system without locks: nothing can be swept there either.
            return temporary, descriptor
        if os.fstat(descriptor).st_nlink:
            return temporary, descriptor
        os.close(descriptor)


def _sweep(target: Path) -> None:
    """Remove what dead runs left: temporary files of this output that nobody has locked."""
    leftover = re.compile(re.escape(_stem(target)) + r"[0-9a-f]{16}\.tmp")
    with suppress(OSError):
        for entry in target.parent.iterdir():
            if leftover.fullmatch(entry.name):
                _remove_unlocked(entry)


def _remove_unlocked(path: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(descriptor)


def _stem(target: Path) -> str:
    return f".{os.fsencode(target.name)[:_LONGEST_NAME].decode('utf-8', 'ignore')}."


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable (a file system that cannot sync a folder says EINVAL)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def _error(path: Path, what: str, error: Exception, kind: type[AsyncrunError] = OutputError) -> AsyncrunError:
    if isinstance(error, OSError) and error.errno in _DISK:
        kind = StorageError
    return kind(f"the output {what}: {os_words(error)}", place=Place(str(path)))
