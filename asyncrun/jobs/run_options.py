"""What the flags of one run say, made once by the command line and handed on whole; and what a retry of failed items sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from asyncrun.errors import TryLaterError, UsageError
from asyncrun.jobfile.units import Threshold
from asyncrun.records import BadItem, Item
from asyncrun.short_help import ShortHelp

if TYPE_CHECKING:
    from asyncrun.grammar.shard import Shard
    from asyncrun.ledger.job_records import KnownFailure
    from asyncrun.ports import Executor


@dataclass(frozen=True, slots=True)
class Retry:
    """Which failures are tried again: those of `ids`, all when it is empty."""

    ids: frozenset[str] = field(default_factory=frozenset)

    def select(self, known: Mapping[str, KnownFailure]) -> RetrySelection:
        """Return the items that these failures belong to."""
        failures = {name: each for name, each in known.items() if not self.ids or name in self.ids}
        lines = {(each.failure.place.file, each.failure.place.line) for each in failures.values() if each.failure.place.line is not None}
        return RetrySelection(frozenset(failures), frozenset(lines))


@dataclass(frozen=True, slots=True)
class RetrySelection:
    """Items by id, and by their line: a bad record has no id of its own until it is repaired."""

    ids: frozenset[str]
    lines: frozenset[tuple[str, int | None]]

    def has(self, item: Item | BadItem) -> bool:
        """Tell whether the item is one of them."""
        return item.id in self.ids or (item.place.file, item.place.line) in self.lines


def unsent_error(count: int) -> TryLaterError | None:
    """Return the error of a job of which items remain that a retry does not send; None without any."""
    if not count:
        return None
    return TryLaterError(
        f"{count:,} {'item is' if count == 1 else 'items are'} new since the last run, and a retry sends none but the failed",
        hint="Send them with `asyncrun run`; the output is written then.",
    )


@dataclass(frozen=True, slots=True)
class RunOptions(metaclass=ShortHelp):
    """The options of one run; the defaults are those of a run without flags. Raises UsageError for a number that is too small, or none.

    Args:
        with_needs: whether jobs that the named ones need run, too.
        from_job: leaves out what does not need that job.
        limit: ends every input after so many items; then neither a store nor what is known of a job as a whole is changed.
        shard: the part of every input that is taken; no store is changed, and stated limits and budgets are divided by their number.
        input: takes the place of the one named job's.
        output: takes the place of the one named job's.
        workers: overrides that of every job.
        fallback_workers: for jobs that state none themselves.
        max_runtime: seconds after which no work starts.
        fallback_max_runtime: for jobs that state none themselves.
        wait_for_lock: seconds to wait for another run of the same file to end.
        fail_fast: whether the first job that fails ends the run.
        max_cost: USD for all jobs together.
        max_delete: overrides that of every job.
        refresh: whether the named jobs are made again.
        rebuild: whether ingest jobs fill a collection anew that was made in another way, as with `on_new_space: rebuild`.
        retry: which failed items are sent, and nothing else; None: all that is not finished.
        executor: where calls run, instead of where the job file says: `local`, `processes` or `ray`, or an executor that is left open.
        metrics_file: where the figures of the run are written, instead of where the job file says.
        handlers: names of installed handlers, which are told of the run's events.

    >>> import asyncrun, tempfile
    >>> job = {"name": "a", "kind": "embed", "input": {"items": ["one", "two", "three"]}, "output": "a.npy"}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     asyncrun.run({"jobs": [job]}, folder=folder, options=RunOptions(limit=2)).array().shape
    (2, 384)
    """

    with_needs: bool = True
    from_job: str | None = None
    limit: int | None = None
    shard: Shard | None = None
    input: str | None = None
    output: str | None = None
    workers: int | None = None
    fallback_workers: int | None = None
    max_runtime: float | None = None
    fallback_max_runtime: float | None = None
    wait_for_lock: float = 0.0
    fail_fast: bool = False
    max_cost: float | None = None
    max_delete: Threshold | None = None
    refresh: bool = False
    rebuild: bool = False
    retry: Retry | None = None
    executor: str | Executor | None = None
    metrics_file: str | None = None
    handlers: tuple[str, ...] = ()

    @property
    def is_partial(self) -> bool:
        """Return whether only some of the items are taken, so that no store is changed."""
        return self.limit is not None or self.shard is not None

    def __post_init__(self) -> None:
        """Refuse what a flag would: a budget of NaN is never reached."""
        for name, least, what in (("limit", 1, "whole number"), ("workers", 1, "whole number"), ("max_cost", 0, "number")):
            value: Any = getattr(self, name)
            fits = isinstance(value, Real if what == "number" else Integral)
            if value is not None and not (fits and value >= least):
                raise UsageError(f"{name} is {value!r}, and must be a {what} of {least} or more")
        if isinstance(self.shard, str):
            raise UsageError(f"shard is a text, and must be what asyncrun.grammar.shard.parse_shard({self.shard!r}) returns")
