"""Removing what is not needed any more: old traces, replaced collections, vectors that were made again or that no job file uses."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from asyncrun.app.builder import JobBuilder
from asyncrun.app.old_collections import OldCollection, drop_collections, find_old_collections
from asyncrun.app.request import Request
from asyncrun.app.state_lock import enter_alone
from asyncrun.clock import SystemClock
from asyncrun.errors import AsyncrunError, JobFileError, UsageError
from asyncrun.jobfile.files import is_job_file
from asyncrun.jobfile.job_file import JobFile
from asyncrun.jobfile.jobs import Job
from asyncrun.jobfile.loader import LoadOptions, load_job_file
from asyncrun.jobs.interface import find_kind
from asyncrun.ledger.holdings import CleanedBatches, Cleaning, SpaceSize, Superseded, find_superseded, remove_from_ledger, space_sizes
from asyncrun.ledger.ledger import Ledger
from asyncrun.state_folder import CLAIMS, LEDGER, TRACES, is_beside, job_files_in, open_state_folder, state_file_exists, state_folder
from asyncrun.trace.store import TraceStore


def clean_folder(request: Request, older_than: float | None, *, dry_run: bool) -> Cleaning:
    """Remove runs that began more than `older_than` seconds ago (None: `trace.keep` of the job file), and what the ledger need not hold.

    The latest run stays, and so do all spaces where a job file of the folder cannot be read: it may use any. Takes the lock of every job
    file that has run here, and has those that begin meanwhile wait, except in a dry run, which changes nothing.

    Raises JobFileError, TryLaterError, StorageError and DamagedStateError.
    """
    job_file = _load(request, request.file)
    state = state_folder(request.file, request.state_dir)
    if not state.exists():
        return Cleaning(dry_run)
    before = _size(state)
    with ExitStack() as stack:
        if not dry_run:
            # A run of another job file has the numbers of vectors in memory, and writes traces.
            stack.enter_context(enter_alone(open_state_folder(state), request.file))
            # Nobody else is here: what is still claimed was left by killed runs.
            shutil.rmtree(state / CLAIMS, ignore_errors=True)
        batches = _collected_batches(request, job_file, state / LEDGER, dry_run=dry_run)
        runs = _old_runs(state / TRACES, job_file.trace.keep if older_than is None else older_than, dry_run=dry_run)
        used, old, kept = _look_through(request, state)
        spaces = () if kept is not None else tuple(space for space in _spaces(state) if space.fingerprint not in used)
        unused = [space.fingerprint for space in spaces]
        superseded = find_superseded(state / LEDGER, unused) if state_file_exists(state / LEDGER) else Superseded()
        if (unused or superseded.batches) and not dry_run:
            remove_from_ledger(state / LEDGER, unused, superseded.batches)
        if not dry_run:
            drop_collections(old)
        freed = 0 if dry_run else max(before - _size(state), 0)
        return Cleaning(dry_run, runs, spaces, freed, kept, superseded, tuple(each.size for each in old), batches)


def _load(request: Request, path: Path) -> JobFile:
    return load_job_file(path, LoadOptions(variables=request.variables, environ=request.environ, check_inputs=False, need_keys=False))


def _collected_batches(request: Request, job_file: JobFile, ledger: Path, *, dry_run: bool) -> CleanedBatches:
    if not state_file_exists(ledger):
        return CleanedBatches()
    from asyncrun.app.collected_batches import remove_collected

    return remove_collected(request, job_file, ledger, dry_run=dry_run)


def _size(state: Path) -> int:
    return sum(path.stat().st_size for name in (LEDGER, TRACES) for path in state.glob(f"{name}*"))


def _old_runs(path: Path, keep: float, *, dry_run: bool) -> tuple[str, ...]:
    if not state_file_exists(path):
        return ()
    now = SystemClock().now()
    with TraceStore(path, read_only=dry_run) as store:
        old = tuple(run.run_id for run in store.removable(now=now) if run.started < now - keep)
        if old and not dry_run:
            for run_id in old:
                store.remove(run_id)
            store.shrink()
    return old


def _spaces(state: Path) -> list[SpaceSize]:
    return list(space_sizes(state / LEDGER)) if state_file_exists(state / LEDGER) else []


def _look_through(request: Request, state: Path) -> tuple[set[str], list[OldCollection], str | None]:
    """Return which spaces the job files of the folder use, and which collections can go; nothing, and why, where that cannot be told."""
    if not state_file_exists(state / LEDGER):
        return set(), [], None
    if not is_beside(state, request.file):
        return set(), [], f"{state} was chosen with --state-dir: job files elsewhere may use it"
    used: set[str] = set()
    old: dict[tuple[str, str], OldCollection] = {}
    file = request.file.absolute()
    for path in sorted({file, *job_files_in(file.parent, state)}):
        try:
            if is_job_file(path):
                spaces, found = asyncio.run(_uses_of(replace(request, file=path), state))
                used |= spaces
                old |= {(each.size.store, each.size.name): each for each in found}
        except AsyncrunError as error:
            why = str(error.mistakes[0]) if isinstance(error, JobFileError) else str(error)
            return set(), [], f"what {path.name} uses is not known: {why}"
    return used, list(old.values()), None


async def _uses_of(request: Request, state: Path) -> tuple[frozenset[str], list[OldCollection]]:
    job_file = await asyncio.to_thread(_load, request, request.file)
    ledger = Ledger(state / LEDGER)
    builder = JobBuilder(request, job_file, ledger)
    try:
        spaces = await asyncio.to_thread(lambda: [space for job in job_file.jobs for space in _fingerprints(job, builder)])
        return frozenset(spaces), await asyncio.to_thread(lambda: list(find_old_collections(job_file.jobs, builder)))
    finally:
        await builder.aclose()
        await asyncio.to_thread(ledger.close)


def _fingerprints(job: Job, builder: JobBuilder) -> Iterator[str]:
    spaces = find_kind(job.kind).spaces
    if spaces is None:
        raise UsageError(f"job {job.name} is of the kind {job.kind}, which does not tell the spaces of its vectors")
    yield from (space.fingerprint for space in spaces(job, builder))
