"""What lies at providers, as a table, paragraphs where a terminal is too narrow for it, or a JSON document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from asyncrun.escape import printable
from asyncrun.humanize import counted, dollars, duration
from asyncrun.ui.colours import break_line
from asyncrun.ui.formatting import build_table, draw_table
from asyncrun.ui.run_json import document

_WIDEST = 10_000
"""Columns of a table that is drawn as wide as it is."""


@dataclass(frozen=True, slots=True)
class ListedBatch:
    """One batch: what the ledger knows of it, and what its provider says.

    Attributes:
        tag: What names it, None where the provider tells no tags and the ledger does not know it.
        batch: Its id at the provider, None before it is known.
        job: The job that has made it, None for one that this ledger does not know.
        provider: Who has it.
        host: Of the endpoint.
        model: As the provider names it, None where nobody says.
        state: How it stands, in the words of asyncrun.
        word: The provider's own word, None where it was not asked.
        created: Seconds since 1970.
        requests: How many; `succeeded` and `failed` of them, as far as is told.
        cost: USD that are reserved for it, at the price of batches.
        message: Why it failed, or could not be asked for.
    """

    tag: str | None
    batch: str | None
    job: str | None
    provider: str
    host: str
    model: str | None
    state: str
    word: str | None = None
    created: float | None = None
    requests: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    cost: float | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class BatchListing:
    """What lies at providers.

    Attributes:
        batches: Ours, the oldest first.
        others: How many lie there that are not ours, by host.
        done: Collected ones whose files may still be there: `asyncrun clean` removes them.
        problems: Who could not be asked, and why; `exit_code` follows from them.
    """

    batches: tuple[ListedBatch, ...]
    others: Mapping[str, int] = field(default_factory=dict)
    done: int = 0
    problems: tuple[str, ...] = ()
    exit_code: int = 0


def render_listing(listing: BatchListing, now: float, width: int) -> str:
    """Return our batches, and a line for what else there is.

    >>> print(render_listing(BatchListing((), {"api.openai.com": 2}, done=1), 0.0, 120))
    no batches lie at a provider
    api.openai.com has 2 batches of others: they are left alone
    files of 1 collected batch may still be there: asyncrun clean removes them
    """
    rows = [_cells(batch, now) for batch in listing.batches]
    lines = [_table(rows, width)] if rows else ["no batches lie at a provider"]
    lines += [f"{batch.tag or batch.batch}: {printable(batch.message)}" for batch in listing.batches if batch.message]
    lines += [f"{printable(host)} has {counted(number, 'batch')} of others: they are left alone" for host, number in listing.others.items()]
    if listing.done:
        lines.append(f"files of {counted(listing.done, 'collected batch')} may still be there: asyncrun clean removes them")
    return "\n".join(lines)


def listing_document(listing: BatchListing) -> dict[str, Any]:
    """Return the same as a JSON document.

    >>> listing_document(BatchListing(()))
    {'schema': 1, 'batches': [], 'others': {}, 'collected': 0, 'problems': []}
    """
    batches = [asdict(batch) for batch in listing.batches]
    return document(batches=batches, others=dict(listing.others), collected=listing.done, problems=list(listing.problems))


def render_cancelled(batches: Sequence[ListedBatch]) -> str:
    """Return which batches are being cancelled, and what becomes of their rows.

    >>> print(render_cancelled([]))
    no batches to cancel
    """
    if not batches:
        return "no batches to cancel"
    lines = [f"{batch.tag or batch.batch} of {printable(batch.job or 'another folder')}: {batch.state}" for batch in batches]
    return "\n".join([*lines, "what they have done is paid: the next run collects it, and sends the rest again"])


def _cells(batch: ListedBatch, now: float) -> dict[str, str]:
    numbers = {name: "?" if (number := getattr(batch, name)) is None else f"{number:,}" for name in ("requests", "succeeded", "failed")}
    word = f" ({batch.word})" if batch.word and batch.word != batch.state else ""
    return {
        "tag": printable(batch.tag or batch.batch or ""),
        "job": printable(batch.job or "(another ledger)"),
        "at": printable(batch.provider),
        "state": printable(f"{batch.state}{word}"),
        **numbers,
        "age": "?" if batch.created is None else duration(max(now - batch.created, 0.0)),
        "cost": "?" if batch.cost is None else f"~{dollars(batch.cost)}",
    }


def _table(rows: Sequence[dict[str, str]], width: int) -> str:
    """Return a table, that of the widest columns that fit; where none fits, a paragraph for each row."""
    short = [{**row, "state": row["state"].partition(" (")[0], "done": f"{row['succeeded']}/{row['requests']}"} for row in rows]
    for given, words, numbers in (
        (rows, ("tag", "job", "at", "state"), ("requests", "succeeded", "failed", "age", "cost")),
        (short, ("tag", "job", "at", "state"), ("done", "failed", "age")),
        (short, ("tag", "job", "state"), ("done", "failed", "age")),
        (short, ("tag", "job", "state"), ("done", "age")),
    ):
        table = build_table(*words, numbers=numbers)
        for row in given:
            table.add_row(*(row[name] for name in (*words, *numbers)))
        drawn = draw_table(table, _WIDEST)
        if max(map(len, drawn.split("\n"))) <= width:
            return drawn
    sentences = (", ".join(f"{name} {text}" for name, text in row.items() if name != "tag") for row in rows)
    return "\n".join(break_line(f"{row['tag']}: {told}", width) for row, told in zip(rows, sentences, strict=True))
