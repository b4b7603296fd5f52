"""How long a job takes at the limits that are known, and what kept it from being faster."""

from __future__ import annotations

from asyncrun.aio.limits import Limits
from asyncrun.usage import Waits


def at_limits(limits: Limits | None, requests: int, tokens: int, inputs: int) -> tuple[float | None, str | None]:
    """Return how many seconds it takes at least by what is known per minute, and which limit says so; None when nothing is known.

    >>> at_limits(Limits(requests_per_minute=60, tokens_per_minute=1000), 10, 1000, 5)
    (60.0, 'tokens_per_minute')
    >>> at_limits(None, 0, 0, 0)
    (0.0, None)
    """
    if not requests:
        return 0.0, None
    amounts = {"requests": requests, "tokens": tokens, "inputs": inputs}
    known = {} if limits is None else {unit: rate for unit, rate in limits.per_minute().items() if rate is not None}
    seconds = {f"{unit}_per_minute": 60.0 * amounts[unit] / rate for unit, rate in known.items()}
    bound = max(seconds, key=seconds.__getitem__, default=None)
    return (None, None) if bound is None else (seconds[bound], bound)


def bound_by(waits: Waits, limit: str | None) -> str | None:
    """Return what most of the time of all batches went to, None when nothing is known of it.

    A limit has its name in the job file (`limit` is the tightest rate), all else the name that traces have for it.

    >>> bound_by(Waits(rate=2.0, request=1.0), "tokens_per_minute"), bound_by(Waits(queue=2.0, request=1.0), None)
    ('tokens_per_minute', 'concurrency')
    """
    told = waits.told()
    if not told:
        return None
    longest = max(told, key=told.__getitem__).removeprefix("waits.")
    if longest == "queue" and waits.compute:
        longest = "compute"  # Who waits for a thread waits for the processor.
    return {"rate": limit or "rate", "queue": "concurrency"}.get(longest, longest)
