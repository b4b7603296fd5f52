"""SQLite files that several processes write at once, or that lie where nothing can be written: log, address, what an error means.

A write-ahead log needs a local disk: network file systems keep no promise about locks and shared memory.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from asyncrun.errors import StorageError

LOG_ENDINGS = ("-wal", "-shm")
"""What the names of the files end in that stand beside a database with a write-ahead log: the log, and its index."""
BUSY_SECONDS = 30.0
"""How long one who writes waits for another: longer than any transaction of ours."""
_PAUSE = 0.005
NETWORK: Mapping[str, str] = {
    **dict.fromkeys(("nfs", "nfs4"), "NFS"),
    **dict.fromkeys(("cifs", "smb3", "smbfs"), "SMB"),
    **{"afs": "AFS", "ceph": "Ceph", "coda": "Coda", "glusterfs": "GlusterFS", "lustre": "Lustre", "gpfs": "GPFS"},
    **{"fuse.sshfs": "SSHFS", "fuse.glusterfs": "GlusterFS", "fuse.ceph": "Ceph", "fuse.s3fs": "S3", "fuse.rclone": "rclone"},
}
"""Names of file systems as /proc/self/mountinfo has them, and as people know them.

WAL does not work over a network file system (https://www.sqlite.org/wal.html). Not 9p: sandboxes show local disks as such."""


def can_write(path: Path) -> bool:
    """Tell whether a file can be written or made, and another one beside it, as SQLite does."""
    if path.exists():
        return _may_write(path) and _may_write(path.parent)
    return _may_write(next(folder for folder in path.absolute().parents if folder.exists()))


def check_writable(path: Path) -> None:
    """Raise StorageError for a file that cannot be written or made."""
    if not can_write(path):
        raise StorageError(f"{path} cannot be written", hint="Make the file and its folder writable, or choose another path.")


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)


def address_to_look(path: Path) -> str:
    """Return the URI by which SQLite reads a file in WAL mode whose folder cannot be written. Raises StorageError when none would do.

    SQLite reads the log only with the index of the log beside it. Without a log the file is whole by itself, but SQLite must be told
    that nobody changes it, because it cannot make the index.
    """
    log, index = (path.with_name(path.name + ending) for ending in LOG_ENDINGS)
    if log.exists() and index.exists():
        return f"{path.absolute().as_uri()}?mode=ro"
    if log.exists() and log.stat().st_size > 0:
        raise StorageError(
            f"a run that was killed has left {log}, which can only be read where its folder can be written", hint=copy_hint(path)
        )
    return f"{path.absolute().as_uri()}?mode=ro&immutable=1"


def copy_hint(path: Path) -> str:
    """Return what to do with a file that must be written to be read."""
    return f"Make {path.parent} writable, or copy the job file's folder to a place that is, and look there."


def primary_code(error: BaseException | None) -> int:
    """Return the primary code of an error of SQLite, without what it adds to it (sqlite.org/rescode.html); 0 for any other error."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_busy(error: BaseException) -> bool:
    """Tell whether SQLite refuses something because another process holds the file."""
    return primary_code(error) == sqlite3.SQLITE_BUSY


def is_damage(error: BaseException) -> bool:
    """Tell whether it is SQLite's word for a damaged file; what it says of a statement, a row or the disk is no damage."""
    return primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def enter_wal(connection: sqlite3.Connection) -> None:
    """Have a database keep a write-ahead log, waiting up to BUSY_SECONDS for others who open it at the same time. Blocks.

    SQLite waits for nobody here: who has read the file and asks for all of it is refused at once, lest two of them wait for each other
    (sqlite3BtreeBeginTrans in SQLite's btree.c calls the busy handler only outside of a transaction).

    Raises sqlite3.OperationalError.
    """
    end = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() >= end:
                raise
            time.sleep(_PAUSE)
        else:
            return


def check_filesystem(folder: Path, kind: str | None) -> None:
    """Raise StorageError if a ledger in `folder` would be on a network file system; `kind` is that of `filesystem_of`."""
    if kind is not None and kind in NETWORK:
        raise StorageError(
            f"the state folder {folder} is on a network file system ({NETWORK[kind]}): a ledger there can lose what was finished",
            hint="Keep it on a disk of this machine: --state-dir ~/.local/state/asyncrun/NAME (or ASYNCRUN_STATE_DIR).",
        )


def filesystem_of(folder: Path) -> str | None:
    """Return the kind of the file system of a folder, None where that cannot be told. Blocks."""
    if sys.platform != "linux":
        return None
    try:
        return kind_of_mount(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace"), os.path.realpath(folder))
    except OSError:
        return None


def kind_of_mount(mounts: str, path: str) -> str | None:
    r"""Return the kind of the file system that a path is on, given the text of mountinfo (man 5 proc).

    >>> mounts = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / /my\\040data rw shared:5 - nfs4 host:/x rw\n"
    >>> [kind_of_mount(mounts, path) for path in ("/my data/a", "/my database", "/my data")]
    ['nfs4', 'ext4', 'nfs4']
    """
    found: tuple[int, str] | None = None
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        place = fields[4].encode("latin-1", "replace").decode("unicode_escape").rstrip("/")
        # Of two mounts on one place the later one lies on top.
        if (path == place or path.startswith(place + "/")) and (found is None or len(place) >= found[0]):
            found = len(place), after.split(" ")[0]
    return found[1] if found else None
