"""How a run is told when it has ended: its jobs, what failed, one sentence of verdict and one command that helps further."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from asyncrun.aio.stop import MAX_RUNTIME
from asyncrun.errors import JobFailedError, Reason, TryLaterError
from asyncrun.failure_groups import merged
from asyncrun.humanize import counted, dollars
from asyncrun.results import JobResult, RunResult, Status
from asyncrun.trace.run_record import RunRecord
from asyncrun.trace.verdict import TimeSink, verdict
from asyncrun.trace.views.styled_text import Style, StyledLine, StyledPart, StyledText, Word, line, stack, style_of
from asyncrun.ui.failed_items import render_group
from asyncrun.ui.job_table import render_jobs
from asyncrun.ui.run_json import summary_document

NOTHING_TO_DO = "nothing to do"
MOST_SORTS = 4
"""Lines about failures at the end of a run; where there are more sorts the last one counts them."""
MOST_REASONS = 5
"""Reasons of jobs that are shown."""
MOST_NAMES = 3
"""Jobs that are named where one reason is that of several."""
NARROW = 60
"""Columns below which failures go on in the next line instead of being cut."""


def render_ending(result: RunResult, file: Path | None = None) -> StyledText:
    """Return how a run ended, for who has not seen it: the verdict with its id, what failed, and one command that helps further.

    `file` is the job file, where there is one.
    """
    said = verdict_of(result)
    head = said if said.startswith(result.status.value.capitalize()) else f"{result.status.value}: {said[:1].lower()}{said[1:]}"
    whole = line(f"Run {result.run_id} ", *_coloured(head[:1].lower() + head[1:], result.status), ".")
    return StyledText((whole, *_notes(result), *_reasons(result, named=True), *_failures(result, None), *map(line, _next(result, file))))


def render_trouble(result: RunResult, file: Path | None = None) -> StyledText:
    """Return one paragraph about a run that did not go well; no lines when all is well, or it ended at its planned time."""
    planned = result.exit_code == TryLaterError.exit_code and all(_is_planned(job) for job in result.jobs if _is_trouble(job))
    return render_ending(result, file) if result.exit_code and not planned else StyledText()


def render_close(
    result: RunResult, file: Path | None, width: int, sink: TimeSink | None = None, *, whole_failures: bool = False
) -> StyledText:
    """Return the end of a run below its trace: a row for each job, what failed, and last the verdict and one command that helps further.

    `sink` is what most of the time went to, which is said of a run that has not failed. No line of the table is longer than `width`, and
    where it is not too narrow none about failures, unless these are to be whole.
    """
    if is_unchanged(result):
        return StyledText((*_notes(result), _verdict_line(result, sink=None)))
    failures = _failures(result, None if whole_failures or width < NARROW else width)
    jobs = stack(render_jobs(result.jobs, width), StyledText((*_notes(result), *_reasons(result, named=False), *failures)))
    return stack(jobs, StyledText((_verdict_line(result, sink), *map(line, _next(result, file)))), gap=1)


def has_sent_nothing(result: RunResult) -> bool:
    """Return whether a run has found everything done that can be done, so that it has neither sent nor changed anything."""
    counts = result.counts
    done = counts.cached == counts.ok and not counts.removed and not result.usage.requests
    return done and result.status in (Status.SUCCEEDED, Status.PARTIAL)


def is_unchanged(result: RunResult) -> bool:
    """Return whether there was nothing to do in a run, and nothing failed."""
    return has_sent_nothing(result) and not result.counts.failed


def verdict_of(result: RunResult) -> str:
    """Return how a run ended as a sentence without its full stop, with what it cost and how much of it was done before.

    >>> from asyncrun.results import Counts
    >>> from asyncrun.usage import Usage
    >>> job = JobResult("notes", "embed", Status.SUCCEEDED, 0, counts=Counts(items=9, ok=9, cached=3), usage=Usage(2, cost=0.25))
    >>> verdict_of(RunResult("r1", (job,), 2.0))
    'All 9 items done in 2 s (3 of them cached, $0.25)'
    """
    end = (result.seconds, result.status.value, result.exit_code, result.seconds)
    sentence = verdict(RunRecord(result.run_id, 0.0, *end, summary=summary_document(result)), result.seconds)
    counts, cost = result.counts, result.usage.cost
    parts = [f"{counts.cached:,} of them cached"] if counts.cached and not is_unchanged(result) else []
    parts += [f"{counts.truncated:,} truncated"] if counts.truncated else []
    parts += [dollars(cost)] if cost else []
    return f"{sentence} ({', '.join(parts)})" if parts else sentence


def _verdict_line(result: RunResult, sink: TimeSink | None) -> StyledLine:
    said, status = verdict_of(result), result.status.value.capitalize()
    if not said.startswith(status) and not is_unchanged(result):
        said = f"{status}: {said[:1].lower()}{said[1:]}"
    tells = sink is not None and result.status is not Status.FAILED
    return line(*_coloured(said, result.status), StyledPart(f"; {sink}." if tells else ".", Style.TITLE))


def _coloured(said: str, status: Status) -> tuple[Word, Word]:
    """Return a sentence that begins with the status, or with `NOTHING_TO_DO`, which gets its colour; the rest is bold."""
    size = next((len(word) for word in (status.value, NOTHING_TO_DO) if said.lower().startswith(word)), 0)
    return StyledPart(said[:size], style_of(status.value)), StyledPart(said[size:], Style.TITLE)


def _next(result: RunResult, file: Path | None) -> list[str]:
    """Return what to do next in one line: about the items that failed, if they are the trouble; or run again, with a mistake corrected."""
    words = "" if file is None else f" {shlex.quote(str(file))}"
    again = "the same command" if file is None else f"`asyncrun run{words}`"
    by_items = [job for job in result.jobs if job.status is result.status and _failed_by_items(job)] if file is not None else []
    ended_early = result.status in (Status.FAILED, Status.STOPPED, Status.CANCELLED)
    if by_items and not ended_early and {group.first.reason for job in by_items for group in job.groups} == {Reason.SERVER_ERROR}:
        return [f"Next: {again} sends what failed again."]
    steps = [f"`asyncrun failed{words}` lists what failed, and what helps"] if by_items else []
    if not ended_early:
        return [f"Next: {steps[0]}."] if steps else []
    rest = f"{again} does the rest, and what is finished is not sent again"
    from asyncrun.ui.advice import can_go_on  # most runs end well, and do without it

    hint = _hint(result)
    if hint:
        steps.append(hint.replace("the same command", again) if by_items or "same command" in hint else f"{hint}; then {rest}")
    elif can_go_on(job.exit_code for job in result.jobs):
        steps.append(f"{again} goes on from here; what is finished is not sent again")
    else:
        steps.append(f"Correct what failed; then {rest}" if by_items else f"Correct that first; then {rest}")
    return [f"Next: {'. '.join(steps)}."]


def _hint(result: RunResult) -> str:
    """Return what to do first where all jobs that ended as the run did say the same, without its full stop."""
    hints = {job.hint.rstrip(".") for job in result.jobs if job.hint and job.status is result.status}
    return hints.pop() if len(hints) == 1 else ""


def _failed_by_items(job: JobResult) -> bool:
    """Tell whether failed items are the trouble of a job, and not a refused key, an outage or a budget that ended it."""
    return job.counts.failed > 0 and (job.status is Status.PARTIAL or job.exit_code == JobFailedError.exit_code)


def _is_planned(job: JobResult) -> bool:
    return job.reason is not None and job.reason.endswith(MAX_RUNTIME)


def _is_trouble(job: JobResult) -> bool:
    return job.status is not Status.SUCCEEDED


def _notes(result: RunResult) -> Iterator[StyledLine]:
    """Yield which workers were lost, and what jobs have to say that came to their end."""
    if result.executor is not None and (lost := result.executor.lost_workers):
        yield line(
            f"{counted(lost, 'worker')} {'was' if lost == 1 else 'were'} lost with {counted(result.executor.lost_calls, 'call')} under way"
        )
    yield from (line(f"{job.name}: {job.reason}") for job in result.jobs if job.reason and job.status in (Status.SUCCEEDED, Status.PARTIAL))


def _reasons(result: RunResult, *, named: bool) -> Iterator[StyledLine]:
    """Yield why jobs ended as they did, those of one reason together, but for what the verdict and the next step say.

    When jobs are to be `named`, those that the verdict speaks of are, too.
    """
    ended_early = [job for job in result.jobs if job.reason and job.status not in (Status.SUCCEEDED, Status.PARTIAL)]
    said = next((job for job in ended_early if job.status is result.status), None)
    alike: dict[tuple[Status, str, str | None], list[JobResult]] = {}
    for job in ended_early:
        alike.setdefault((job.status, job.reason or "", job.hint), []).append(job)
    for (status, reason, hint), jobs in list(alike.items())[:MOST_REASONS]:
        names = [job.name for job in jobs]
        has_hint_of_its_own = hint is not None and hint.rstrip(".") != _hint(result)
        if said not in jobs or has_hint_of_its_own or (named and len(jobs) > 1):
            more = f" and {counted(len(names) - MOST_NAMES, 'other')}" if len(names) > MOST_NAMES else ""
            yield line(f"{', '.join(names[:MOST_NAMES])}{more} ", _status(status), "" if said in jobs else f": {reason}")
        if has_hint_of_its_own:
            yield line(f"  {hint}")
    if len(alike) > MOST_REASONS:
        yield line(f"and {counted(len(alike) - MOST_REASONS, 'more reason')}")


def _failures(result: RunResult, width: int | None) -> Iterator[StyledLine]:
    """Yield what items failed by, the most frequent sorts first."""
    groups = merged((job.name, group) for job in result.jobs for group in job.groups)
    groups.sort(key=lambda named: -named[1].count)
    shown = MOST_SORTS if len(groups) <= MOST_SORTS else MOST_SORTS - 1
    for name, group in groups[:shown]:
        yield render_group(group, width, name if len(result.jobs) > 1 else "")
    if rest := [group.count for _, group in groups[shown:]]:
        yield line(StyledPart(f"{sum(rest):,} x ", Style.ODD), f"in {counted(len(rest), 'other way')}")


def _status(status: Status) -> StyledPart:
    return StyledPart(status.value, style_of(status.value))
