"""How a run is told when it has ended: one line, what failed, and what helps, by the reason of an item or the exit code of a job."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from asyncrun.aio.stop import MAX_RUNTIME
from asyncrun.errors import JobFailedError, Reason, TryLaterError
from asyncrun.escape import cut
from asyncrun.humanize import counted, dollars, duration
from asyncrun.results import JobResult, RunResult, Status
from asyncrun.trace.views.styled_text import StyledLine, StyledPart, StyledText, line, style_of

SHOWN_FAILURES = 5
"""How many failed items of a job are named."""
_AGAIN = "`asyncrun retry{words}` sends it again, in case the answer is another one now"
ADVICE: Mapping[Reason, str] = {
    Reason.TOO_LONG: "shorten the text, set `on_too_long: truncate` or `split` (ingest: a smaller `chunk.size`), or list it under `skip`",
    Reason.EMPTY: "write a text, set `on_empty: skip`, or list it under `skip`",
    Reason.BAD_RECORD: "mend the record, correct `text`, `id` or `metadata` of the input, or list it under `skip`",
    Reason.BAD_TEXT: "write the text in UTF-8, or list it under `skip`",
    Reason.REFUSED: f"see what the server says of it, change it or list it under `skip`; {_AGAIN}",
    Reason.BAD_RESPONSE: _AGAIN,
    Reason.SERVER_ERROR: "the next `asyncrun run{words}` sends it again",
}
"""What to do about an item that failed so. Only what a server has answered can be asked again; the rest is read again by every run."""

GOES_ON: Mapping[int, bool] = {
    1: False,  # a wrong model or address, another embedder's collection, too many failed items, a refused deletion
    2: False,  # a mistake
    3: True,  # failed items, which have advice of their own
    4: False,  # a budget, which counts on until the job has finished
    70: False,  # a bug
    73: False,  # an output that cannot be made
    74: True,  # a disk or an input that fails, or damage: the job's own hint says what to do first
    75: True,  # another time
    77: False,  # a refused key
}
"""Whether the same command, with nothing corrected, goes on where a job ended with a code."""


def render_ending(result: RunResult, file: Path | None = None) -> StyledText:
    """Return the last lines of a run: how it ended, what failed, and the commands that help further, on the job file if known."""
    counts, usage = result.counts, result.usage
    parts = [f"{counts.ok:,} ok", f"{counts.cached:,} of them cached", f"{counts.failed:,} failed", f"{counts.skipped:,} skipped"]
    parts += [f"{counts.truncated:,} truncated"] if counts.truncated else []
    parts += [counted(usage.requests, "request")] if usage.requests else []
    parts += [counted(usage.tokens, "token")] if usage.tokens else []
    parts += [dollars(usage.cost)] if usage.cost is not None else []
    told = f": {counted(counts.items, 'item')} in {duration(result.seconds)} ({', '.join(parts)})"
    head = line(f"Run {result.run_id} ", _status(result.status), told)
    trouble = (told for job in result.jobs if _is_trouble(job) for told in _job_trouble(job))
    return StyledText((head, *trouble, *map(line, _next(result, file))))


def render_trouble(result: RunResult, file: Path | None = None) -> StyledText:
    """Return one paragraph about a run that did not go well; no lines when all is well, or it ended at its planned time."""
    planned = result.exit_code == TryLaterError.exit_code and all(_is_planned(job) for job in result.jobs if _is_trouble(job))
    return render_ending(result, file) if result.exit_code and not planned else StyledText()


def _next(result: RunResult, file: Path | None) -> list[str]:
    """Return what to do next: about the items that failed, if they are the trouble; or run again, at once or with a mistake corrected."""
    words = "" if file is None else f" {shlex.quote(str(file))}"
    again = "the same command" if file is None else f"`asyncrun run{words}`"
    by_items = [job for job in result.jobs if _failed_by_items(job)] if file is not None else []
    steps = [f"Next: `asyncrun failed{words}` lists what failed."] if by_items else []
    steps += advise((failure.reason for job in by_items for failure in job.failures), words)
    if result.status in (Status.FAILED, Status.STOPPED, Status.CANCELLED):
        if can_go_on(job.exit_code for job in result.jobs):
            steps.append(f"Next: {again} goes on from here; what is finished is not sent again.")
        else:
            steps.append(f"Next: correct that first; {again} then does the rest, and what is finished is not sent again.")
    return steps


def _failed_by_items(job: JobResult) -> bool:
    """Tell whether failed items are the trouble of a job, and not a refused key, an outage or a budget that ended it."""
    return job.counts.failed > 0 and (job.status is Status.PARTIAL or job.exit_code == JobFailedError.exit_code)


def _is_planned(job: JobResult) -> bool:
    return job.reason is not None and job.reason.endswith(MAX_RUNTIME)


def _is_trouble(job: JobResult) -> bool:
    return job.status is not Status.SUCCEEDED


def _job_trouble(job: JobResult) -> Iterator[StyledLine]:
    yield line(f"{job.name} ", _status(job.status), f": {job.reason}" if job.reason else "")
    for failure in job.failures[:SHOWN_FAILURES]:
        yield line(f"  {failure.place}: {cut(failure.id)}: {failure.reason}: {failure.message}")
    if job.counts.failed > SHOWN_FAILURES:
        yield line(f"  and {job.counts.failed - SHOWN_FAILURES:,} more")
    if job.hint:
        yield line(f"  {job.hint}")


def _status(status: Status) -> StyledPart:
    return StyledPart(status.value, style_of(status.value))


def advise(reasons: Iterable[str], words: str) -> list[str]:
    """Return a line for each reason that there is advice about; `words` are the arguments of a command, a blank before them."""
    given = set(reasons)
    return [f"  {reason}: {ADVICE[reason].format(words=words)}." for reason in Reason if reason in given]


def can_go_on(codes: Iterable[int]) -> bool:
    """Tell whether a run whose jobs ended with these exit codes goes on by itself when it is started again.

    >>> can_go_on([0, 75]), can_go_on([75, 1])
    (True, False)
    """
    return all(GOES_ON.get(code, True) for code in codes)
