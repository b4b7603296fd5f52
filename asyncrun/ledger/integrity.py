"""Damage that SQLite reads over, found at a hundredth of what reading all would cost: what stands in two places says the same in both.

A bit may have flipped in a page that no checksum of a row covers: in an index, in what leads to a row, in the names of the tables. Pages of
keys and vectors are not looked at here: their checksums are checked when they are read.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

from asyncrun.errors import DamagedStateError
from asyncrun.ledger.schema import MENDED_BY_A_RUN, MIGRATIONS, explained, migrate, open_to_look
from asyncrun.ledger.sums import lossy_text
from asyncrun.records import fingerprint_of
from asyncrun.sqlite_wal import is_damage

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


def check_sound(connection: sqlite3.Connection, path: Path) -> None:
    """Raise DamagedStateError unless the ledger is sound. Blocks. Raises what an error of SQLite means as well."""
    try:
        sound = is_sound(connection)
    except sqlite3.DatabaseError as error:
        raise explained(error, path) from error
    if not sound:
        raise DamagedStateError(f"the ledger {path} is damaged: its tables and indexes differ", hint=MENDED_BY_A_RUN)


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
