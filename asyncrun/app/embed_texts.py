"""Texts embedded from Python with all that a job has: limits, retries, the ledger as a cache, and failures text by text."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncrun.aio.bridge import asyncio_run
from asyncrun.app.library import arun
from asyncrun.app.python_input import json_line
from asyncrun.app.report import Report
from asyncrun.errors import UsageError
from asyncrun.jobfile.sections import EmbedderConfig
from asyncrun.jobs.embed import EmbedJob
from asyncrun.records import ItemFailure
from asyncrun.short_help import ShortHelp
from asyncrun.usage import Usage

if TYPE_CHECKING:
    from asyncrun.callbacks.base import CallbackManager


@dataclass(frozen=True, slots=True)
class Embeddings(metaclass=ShortHelp):
    """Vectors of texts, in their order.

    Args:
        vectors: float32, (texts, dimensions); a row of NaN where a text has none, (texts, 0) where none has one.
        failures: what failed, by the position of its text.
        usage: the requests, tokens and cost of this call; what the ledger had costs nothing.
        cached: how many texts the ledger had, the same text as another one included.

    >>> result = embed(["one", "", "two"])
    >>> result.vectors.shape, {place: failure.reason for place, failure in result.failures.items()}, result.cached
    ((3, 384), {1: 'empty'}, 0)
    """

    vectors: np.ndarray = field(repr=False)
    failures: Mapping[int, ItemFailure]
    usage: Usage
    cached: int


def embed(
    texts: Iterable[str],
    embedder: str | Mapping[str, Any] | EmbedderConfig = "local",
    *,
    ledger: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    show_progress: bool = False,
    callback_manager: CallbackManager | None = None,
) -> Embeddings:
    """Embed texts, also where an event loop is running; one that cannot be embedded loses no other.

    Args:
        texts: any number of them.
        embedder: `local`, `provider/model`, or what a job file says of one.
        ledger: a folder that keeps finished vectors, such as `.asyncrun`, the one of a job file's folder: they are sent by no later call
            and no later run. None: nothing is kept.
        environ: the environment, with the keys of providers; None: that of the process.
        show_progress: shows a bar on a terminal or in a notebook, and plain lines elsewhere, on stderr.
        callback_manager: its handlers are told of the events.

    Raises what is about the endpoint and not about a text (AuthError, OutageError and others of `asyncrun.errors`), once what was finished
    before is in the ledger, JobFileError for an embedder that cannot be, and UsageError for one text instead of several.

    >>> result = embed(["one", "", "two"])
    >>> result.vectors.shape, sorted(result.failures)
    ((3, 384), [1])
    """
    work = aembed_many(texts, embedder, ledger=ledger, environ=environ, show_progress=show_progress, callback_manager=callback_manager)
    return asyncio_run(work)


async def aembed_many(
    texts: Iterable[str],
    embedder: str | Mapping[str, Any] | EmbedderConfig = "local",
    *,
    ledger: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    show_progress: bool = False,
    callback_manager: CallbackManager | None = None,
) -> Embeddings:
    """Embed texts on the running event loop, as `embed` does.

    >>> import asyncio
    >>> asyncio.run(aembed_many(["one", "two"])).vectors.shape
    (2, 384)
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = await asyncio.to_thread(_write, folder / "texts.jsonl", texts)
        job = EmbedJob(name="embed", input="texts.jsonl", embedder=embedder, output="vectors.npy")
        report = await arun(
            job,
            folder=folder,
            state_dir=ledger,
            environ=environ,
            show_progress=show_progress,
            callback_manager=callback_manager,
        )
        return await asyncio.to_thread(_result, report, count)


def _write(path: Path, texts: Iterable[str]) -> int:
    if isinstance(texts, str | bytes):
        raise UsageError("one text stands where a list of texts is expected", hint="Write [text].")
    count = 0
    with path.open("wb") as file:
        for text in texts:
            # What is no text fails by itself, and no other text with it.
            file.write(json_line({"id": str(count), "text": text}, lambda _: {}))
            count += 1
    return count


def _result(report: Report, count: int) -> Embeddings:
    result = report.jobs["embed"]
    failures = {int(failure.id): failure for failure in report.failures("embed")}
    rows = []
    if len(failures) < count:
        report.check()
        rows = list(report.rows("embed"))
    vectors = np.full((count, len(rows[0]["embedding"]) if rows else 0), np.nan, dtype=np.float32)
    for row in rows:
        vectors[int(row["id"])] = row["embedding"]
    return Embeddings(vectors, failures, result.usage, result.counts.cached)
