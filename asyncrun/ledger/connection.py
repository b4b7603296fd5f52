"""How the ledger's file is opened and checked: damage that SQLite reads over is found, and its errors are told in words.

A bit may have flipped in a page that no checksum of a row covers: in an index, in what leads to a row, in the names of the tables. What
stands in two places must say the same in both, which is found at a hundredth of what reading all would cost. Pages of keys and vectors are
not looked at here: their checksums are checked when they are read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

from asyncrun.errors import AsyncrunError, DamagedStateError, StorageError, TryLaterError, os_words
from asyncrun.ledger.checksums import lossy_text
from asyncrun.ledger.schema import MIGRATIONS, REPAIRED_BY_A_RUN, ledger_version, migrate
from asyncrun.records import fingerprint_of
from asyncrun.sqlite_files import BUSY_SECONDS, address_to_look, can_write, copy_hint, enter_wal, is_busy, is_damage

PAGE_BYTES = 8192
"""Of a new file. Vectors are long: with 4096 they cost a quarter more time; with still larger pages short rows waste too much."""


def open_connection(path: Path) -> sqlite3.Connection:
    """Open the ledger at `path`, made and migrated as needed.

    Raises StorageError when it cannot be opened, DamagedStateError when it is no ledger or one of a newer version.
    """
    try:
        # Not opened with O_NOFOLLOW: closing a file that SQLite has open drops its locks (sqlite.org/howtocorrupt.html, 2.2).
        if path.is_symlink():
            raise OSError("it is a symbolic link")
        if not path.exists():
            path.touch(mode=0o600)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StorageError(
            f"cannot open the ledger {path}: {os_words(error)}", hint="Make its folder writable, or choose another with --state-dir."
        ) from error
    connection.text_factory = lossy_text
    with _closed_unless_it_serves(connection, path):
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        enter_wal(connection)
        connection.execute("PRAGMA synchronous=FULL")
        migrate(connection, path)
    return connection


def open_to_look(path: Path) -> sqlite3.Connection:
    """Open the ledger at `path` for one who changes nothing: as `open_connection` does, and only to read where nothing can be written.

    Raises as that does, and StorageError where reading would need writing.
    """
    if can_write(path):
        return open_connection(path)
    address = address_to_look(path)
    try:
        connection = sqlite3.connect(address, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=True)
    except sqlite3.Error as error:
        raise StorageError(f"cannot open the ledger {path}: {error}", hint="Look as the user who runs the jobs.") from error
    connection.text_factory = lossy_text
    with _closed_unless_it_serves(connection, path):
        _check_version(connection, path)
    return connection


@contextmanager
def _closed_unless_it_serves(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Close a connection whose first use fails, and say what SQLite's error means."""
    try:
        yield
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.DatabaseError):
            raise explained(error, path) from error
        if isinstance(error, UnicodeDecodeError):  # of SQLite's own words, in which it quotes what it cannot read
            raise DamagedStateError(
                f"the ledger {path} cannot be read: the names of its tables are damaged", hint=REPAIRED_BY_A_RUN
            ) from error
        raise


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = ledger_version(connection, path)
    if version < len(MIGRATIONS):
        raise StorageError(
            f"the ledger {path} has the form of an older asyncrun (version {version}, this one reads {len(MIGRATIONS)}) and cannot be"
            " changed where nothing can be written",
            hint=copy_hint(path),
        )


def removed(path: Path) -> StorageError:
    """Return the error for a ledger that was in use when its file went away."""
    return StorageError(
        f"the ledger {path} was removed or replaced while it was in use: what was finished may not be in it",
        hint="Leave it alone during a run. Put it back if you can, and run the same command again: what is not in it is sent again.",
    )


def explained(error: sqlite3.DatabaseError, path: Path) -> AsyncrunError:
    """Return what an error of SQLite means: a file that is damaged, the disk's trouble, or a mistake of ours."""
    if is_damage(error):
        return DamagedStateError(f"the ledger {path} cannot be read: {error}", hint=REPAIRED_BY_A_RUN)
    if isinstance(error, sqlite3.OperationalError):
        if not path.exists():
            return removed(path)
        if is_busy(error):
            return TryLaterError(f"another process has been writing to the ledger {path} for {BUSY_SECONDS:.0f} seconds")
        return StorageError(f"cannot use the ledger {path}: {error}", hint="Check the disk and the folder's permissions.")
    return AsyncrunError(
        f"internal error: SQLite refuses what was asked of the ledger {path}: {error}",
        hint="This is a bug. Nothing that was finished is lost. Run again with --debug and report what it shows.",
    )


_LED_ASTRAY = (
    "SELECT count(*) FROM batches i INDEXED BY batches_by_space LEFT JOIN batches b NOT INDEXED ON b.id = i.id WHERE b.space IS NOT i.space"
)
"""Batches that the index leads to and that are not there, or say another space. One that is in no index is found by reading the table."""
_ANSWERS = (
    "SELECT count(*), total(id) FROM answers NOT INDEXED",
    "SELECT count(*), total(id) FROM answers INDEXED BY sqlite_autoindex_answers_1",
)
_LARGE = ("batches", "answers")
_FORM = (
    "SELECT m.type, m.name, m.tbl_name, c.cid, c.name, c.type, c.pk FROM sqlite_master m LEFT JOIN pragma_table_xinfo(m.name) c"
    " UNION ALL SELECT m.type, m.name, m.tbl_name, c.seqno, c.name, '', 0 FROM sqlite_master m JOIN pragma_index_info(m.name) c"
)


def open_sound(path: Path) -> sqlite3.Connection:
    """Open the ledger at `path` as `open_to_look` does. Raises as that does, and DamagedStateError for one that is not sound."""
    connection = open_to_look(path)
    try:
        check_sound(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def sound_ledger(path: Path) -> Iterator[sqlite3.Connection]:
    """Give the ledger as `open_sound` opens it, and say what an error of SQLite means; closed at the end."""
    with closing(open_sound(path)) as connection:
        try:
            yield connection
        except sqlite3.DatabaseError as error:
            raise explained(error, path) from error


def check_sound(connection: sqlite3.Connection, path: Path) -> None:
    """Raise DamagedStateError unless the ledger is sound. Blocks. Raises what an error of SQLite means as well."""
    try:
        sound = is_sound(connection)
    except sqlite3.DatabaseError as error:
        raise explained(error, path) from error
    if not sound:
        raise DamagedStateError(f"the ledger {path} is damaged: its tables and indexes differ", hint=REPAIRED_BY_A_RUN)


def is_sound(connection: sqlite3.Connection) -> bool:
    """Tell whether nothing is found that SQLite reads over. Blocks. Raises sqlite3.Error for what it does not."""
    connection.execute("BEGIN")  # Others may be writing: all is compared as it stood at one moment.
    try:
        return (
            has_own_tables(connection)
            and connection.execute(_LED_ASTRAY).fetchall() == [(0,)]
            and len({connection.execute(statement).fetchone() for statement in _ANSWERS}) == 1
            and _has_known_spaces(connection)
            and all(connection.execute(f"PRAGMA integrity_check({table})").fetchall() == [("ok",)] for table in _small_tables())
        )
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def has_own_tables(connection: sqlite3.Connection) -> bool:
    """Tell whether the tables are those of this version, each with pages of its own."""
    roots = [root for (root,) in connection.execute("SELECT rootpage FROM sqlite_master WHERE rootpage != 0")]
    return len(set(roots)) == len(roots) and _form() <= set(connection.execute(_FORM).fetchall())


def is_flipped_version(path: Path) -> bool:
    """Tell whether a ledger that says it is of another version is one of this version, but for a bit."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = lossy_text
        try:
            [(version,)] = connection.execute("PRAGMA user_version").fetchall()
            return (int(version) ^ len(MIGRATIONS)).bit_count() == 1 and has_own_tables(connection)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            return True


def _has_known_spaces(connection: sqlite3.Connection) -> bool:
    spaces = connection.execute("SELECT id, fingerprint, description FROM spaces NOT INDEXED").fetchall()
    used = {number for (number,) in connection.execute("SELECT DISTINCT space FROM batches INDEXED BY batches_by_space")}
    # The description is lost where a damaged ledger had no more than the fingerprint.
    named = all(not description or fingerprint_of(description) == fingerprint for _, fingerprint, description in spaces)
    return named and used <= {number for number, _, _ in spaces}


@cache
def _form() -> set[tuple[object, ...]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, Path(":memory:"))
        return set(connection.execute(_FORM).fetchall())


def _small_tables() -> list[str]:
    return sorted({str(table) for kind, table, *_ in _form() if kind == "table" and table not in _LARGE})
