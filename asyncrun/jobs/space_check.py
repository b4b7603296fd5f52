"""Whether vectors may come together: those of a collection with those of an embedder, and those of all endpoints of a named space."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from asyncrun.embedders.interface import Embedder
from asyncrun.embedders.same_model import KNOWN_TEXT, LEAST_COSINE, similarity
from asyncrun.errors import AsyncrunError, EndpointError, SpaceMismatchError, UsageError
from asyncrun.jobfile.jobs import Job
from asyncrun.jobs.context import JobContext
from asyncrun.jobs.interface import Builder, JobProblem
from asyncrun.jobs.job_counters import JobCounters
from asyncrun.jobs.notes import describe_changes
from asyncrun.jobs.send_batches import Batch, send_all
from asyncrun.ledger.key_index import keys_array
from asyncrun.ledger.ledger import Ledger, other_size
from asyncrun.ledger.spaces import add_servers, known_servers, space_of
from asyncrun.records import Embedded, InputType, Pending, Space, text_key
from asyncrun.stores.interface import VectorStore

if TYPE_CHECKING:
    from asyncrun.records import Vectors


def check_space(store: VectorStore, collection: str, embedder: Embedder, ledger: Ledger) -> None:
    """Raise SpaceMismatchError when a collection holds vectors of another space than the embedder's, and say whose. Blocks."""
    space = embedder.space(InputType.DOCUMENT)
    found = store.fingerprint(collection)
    if found in (None, space.fingerprint):
        return
    from asyncrun.stores.generations import RebuildableStore, rebuild_progress

    before = space_of(ledger, found)
    whose = "" if before is None else f": by {_named(before)} ({describe_changes(before, space.description)})"
    message = f"the collection {collection!r} was filled by another embedder than {embedder.provider}/{embedder.model_name}{whose}"
    if progress := rebuild_progress(store, collection, space.fingerprint):
        raise SpaceMismatchError(f"{message}; the next generation, by this one, has {progress}", hint=_GO_ON)
    raise SpaceMismatchError(message, hint=_REBUILD if isinstance(store, RebuildableStore) else None)


_GO_ON = "Run the ingest job that fills it to its end: then the next generation takes the place of the one that is asked."
_REBUILD = (
    "Run the ingest job once with --rebuild, which fills the collection anew beside itself "
    "(`asyncrun plan --rebuild` says what that takes), or give it `on_new_space: rebuild`; "
    "or use the embedder that filled it, or another collection."
)


def space_problems(store: VectorStore, collection: str, job: Job, builder: Builder) -> Iterator[JobProblem]:
    """Yield what is wrong with a job's collection if it holds vectors of another space than the job's embedder makes. Blocks."""
    try:
        check_space(store, collection, builder.embedder(job), builder.ledger)
    except SpaceMismatchError as error:
        yield JobProblem(("collection",), error.message, error.hint)
    except UsageError:
        pass  # An embedder that cannot be made is told where parts are checked.


def probe_of(embedder: Embedder, input_type: InputType) -> Pending:
    """Return the constant text by which the endpoints of an embedder's space are compared."""
    sent = embedder.as_sent(KNOWN_TEXT, input_type)
    return Pending(text_key(sent), KNOWN_TEXT, len(sent.encode()))


def needs_probe(embedder: Embedder, input_type: InputType, context: JobContext) -> bool:
    """Tell whether a run sends the probe before all else: the space is named, and this endpoint has not been compared yet. Blocks.

    An embedder of several endpoints compares them by itself, with the same vector.
    """
    space = embedder.space(input_type)
    if not space.name or embedder.comparison_requests:
        return False
    return embedder.served_by not in known_servers(context.ledger, space) or _known(space, probe_of(embedder, input_type), context) is None


async def check_endpoint(embedder: Embedder, input_type: InputType, counters: JobCounters) -> None:
    """Have the first endpoint of a named space make the vector of the probe, and every other one the same.

    Jobs that run side by side ask an endpoint once. Raises SpaceMismatchError when the vectors point apart, EndpointError when there is
    none, TryLaterError when the time of this job ends before the other's answer is there, and what the embedder raises.
    """
    context, probe = counters.context, probe_of(embedder, input_type)
    while await asyncio.to_thread(needs_probe, embedder, input_type, context):
        async with context.leases.take_texts(embedder.space(input_type).fingerprint, [probe.key]) as leased:
            if leased.others:
                await counters.wait_for(leased)
            elif await asyncio.to_thread(needs_probe, embedder, input_type, context):
                await _ask(probe, embedder, input_type, counters)


async def _ask(probe: Pending, embedder: Embedder, input_type: InputType, counters: JobCounters) -> None:
    space, context = embedder.space(input_type), counters.context
    seen = await asyncio.to_thread(known_servers, context.ledger, space)
    known = await asyncio.to_thread(_known, space, probe, context)
    if known is None and seen and embedder.served_by not in seen:
        raise SpaceMismatchError(
            f"{embedder.served_by} is new to the space {space.name}, and there is no vector to compare it by",
            hint=f"Run once more with {min(seen)}, which keeps one, or give the embedder a space of its own.",
        )

    def judge(_: Batch, answer: Embedded) -> AsyncrunError | None:
        if not answer.positions:
            words = f"{embedder.served_by} makes no vector of the text that its space is compared by"
            return EndpointError(f"{words}: {answer.failures[0].message}")
        return None if known is None else _difference(answer.vectors[0], known, embedder.served_by, space)

    error = await send_all([probe], judge, embedder=embedder, input_type=input_type, counters=counters, keep=known is None)
    if error is not None:
        raise error
    await add_servers(context.ledger, space, [embedder.served_by])


def _known(space: Space, probe: Pending, context: JobContext) -> Vectors | None:
    """Return the vector that the space has of the probe, whatever generation the job is in. Blocks."""
    index = context.ledger.index(space)
    positions = index.find(keys_array(probe.key))
    return context.ledger.vectors(index, positions)[0] if positions[0] >= 0 else None


def _difference(vector: Vectors, known: Vectors, endpoint: str, space: Space) -> SpaceMismatchError | None:
    """Return the error of an endpoint that makes another vector than the known one, None when it makes the same."""
    if len(vector) != len(known):
        return other_size(len(vector), len(known))
    found = similarity(vector, known)
    if found >= LEAST_COSINE:
        return None
    return SpaceMismatchError(
        f"{endpoint} makes another vector of a known text than the space {space.name} has (cosine {found:.3f})",
        hint="Give the embedder a space of its own, or correct its model or base_url.",
    )


def _named(space: Mapping[str, Any]) -> str:
    if name := space.get("name"):
        return f"the space {name}"
    # The model of the embedder `local` is a checksum, which tells a reader nothing.
    return str(space.get("provider")) + ("" if space.get("provider") == "local" else f"/{space.get('model')}")
