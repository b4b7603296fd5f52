"""What a ledger's spaces hold, and what a cleaning has removed, or would: as texts and as JSON documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from asyncrun.embedders.local_model import MODEL, MODEL_NAME
from asyncrun.escape import printable
from asyncrun.humanize import counted
from asyncrun.ledger.holdings import Cleaning, CollectionSize, SpaceSize
from asyncrun.results import Imported
from asyncrun.ui.formatting import render_size
from asyncrun.ui.run_json import document


def render_cleaning(cleaning: Cleaning) -> str:
    """Return what was removed, or would be, a line for each sort of thing.

    >>> print(render_cleaning(Cleaning(dry_run=True)))
    nothing to remove
    """
    runs, spaces = cleaning.runs, cleaning.spaces
    did = "would remove" if cleaning.dry_run else "removed"
    lines = [f"{did} {counted(len(runs), 'trace')}: {', '.join(runs[:3])}{', ...' if len(runs) > 3 else ''}"] if runs else []
    if spaces:
        total = _held(sum(space.vectors for space in spaces), sum(space.answers for space in spaces))
        size = render_size(sum(space.bytes for space in spaces))
        lines.append(f"{did} {counted(len(spaces), 'space')} that no job file here uses: {total}, {size}")
        lines += [f"  {render_space(space)}: {_held(space.vectors, space.answers)}, {render_size(space.bytes)}" for space in spaces]
    if again := cleaning.superseded.vectors:
        verb = "was" if again == 1 else "were"
        lines.append(f"{did} {counted(again, 'vector')} that {verb} made again since: {render_size(cleaning.superseded.bytes)}")
    if cleaning.collections:
        lines.append(f"{did} {counted(len(cleaning.collections), 'collection')} that nobody asks any more:")
        lines += [f"  {_render_collection(each)}" for each in cleaning.collections]
    if (batches := cleaning.batches).batches:
        files = "the files" if cleaning.dry_run else counted(batches.files, "file")
        lines.append(f"{did} {files} of {counted(batches.batches, 'collected batch')} at providers")
    if not lines:
        lines.append("nothing to remove")
    elif not cleaning.dry_run:
        lines.append(f"the files are {render_size(cleaning.freed)} smaller")
    lines += [f"files at a provider stay, of {why}" for why in batches.kept]
    if cleaning.kept is not None:
        lines.append(f"no space {'would be' if cleaning.dry_run else 'is'} removed: {cleaning.kept}")
    return "\n".join(printable(line) for line in lines)


def _render_collection(size: CollectionSize) -> str:
    held = f"{counted(size.documents, 'document')}, {counted(size.chunks, 'chunk')}"
    return f"{size.name} of {size.store}: {held}{'' if size.bytes is None else f', {render_size(size.bytes)}'}"


def cleaning_document(cleaning: Cleaning) -> dict[str, Any]:
    """Return the same as a JSON document.

    >>> told = cleaning_document(Cleaning(False, ("r1",), freed=10))
    >>> told["runs"], told["spaces"], told["superseded"], told["collections"], told["freed_bytes"]
    (['r1'], [], {'vectors': 0, 'bytes': 0}, [], 10)
    """
    found = [
        {"space": describe_space(space), "vectors": space.vectors, "answers": space.answers, "bytes": space.bytes}
        for space in cleaning.spaces
    ]
    superseded = {"vectors": cleaning.superseded.vectors, "bytes": cleaning.superseded.bytes}
    return document(
        dry_run=cleaning.dry_run,
        runs=list(cleaning.runs),
        spaces=found,
        superseded=superseded,
        collections=[asdict(each) for each in cleaning.collections],
        batches=asdict(cleaning.batches),
        freed_bytes=cleaning.freed,
        kept=cleaning.kept,
    )


def render_imported(imported: Imported) -> str:
    """Return what was taken in, and a line for the shards of each job.

    >>> from asyncrun.results import JoinedShards
    >>> print(render_imported(Imported(7, 1, (JoinedShards("notes", 2, (1,)),))))
    7 vectors and answers taken in, 1 were there already
    notes: shard 2 of 2 is missing, or has not finished
    """
    lines = [f"{imported.taken:,} vectors and answers taken in, {imported.known:,} were there already"]
    lines += [f"{each.job}: {each.words}" for each in imported.shards]
    lines += [f"{each.job}: shards of {each.of:,} were made with different settings" for each in imported.shards if len(each.spaces) > 1]
    lines += [f"shards of {name}, which is another job file: what failed is not taken in" for name in imported.others]
    return "\n".join(map(printable, lines))


def imported_document(imported: Imported) -> dict[str, Any]:
    """Return the same as a JSON document; `shards` and `others` are there where there are some.

    >>> imported_document(Imported(7, 1))
    {'schema': 1, 'taken': 7, 'known': 1}
    """
    shards = [{"job": each.job, "of": each.of, "finished": list(each.finished), "missing": list(each.missing)} for each in imported.shards]
    more = {name: told for name, told in (("shards", shards), ("others", list(imported.others))) if told}
    return document(taken=imported.taken, known=imported.known, **more)


def describe_space(space: SpaceSize) -> dict[str, Any]:
    """Return what a space is made of."""
    try:
        described = json.loads(space.description)
    except ValueError:  # a ledger that was mended does not know all descriptions
        described = {}
    return described if isinstance(described, dict) and described else {"fingerprint": space.fingerprint}


def render_space(space: SpaceSize) -> str:
    """Return what a space is made of in words; the local model, which its file stands for, has its name."""
    parts = describe_space(space)
    if parts.get("model") == MODEL.sha256:
        parts["model"] = f"{MODEL_NAME} ({MODEL.sha256[:8]})"
    return printable(", ".join(f"{key} {value}" for key, value in parts.items()))


def _held(vectors: int, answers: int) -> str:
    return " and ".join([counted(vectors, "vector")] * (vectors > 0 or not answers) + [counted(answers, "answer")] * (answers > 0))


def render_sizes(sizes: Sequence[SpaceSize]) -> str:
    """Return a line for each space, the largest first, and one for all.

    >>> print(render_sizes([SpaceSize("1f", '{"model":"m","provider":"openai"}', 1000, 1_500_000)]))
         vectors   answers      size  space
           1,000         0    1.5 MB  model m, provider openai
    """
    if not sizes:
        return "the ledger is empty"
    rows = [(f"{size.vectors:,}", f"{size.answers:,}", render_size(size.bytes), render_space(size)) for size in sizes]
    if len(sizes) > 1:
        vectors, answers = sum(size.vectors for size in sizes), sum(size.answers for size in sizes)
        rows.append((f"{vectors:,}", f"{answers:,}", render_size(sum(size.bytes for size in sizes)), "all"))
    head = ("vectors", "answers", "size", "space")
    return "\n".join(f"{vectors:>12}  {answers:>8}  {size:>8}  {name}" for vectors, answers, size, name in [head, *rows])


def sizes_document(sizes: Sequence[SpaceSize]) -> dict[str, Any]:
    """Return the same as a JSON document."""
    spaces = [
        {
            "space": describe_space(size),
            "fingerprint": size.fingerprint,
            "vectors": size.vectors,
            "answers": size.answers,
            "bytes": size.bytes,
        }
        for size in sizes
    ]
    return document(spaces=spaces)
