"""What a job finds in a collection before it works with it: of which space its vectors are, and which fields its documents have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from asyncrun.embedders.interface import Embedder
from asyncrun.errors import SpaceMismatchError, UsageError
from asyncrun.grammar.filter import fields_of, parse_filter
from asyncrun.jobfile.jobs import Job
from asyncrun.jobs.change_notes import changes
from asyncrun.jobs.interface import Builder, JobProblem
from asyncrun.ledger.ledger import Ledger
from asyncrun.ledger.spaces import space_of
from asyncrun.readers.missing_fields import describe_fields
from asyncrun.records import InputType
from asyncrun.stores.interface import FieldStore, Store


def check_space(store: Store, collection: str, embedder: Embedder, ledger: Ledger) -> None:
    """Raise SpaceMismatchError when a collection holds vectors of another space than the embedder's, and say whose. Blocks."""
    space = embedder.space(InputType.DOCUMENT)
    found = store.fingerprint(collection)
    if found in (None, space.fingerprint):
        return
    before = space_of(ledger, found)
    whose = "" if before is None else f": by {_named(before)} ({changes(before, space.description)})"
    raise SpaceMismatchError(
        f"the collection {collection!r} was filled by another embedder than {embedder.provider}/{embedder.model_name}{whose}"
    )


def space_problems(store: Store, collection: str, job: Job, builder: Builder) -> Iterator[JobProblem]:
    """Yield what is wrong with a job's collection if it holds vectors of another space than the job's embedder makes. Blocks."""
    try:
        check_space(store, collection, builder.embedder(job), builder.ledger)
    except SpaceMismatchError as error:
        yield JobProblem(("collection",), error.message, error.hint)
    except UsageError:
        pass  # An embedder that cannot be made is told where parts are checked.


def filter_notes(store: Store, collection: str, text: str | None, more: Iterable[str] = ()) -> tuple[str, ...]:
    """Return a sentence for each field of a filter that no document has, or will have: `more` are fields that are to come. Blocks."""
    if text is None:
        return ()
    known = set(more)
    there = isinstance(store, FieldStore) and store.fingerprint(collection) is not None
    if not known and not there:
        return ()
    missing = [field for field in dict.fromkeys(fields_of(parse_filter(text))) if field[0] not in known]
    if isinstance(store, FieldStore) and there:
        missing = [field for field in missing if not store.has_field(collection, field)]
        known.update(store.fields(collection) if missing else ())
    return tuple(_missing(".".join(field), collection, sorted(known)) for field in missing)


def _missing(field: str, collection: str, known: list[str]) -> str:
    return f"no document of {collection!r} has `{field}` (filter); {describe_fields(known, field) or 'they keep no metadata'}"


def _named(space: Mapping[str, Any]) -> str:
    if name := space.get("name"):
        return f"the space {name}"
    # The model of the embedder `local` is a checksum, which tells a reader nothing.
    return str(space.get("provider")) + ("" if space.get("provider") == "local" else f"/{space.get('model')}")
