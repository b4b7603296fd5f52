"""How providers write down what they say of a batch: states, times, numbers and reasons, in all the forms that were seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from asyncrun.batches.interface import TAG_LENGTH, BatchState

TAG_KEY = "asyncrun"
"""Under which a batch carries its tag in its metadata; Mistral takes it for a parameter of its own if it is called like one."""
_NAME = re.compile(rf"asyncrun-([a-z0-9]{{{TAG_LENGTH}}})(?:\.jsonl)?")
_PREFIX = re.compile(r"^(job|batch)_state_", re.IGNORECASE)
_STATES = {
    BatchState.WAITING: "validating in_progress finalizing queued pending running created submitted",
    BatchState.CANCELLING: "cancelling canceling cancellation_requested",
    BatchState.ENDED: "completed succeeded success ended partially_completed partially_succeeded",
    BatchState.EXPIRED: "expired timeout_exceeded",
    BatchState.CANCELLED: "cancelled canceled",
    BatchState.FAILED: "failed",
}
_BY_WORD = {word: state for state, words in _STATES.items() for word in words.split()}


def state_of(word: object) -> BatchState:
    """Return the state behind a provider's word, whatever its prefix and its letters.

    >>> state_of("BATCH_STATE_SUCCEEDED"), state_of("Validating"), state_of("pondering")
    (<BatchState.ENDED: 'ended'>, <BatchState.WAITING: 'waiting'>, <BatchState.UNKNOWN: 'unknown'>)
    """
    return _BY_WORD.get(_PREFIX.sub("", word).lower(), BatchState.UNKNOWN) if isinstance(word, str) else BatchState.UNKNOWN


def moment_of(value: object) -> float | None:
    """Return a moment in seconds since 1970, told as such or in ISO 8601; None where it is neither.

    >>> moment_of(1711471533), moment_of("2024-03-26T16:45:33Z"), moment_of("soon")
    (1711471533.0, 1711471533.0, None)
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(value)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def number_of(value: object) -> int | None:
    """Return a number of requests; Gemini writes numbers as texts.

    >>> number_of("12"), number_of(None)
    (12, None)
    """
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:
        return int(value)
    return value if type(value) is int and value >= 0 else None


def part_of(document: object, *names: str) -> Any:
    """Return what stands under these names, one within the other; None where there is nothing.

    >>> part_of({"metadata": {"state": "x"}}, "metadata", "state")
    'x'
    """
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document


def rows_of(document: object, name: str) -> list[Any]:
    """Return the list under a name, an empty one where there is none.

    >>> rows_of({"data": None}, "data")
    []
    """
    found = part_of(document, name)
    return found if isinstance(found, list) else []


def text_of(document: object, *names: str) -> str | None:
    """Return the text under these names, None where there is none or an empty one, as OpenAI writes of a file that does not exist."""
    found = part_of(document, *names)
    return found if isinstance(found, str) and found else None


def files_in(document: object, *names: str) -> tuple[str, ...]:
    """Return the ids of files under these names, one or a list of them; what is null or an empty text is no file.

    >>> files_in({"input_files": ["file-1"], "output_file": None, "error_file": "file-2"}, "input_files", "output_file", "error_file")
    ('file-1', 'file-2')
    """
    found = (rows_of(document, name) or [text_of(document, name)] for name in names)
    return tuple(file for files in found for file in files if isinstance(file, str) and file)


def name_with(tag: str) -> str:
    """Return the name of a batch and of its file, for vendors that have names."""
    return f"asyncrun-{tag}"


def tag_in(name: object) -> str | None:
    """Return the tag in a name, None where it is not one of ours.

    >>> tag_in(name_with("0123456789abcdefghij"))
    '0123456789abcdefghij'
    """
    found = _NAME.fullmatch(name) if isinstance(name, str) else None
    return found.group(1) if found else None


def tag_in_metadata(document: object) -> str | None:
    """Return the tag in the metadata of a batch, None where they hold none of ours.

    >>> tag_in_metadata({"metadata": {TAG_KEY: "0123456789abcdefghij"}})
    '0123456789abcdefghij'
    """
    return tag_in(name_with(str(part_of(document, "metadata", TAG_KEY))))


def reasons_in(errors: object) -> str:
    """Return why a batch has failed, in one sentence; a provider lists a mistake for every line of a file.

    >>> reasons_in([{"code": "invalid_json_line", "message": "This line is not JSON.", "line": 3}])
    'This line is not JSON. (invalid_json_line, line 3)'
    """
    return "; ".join(dict.fromkeys(_reasons(errors)))


def _reasons(errors: object) -> Iterator[str]:
    if isinstance(errors, str) and errors:
        yield errors
    elif isinstance(errors, list):
        for error in errors[:3]:
            yield from _reasons(error)
    elif isinstance(errors, dict):
        if isinstance(errors.get("data"), list):
            yield from _reasons(errors["data"])
            return
        told = [str(errors["code"])] if errors.get("code") else []
        told += [f"line {errors['line']}"] if errors.get("line") else []
        told += [f"{errors['count']} times"] if errors.get("count") else []
        yield " ".join(filter(None, [str(errors.get("message") or ""), f"({', '.join(told)})" if told else ""]))
