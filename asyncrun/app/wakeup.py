"""What a run does when the machine wakes up: it says so, records it, and makes its connections anew."""

from __future__ import annotations

from asyncrun.app.builder import Workshop
from asyncrun.callbacks.schema import CBEventType
from asyncrun.duration import duration
from asyncrun.ports import Progress


async def resume(workshop: Workshop, progress: Progress, seconds: float) -> None:
    """Go on after `seconds` in which the machine was suspended, as its clocks say."""
    words = f"suspended for {duration(round(seconds))}"
    # No time passes in it on the clock that spans are measured with: the seconds are its own.
    with workshop.manager.event(CBEventType.WAIT, payload={"name": words, "suspended": seconds}):
        pass
    progress.warn(f"{words}: the machine slept, or its clock was set; connections are made anew")
    await workshop.renew_connections()
