"""What errors are made of: the place, the mistakes of a job file, and the word for why an item failed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from asyncrun.short_help import ShortHelp, ShortHelpEnum


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

    >>> str(Mistake("jobs[0].kind", "unknown kind 'embd'", "one of embed, generate, ingest, query", "embed", Place("jobs.yaml", 2, 9)))
    "jobs.yaml:2:9: jobs[0].kind: unknown kind 'embd'; allowed: one of embed, generate, ingest, query; did you mean 'embed'?"
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


class Reason(StrEnum, metaclass=ShortHelpEnum):
    """Why an item failed, as a word that a program can compare; a plugin may have others.

    >>> from asyncrun import errors
    >>> from asyncrun.embedders import LocalEmbedding
    >>> try:
    ...     LocalEmbedding().get_text_embedding(" ")
    ... except errors.ItemError as error:
    ...     error.reason == Reason.EMPTY
    True
    """

    TOO_LONG = "too_long"
    EMPTY = "empty"
    BAD_RECORD = "bad_record"
    BAD_TEXT = "bad_text"
    UNREADABLE = "unreadable"
    REFUSED = "refused"
    FILTERED = "filtered"
    EMPTY_ANSWER = "empty_answer"
    CUT_OFF = "cut_off"
    BAD_ANSWER = "bad_answer"
    BAD_RESPONSE = "bad_response"
    SERVER_ERROR = "server_error"
    WORKER_LOST = "worker_lost"
