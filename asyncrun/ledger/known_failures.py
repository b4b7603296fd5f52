"""Failed items as the ledger keeps them: what failed, how, and whether it would fail again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from asyncrun.errors import Place, Reason
from asyncrun.records import KEY_BYTES, ItemFailure

_DOUBT = b"?"
"""Stands before the key of a failure in doubt: with it, it is no text's key."""


@dataclass(frozen=True, slots=True)
class KnownFailure:
    """A failure of an earlier run, with the key of what failed.

    That is the key of a text, in the space of its vector; of all that a chat model is asked, in the space of its answer; or the mark of a
    document, in no space (""). A record that could not be read has 16 zeros. `in_doubt` says that nothing else was accepted in that run, so
    that the refusal may have been the endpoint's fault.
    """

    failure: ItemFailure
    space: str
    key: bytes
    in_doubt: bool = False

    def holds_for(self, key: bytes, space: str) -> bool:
        """Tell whether this failed, and would fail again."""
        return (self.key, self.space, self.in_doubt) == (key, space, False) and self.failure.reason != Reason.SERVER_ERROR

    def row(self, job: str) -> tuple[Any, ...]:
        """Return the row of the table `failures` without its checksum."""
        failure, key = self.failure, _DOUBT * self.in_doubt + self.key
        return job, failure.id, self.space, key, failure.place.file, failure.place.line, failure.reason, failure.message, failure.attempts


def read_failure(row: tuple[Any, ...]) -> KnownFailure:
    """Return the failure of such a row.

    >>> known = KnownFailure(ItemFailure("7", Place("a.jsonl", 3), "refused", "no", 1), "", bytes(16), in_doubt=True)
    >>> read_failure(known.row("job")) == known
    True
    """
    _, item, space, key, file, line, reason, message, attempts = row
    in_doubt = key.startswith(_DOUBT) and len(key) == len(_DOUBT) + KEY_BYTES
    return KnownFailure(
        ItemFailure(item, Place(file, line), reason, message, attempts), space, key.removeprefix(_DOUBT * in_doubt), in_doubt
    )
