"""What the flags of one run say: made once by the command line, and handed on whole."""

from __future__ import annotations

from dataclasses import dataclass

from asyncrun.jobfile.units import Threshold
from asyncrun.jobs.retry import Retry


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of one run; the defaults are those of a run without flags.

    `from_job` leaves out what does not need that job; `limit` ends every input after so many items, and then neither a store nor what is
    known of a job as a whole is changed. `input` and `output` take the place of the one named job's. `workers` overrides that of every
    job. After `max_runtime` seconds no work starts. The spare ones hold for jobs that state none themselves. `wait_for_lock` is how many
    seconds to wait for another run of the same file to end. `max_cost` (USD) holds for all jobs together; `max_delete` overrides that of
    every job. With `refresh` the named jobs are made again. With `retry` only failed items are sent.
    """

    with_needs: bool = True
    from_job: str | None = None
    limit: int | None = None
    input: str | None = None
    output: str | None = None
    workers: int | None = None
    spare_workers: int | None = None
    max_runtime: float | None = None
    spare_max_runtime: float | None = None
    wait_for_lock: float = 0.0
    fail_fast: bool = False
    max_cost: float | None = None
    max_delete: Threshold | None = None
    refresh: bool = False
    retry: Retry | None = None
