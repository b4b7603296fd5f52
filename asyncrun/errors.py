"""Every error with its exit code, and the hint that says what to do: the tree has the codes, each class its hint.

AsyncrunError                    70
├── UsageError                    2   the call cannot be carried out; nothing ran
│   ├── ArgumentError             2   an embedder or a chat model cannot be what it was told to be
│   │   └── MissingKeyError       2   a model needs a key, and there is none
│   ├── JobFileError              2   every mistake of a job file, all at once
│   └── UnknownRunError           2   no such run, or several
├── JobFailedError                1   a job cannot reach its end
│   ├── EndpointError             1   wrong model or address, a redirect, a refused certificate
│   ├── TooManyFailuresError      1   past `max_failures`
│   ├── RefusedDeletionError      1   past `max_delete`
│   └── SpaceMismatchError        1   a collection holds vectors of another space
├── BudgetError                   4   the next call would pass a budget
├── OutputError                  73   an output cannot be created
├── StorageError                 74   reading or writing failed: input, state, disk
│   ├── DamagedStateError        74   the state folder cannot be read as what it should be
│   ├── DamagedStoreError        74   what a store holds is not what was put in
│   └── ResourceError            74   the machine gives no more memory, threads or open files
├── TryLaterError                75   the same command may succeed later
│   ├── LockedError              75   another run of this job file is going on
│   ├── QuotaError               75   billing or a daily quota, not speed
│   ├── ThrottledError           75   told to wait longer than `max_wait`
│   ├── OutageError              75   the endpoint is down
│   └── StopRunError             75   a handler of events stops the work on purpose
│       └── TokenBudgetError         chat models have used more tokens than a handler allows
├── AuthError                    77   the endpoint refused the key
├── MissingExtraError             2   an optional part is not installed
├── NestedLoopError               1   a coroutine cannot be run from here (also a RuntimeError)
└── ItemError                     3   an answer about one item; the others go on

What an embedder or a chat model raises is a ValueError too, as programs written for LlamaIndex expect it: ArgumentError, AuthError,
EndpointError, QuotaError, ThrottledError, OutageError, ItemError. Other UsageErrors are not: of a validator, pydantic would take them for
its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, NamedTuple

from asyncrun.short_help import ShortHelp, ShortHelpEnum

__all__ = [
    "ArgumentError",
    "AsyncrunError",
    "AuthError",
    "BudgetError",
    "DamagedStateError",
    "DamagedStoreError",
    "EndpointError",
    "ItemError",
    "JobFailedError",
    "JobFileError",
    "LockedError",
    "MissingExtraError",
    "MissingKeyError",
    "Mistake",
    "NestedLoopError",
    "OutageError",
    "OutputError",
    "Place",
    "QuotaError",
    "Reason",
    "RefusedDeletionError",
    "ResourceError",
    "SpaceMismatchError",
    "StopRunError",
    "StorageError",
    "ThrottledError",
    "TokenBudgetError",
    "TooManyFailuresError",
    "TryLaterError",
    "UnknownRunError",
    "UsageError",
]


class Place(NamedTuple):
    """Where something stands in a file: `line` and `column` count from 1.

    A tuple, as it is made for every line of an input: a frozen dataclass takes twice the time.

    >>> str(Place("jobs.yaml", 3, 7))
    'jobs.yaml:3:7'
    """

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


@dataclass(frozen=True, slots=True)
class Mistake(metaclass=ShortHelp):
    """One mistake of a job file.

    `path` is that of the value (`jobs[1].chunk.size`), `allowed` what may stand there, and `suggestion` the nearest right word. `line` is
    the line of the file at its place, None where it is not there or may hold a secret.

    >>> str(Mistake("jobs[0].kind", "unknown kind 'embd'", "one of embed, ingest, query", "embed", Place("jobs.yaml", 2, 9)))
    "jobs.yaml:2:9: jobs[0].kind: unknown kind 'embd'; allowed: one of embed, ingest, query; did you mean 'embed'?"
    """

    path: str
    message: str
    allowed: str | None = None
    suggestion: str | None = None
    place: Place | None = None
    line: str | None = None

    def __str__(self) -> str:
        sentence = self.message
        if self.allowed:
            sentence += f"; allowed: {self.allowed}"
        if self.suggestion:
            sentence += f"; did you mean {self.suggestion!r}?"
        return ": ".join(part for part in (str(self.place or ""), self.path, sentence) if part)


def os_words(error: BaseException) -> str:
    """Return what the system says of an error, without the number and the path that stand around it; of another one, what it says itself.

    >>> os_words(OSError(28, "No space left on device", "out.jsonl"))
    'No space left on device'
    """
    if isinstance(error, UnicodeDecodeError):
        return f"not a text in {error.encoding.upper()}"
    return getattr(error, "strerror", None) or str(error)


class Reason(StrEnum, metaclass=ShortHelpEnum):
    """Why an item failed, as a word that a program can compare; a plugin may have others."""

    TOO_LONG = "too_long"
    EMPTY = "empty"
    BAD_RECORD = "bad_record"
    BAD_TEXT = "bad_text"
    REFUSED = "refused"
    BAD_RESPONSE = "bad_response"
    SERVER_ERROR = "server_error"


class AsyncrunError(Exception, metaclass=ShortHelp):
    """The root of all errors that asyncrun raises on purpose.

    `message` is one sentence, `place` where it happened, `hint` what to do about it. What was answered or used before is none of its
    business: an outcome holds it.
    """

    exit_code: ClassVar[int] = 70
    hint: str = "Run again with --debug to see where it happened."

    def __init__(self, message: str, *, place: Place | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        if hint is not None:
            self.hint = hint

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class UsageError(AsyncrunError):
    """The call cannot be carried out as it is; nothing ran."""

    exit_code = 2
    hint = "See asyncrun --help."


class ArgumentError(UsageError, ValueError):
    """An embedder or a chat model cannot be made with these arguments, or cannot be asked with them."""

    hint = "Correct the arguments, or the model's entry in the job file."


class JobFileError(UsageError):
    """Every mistake of a job file, in the order of the file."""

    hint = "Correct the job file and run `asyncrun validate`."

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = tuple(mistakes)


class UnknownRunError(UsageError):
    """No recorded run has this id, or several begin with it."""

    hint = "List the recorded runs with `asyncrun trace list`."


class MissingExtraError(UsageError):
    """An optional part is named but not installed."""

    hint = "Install it: pip install 'asyncrun[EXTRA]'."


class MissingKeyError(ArgumentError):
    """A model needs a key, and there is none."""


class JobFailedError(AsyncrunError):
    """A job cannot reach its end; what is finished is kept."""

    exit_code = 1
    hint = "Correct the cause and run the same command again: finished items are not sent again."


class EndpointError(JobFailedError, ValueError):
    """The endpoint answers, but not as the job file expects: wrong model or address, a redirect, a refused certificate."""

    hint = "Check base_url and model of the embedder in the job file."


class TooManyFailuresError(JobFailedError):
    """More items failed than `max_failures` allows."""

    hint = "Correct the items, list them under `skip`, or raise `max_failures` (--fail-fast makes it 0)."


class RefusedDeletionError(JobFailedError):
    """More would be deleted or replaced than `max_delete` allows."""

    hint = "If this is meant, allow it once with `--max-delete`, or raise `max_delete` in the job file."


class SpaceMismatchError(JobFailedError):
    """Vectors of two spaces would be mixed."""

    hint = "Use the embedder that filled the collection, or another collection."


class BudgetError(AsyncrunError):
    """The next call would pass a budget: the job has stopped before it."""

    exit_code = 4
    hint = "Raise `budget` in the job file (or --max-cost), then run the same command again: finished items are not sent again."


class OutputError(AsyncrunError):
    """An output cannot be created."""

    exit_code = 73
    hint = "Choose another output path, or make the folder writable."


class StorageError(AsyncrunError):
    """Reading or writing failed: an input, the state folder, the disk."""

    exit_code = 74
    hint = "Free the disk or mend the file, then run the same command again."


class DamagedStateError(StorageError):
    """A file of the state folder is not what it should be."""

    hint = "Set the file aside; deleting it loses nothing but time and money."


class DamagedStoreError(StorageError):
    """What a store holds is not what was put in."""

    hint = "Run the ingest job that fills it: it mends the store from the ledger, and what is finished is not sent again."


class ResourceError(StorageError):
    """The machine gives this process no more memory, threads or open files."""

    hint = "Raise the limit (`ulimit -a` shows it) or free memory, and run the same command again: finished items are not sent again."


class TryLaterError(AsyncrunError):
    """The same command may succeed later; nothing is lost."""

    exit_code = 75
    hint = "Run the same command again later: finished items are not sent again."


class LockedError(TryLaterError):
    """Another run of the same job file is going on."""

    hint = "Wait for it to end, or stop it."


class QuotaError(TryLaterError, ValueError):
    """Billing or a daily quota, not speed: waiting a minute does not help."""

    hint = "Check the account's billing and quota, then run the same command again."


class ThrottledError(TryLaterError, ValueError):
    """The endpoint asks for a longer wait than `retry.max_wait`."""


class OutageError(TryLaterError, ValueError):
    """The endpoint cannot be reached, or answers nothing but errors."""

    hint = "Check the address and the network, then run the same command again: finished items are not sent again."


class StopRunError(TryLaterError):
    """Raised by a handler of events that stops the work on purpose: whoever has begun it gets this error, and nothing is left running.

    >>> raise StopRunError("the night is over")
    Traceback (most recent call last):
    asyncrun.errors.StopRunError: the night is over
    """

    hint = "Run the same command again: finished items are not sent again."

    def __init__(self, message: str = "a handler has stopped the work", *, place: Place | None = None, hint: str | None = None) -> None:
        super().__init__(message, place=place, hint=hint)


class TokenBudgetError(StopRunError, ValueError):
    """Chat models have used more tokens than a `TokenCountingHandler` allows."""

    hint = "Raise token_budget, or count anew with reset_counts()."


class AuthError(AsyncrunError, ValueError):
    """The endpoint refused the key."""

    exit_code = 77
    hint = "Check the API key of the embedder (its environment variable, or api_key in the job file)."


class NestedLoopError(JobFailedError, RuntimeError):
    """A coroutine cannot be run from here, because of the event loop that is already running."""

    hint = "Await the coroutine, or create what it uses inside the coroutine itself."


class ItemError(AsyncrunError, ValueError):
    """An answer about one item: it fails, the others go on.

    `reason` is one of `Reason`, or a plugin's own word.
    """

    exit_code = 3
    hint = "See `asyncrun failed`."

    def __init__(self, message: str, *, reason: str, place: Place | None = None, hint: str | None = None) -> None:
        super().__init__(message, place=place, hint=hint)
        self.reason = reason
