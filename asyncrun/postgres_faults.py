"""What PostgreSQL's refusals mean: each as one sentence with what to do about it, never with a password."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import errors as sql_errors
from psycopg.conninfo import conninfo_to_dict

from asyncrun.errors import AsyncrunError, AuthError, StorageError, TryLaterError, UsageError
from asyncrun.escape import printable

_NEW_WORDS = "Write the address as postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and /?#@:% of the password as %2F %3F %23 %40 %3A %25."
_LATER = "Run the same command again when the server is there: what is done is kept."
_STARTING = ("starting up", "recovery", "shutting down", "not yet accepting")
_KEY = ("password authentication failed", "no pg_hba.conf entry", "no password supplied", "authentication failed")
NO_VECTORS = "Have somebody who may do so run CREATE EXTENSION vector in the database (package postgresql-VERSION-pgvector)."


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Where a database is: `url` as libpq takes it, `shown` as anybody may see it."""

    url: str
    shown: str
    password: str | None

    def clean(self, words: object) -> str:
        """Return what a server or a library has said, on one line and without the password."""
        text = " ".join(str(words).split())
        for secret in (self.url, self.password):
            if secret and len(secret) >= 4:  # a shorter one would mask words
                text = text.replace(secret, "***")
        return printable(text, 400)


def parse_address(url: str) -> DatabaseAddress:
    """Return where an address leads. Raises UsageError for one that cannot be read, and tells nothing of it."""
    rest = url.partition("://")[2].partition("?")[0]
    user, at, _ = rest.rpartition("@")
    # What is taken for the host would be part of a password that was not written as an address has it.
    if (at and ("@" in user or "/" in user)) or (not at and "@" in url.partition("://")[2].partition("?")[2].partition("&")[0]):
        raise UsageError("`url` is no address: a character of its password stands as it is", hint=_NEW_WORDS)
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        raise UsageError("`url` is no address of a PostgreSQL database", hint=_NEW_WORDS) from None
    if not all(port.isdigit() for port in str(parts.get("port") or "0").split(",")):
        raise UsageError("`url` has a port that is no number", hint=_NEW_WORDS)
    host, port, database = (parts.get(name) for name in ("host", "port", "dbname"))
    shown = f"PostgreSQL at {host or 'the local socket'}{f':{port}' if port else ''}{f'/{database}' if database else ''}"
    password = parts.get("password")
    return DatabaseAddress(url, printable(shown, 200), None if password is None else str(password))


@contextmanager
def reporting(address: DatabaseAddress) -> Iterator[None]:
    """Raise what PostgreSQL refuses as one of our errors."""
    try:
        yield
    except psycopg.Error as error:
        raise meaning(error, address) from None


def meaning(error: psycopg.Error, address: DatabaseAddress) -> AsyncrunError:
    """Return the error that says what a refusal means."""
    words, where = address.clean(error), address.shown
    for kinds, (sentence, hint, kind) in _MEANINGS.items():
        if isinstance(error, kinds):
            said = address.clean(" ".join(filter(None, (error.diag.message_primary, error.diag.message_detail))) or words)
            return kind(f"{where}: {sentence} ({said})", hint=hint)
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and (error.sqlstate or "08")[:2] in ("08", "57"):
        return _unreachable(words, where)
    return StorageError(f"{where} refused: {words}", hint="See the server's log; nothing of this transaction was kept.")


def _unreachable(words: str, where: str) -> AsyncrunError:
    if any(part in words for part in _KEY) or ("role" in words and "does not exist" in words):
        return AuthError(f"{where} does not let this user in: {_last(words)}", hint="Correct user and password in `url`.")
    if "database" in words and "does not exist" in words:
        return StorageError(f"{where}: {_last(words)}", hint="Create the database, or correct `url`.")
    if any(part in words for part in _STARTING):
        return TryLaterError(f"{where} is starting, stopping or recovering", hint=_LATER)
    return TryLaterError(f"{where} cannot be reached: {_last(words)}", hint=_LATER)


def _last(words: str) -> str:
    return words.rpartition("FATAL:")[2].strip() or words


_Meaning = tuple[str, str, type[AsyncrunError]]
_MEANINGS: Mapping[tuple[type[psycopg.Error], ...], _Meaning] = {
    (sql_errors.DiskFull,): ("its disk is full", "Make room on the server's disk, then run the same command again.", StorageError),
    (sql_errors.ReadOnlySqlTransaction,): ("it can only be read", "Name the primary server in `url`.", StorageError),
    (sql_errors.InsufficientPrivilege,): (
        "the user lacks a right",
        "Grant it; or make the tables, and set create: false.",
        StorageError,
    ),
    (sql_errors.FeatureNotSupported, sql_errors.UndefinedFile): ("pgvector is not installed there", NO_VECTORS, StorageError),
    (sql_errors.UndefinedObject,): ("something is not there, such as pgvector", NO_VECTORS, StorageError),
    (sql_errors.UndefinedTable, sql_errors.UndefinedColumn): (
        *("a table is not there, or not as the store makes it", "Rename what stands in its place, and ingest again."),
        StorageError,
    ),
    (sql_errors.InvalidSchemaName,): ("the schema is not there", "CREATE SCHEMA, or correct `schema`.", StorageError),
    (sql_errors.TooManyConnections,): ("it takes no more connections", _LATER, TryLaterError),
    (sql_errors.LockNotAvailable, sql_errors.DeadlockDetected, sql_errors.SerializationFailure): (
        *("another transaction is in the way", _LATER),
        TryLaterError,
    ),
    (sql_errors.QueryCanceled,): (
        *("it has ended a statement", "If it took too long, have statement_timeout raised; then run the same command again."),
        TryLaterError,
    ),
    (sql_errors.DependentObjectsStillExist,): (
        *("somebody's view or table depends on a table that has to go", "Drop it, and run the same command again; then make it anew."),
        StorageError,
    ),
    (sql_errors.OutOfMemory,): ("it has no memory left", _LATER, TryLaterError),
}
