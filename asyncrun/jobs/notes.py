"""What is said of a job before it sends anything: which setting has made items new, what the input lacks, what no document has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from asyncrun.grammar.filter import fields_of, parse_filter
from asyncrun.humanize import counted, dollars
from asyncrun.jobs.context import JobContext
from asyncrun.ledger.job_records import finished_shards, last_space
from asyncrun.ledger.spaces import vectors_in
from asyncrun.readers.distinct_items import DistinctSource
from asyncrun.readers.missing_fields import describe_fields
from asyncrun.records import Space
from asyncrun.stores.interface import FieldStore, VectorStore

NAMED_FILES = 3


def change_notes(context: JobContext, space: Space, new: int, cost: float | None) -> tuple[str, ...]:
    """Return sentences about a job whose space is another one than when it last finished, none otherwise. Blocks."""
    if not new:
        return ()
    if context.generation.since:
        return (f"refresh: {counted(new, 'item')} to be made again{_money(cost)}",)
    before = last_space(context.ledger, context.job_id)
    now = json.loads(space.describe())
    if before is None or before == now:
        return _shard_notes(context, now)
    kept = vectors_in(context.ledger, before)
    aside = (f"{counted(kept, 'row')} from other settings kept aside",) if kept else ()
    return (f"{describe_changes(before, now)}: {counted(new, 'item')}{_money(cost)}", *aside)


def _shard_notes(context: JobContext, now: Mapping[str, Any]) -> tuple[str, ...]:
    """Return sentences about shards that are missing, or were made with other settings, none where all were made alike, or none was."""
    found = finished_shards(context.ledger, context.job_id)
    missing = [f"{each.words}: what is not finished is sent now" for each in found if each.missing]
    spaces = [(each.of, json.loads(space)) for each in found for space in each.spaces]
    changed = [f"shards of {of:,} were made with other settings: {describe_changes(space, now)}" for of, space in spaces if space != now]
    return *missing, *changed


def input_notes(source: DistinctSource) -> tuple[str, ...]:
    """Return warnings about fields that no item has, items without an id, and what there is to say of files."""
    notes = (*map(str, source.missing), *file_notes(source))
    if not source.unnamed:
        return notes
    records = f"{counted(source.unnamed, 'record')} without an id"
    return (f"{records}: file and line stand for it, so that a line put in between renames the rest", *notes)


def file_notes(source: DistinctSource) -> tuple[str, ...]:
    """Return what readers remarked of files, and a sentence about those that a glob matched and that are not read."""
    lacking: dict[str, list[str]] = {}
    for file, why in source.lacking_files.items():
        lacking.setdefault(f"passed over: {why}", []).append(file)
    skipped = {"passed over, hidden or of a type that nothing reads": source.skipped_files} if source.skipped_files else {}
    return (*source.remarks, *(_named(files, why) for why, files in (*skipped.items(), *lacking.items())))


def _named(files: Sequence[str], why: str) -> str:
    named = ", ".join(files[:NAMED_FILES]) + (", ..." if len(files) > NAMED_FILES else "")
    return f"{counted(len(files), 'file')} {why}: {named}"


def filter_notes(store: VectorStore, collection: str, text: str | None, more: Iterable[str] | None = ()) -> tuple[str, ...]:
    """Return a sentence for each field of a filter that no document has, or will have: `more` are fields that are to come. Blocks."""
    if text is None:
        return ()
    known = set(more or ())
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


def describe_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return which settings of a space have changed.

    >>> describe_changes({"provider": "openai", "model": "small"}, {"provider": "openai", "model": "large", "dimensions": 8})
    'dimensions none -> 8, model small -> large'
    """
    words = [
        f"{name.replace('name', 'space')} {_shown(before.get(name))} -> {_shown(now.get(name))}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    return ", ".join(words)


def _shown(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def _money(cost: float | None) -> str:
    return ", cost unknown" if cost is None else f", {dollars(cost)}"
