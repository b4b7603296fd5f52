"""What helps: about an item that failed, by its reason, and about a job, by the exit code that it ended with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from asyncrun.errors import Reason

_AGAIN = "`asyncrun retry{words}` sends it again, in case the answer is another one now"
ADVICE: Mapping[Reason, str] = {
    Reason.TOO_LONG: "shorten the text, set `on_too_long: truncate` or `split` (ingest: a smaller `chunk.size`), or list it under `skip`",
    Reason.EMPTY: "write a text, set `on_empty: skip`, or list it under `skip`",
    Reason.BAD_RECORD: "mend the file or row, correct `text`, `id` or `metadata` of the input, or list it under `skip`",
    Reason.BAD_TEXT: "write the text in UTF-8, or list it under `skip`",
    Reason.UNREADABLE: "mend the file or its permissions, or exclude it; every run reads it again",
    Reason.REFUSED: f"see what the server says of it, change it or list it under `skip`; {_AGAIN}",
    Reason.BAD_RESPONSE: _AGAIN,
    Reason.BAD_ANSWER: f"say in the prompt what the schema wants, raise `repair`, or take another model; {_AGAIN}",
    Reason.CUT_OFF: "raise `max_output_tokens` of the llm; the next run asks again",
    Reason.FILTERED: f"change the text or the prompt, or list it under `skip`; {_AGAIN}",
    Reason.EMPTY_ANSWER: _AGAIN,
    Reason.WORKER_LOST: f"see whether memory runs out where it is embedded, change the text or list it under `skip`; {_AGAIN}",
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
