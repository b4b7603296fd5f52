"""Whether what a chat model has answered can be a row: what it holds, what is wrong with it, or why there is nothing to hold. Pure."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from asyncrun.errors import Reason
from asyncrun.escape import is_utf8, printable
from asyncrun.finish_reasons import CONTENT_FILTER, LENGTH, REFUSAL, finish_reason_of
from asyncrun.grammar.answer_schema import MAX_DEPTH, AnswerSchema

MAX_REPAIRED = 200_000
"""The characters of the longest wrong answer that is asked again: it is sent back whole."""
_FENCE = "```"
_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
_SMALLEST, _LARGEST = -(2**63), 2**64 - 1
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Accepted:
    """What an answer holds: its text, or under a schema the value that keeps it."""

    value: Any


@dataclass(frozen=True, slots=True)
class Wrong:
    """An answer that does not keep its schema and may be asked again: what is wrong, and where, as a JSON pointer, empty for the whole."""

    mistake: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.mistake}" if self.place else self.mistake


@dataclass(frozen=True, slots=True)
class Unusable:
    """An answer that is no row, and that the same question would not mend: the reason as that of a failed item, and one sentence."""

    reason: str
    message: str


def check_answer(text: str | None, finish_reason: str | None, schema: AnswerSchema | None = None) -> Accepted | Wrong | Unusable:
    """Return what an answer is, whatever it holds; nothing is raised for it.

    A fence around the whole answer is taken off. A key that comes twice, NaN, and a number that 64 bits do not hold are wrong: each reader
    of the row would make something else of it. An answer that was cut off is never looked into, as its beginning may keep the schema by
    chance; without a schema it is one, and its finish reason says so.

    >>> from asyncrun.grammar.answer_schema import parse_schema
    >>> schema = parse_schema({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]})
    >>> check_answer('{"n": 3}', "stop", schema)
    Accepted(value={'n': 3})
    >>> print(check_answer('{"n": "three"}', "stop", schema))
    /n: it breaks the rule "type": "integer"
    """
    # A plugin may hand on the word of its vendor.
    ended = finish_reason_of(finish_reason)
    if ended == REFUSAL:
        return Unusable(Reason.REFUSED, f"the model refuses: {printable(text.strip(), 4 * _SHOWN)}" if text else "the model refuses")
    if ended == CONTENT_FILTER:
        return Unusable(Reason.FILTERED, "a content filter has stopped the answer")
    if ended == LENGTH and (schema is not None or not (text or "").strip()):
        return Unusable(Reason.CUT_OFF, "the answer reached max_output_tokens before its end")
    if text is None or not text.strip():
        return Unusable(Reason.EMPTY_ANSWER, "the model has answered nothing")
    if schema is None:
        return Accepted(text) if is_utf8(text) else Unusable(Reason.BAD_ANSWER, "the answer holds half a character")
    checked = _check_value(text, schema)
    if isinstance(checked, Wrong) and len(text) > MAX_REPAIRED:
        return Unusable(Reason.BAD_ANSWER, f"{checked}; with {len(text):,} characters it is too long to be asked again")
    return checked


def repair_message(wrong: Wrong) -> str:
    """Return what the model is told of its wrong answer: the same words for the same mistake, as they are part of what is asked.

    >>> repair_message(Wrong('it breaks the rule "type": "integer"', "/n"))
    'Your answer does not fit the JSON Schema. At /n: it breaks the rule "type": "integer". Answer again with the corrected JSON alone.'
    """
    where = f"At {wrong.place}: " if wrong.place else ""
    mistake = wrong.mistake if where else wrong.mistake[:1].upper() + wrong.mistake[1:]
    return f"Your answer does not fit the JSON Schema. {where}{mistake}. Answer again with the corrected JSON alone."


class _NoValueError(ValueError):
    """What JSON allows, or Python takes for JSON, and a row cannot hold."""


def _check_value(text: str, schema: AnswerSchema) -> Accepted | Wrong:
    written = _without_fence(text.strip())
    if _is_deep(written):
        return Wrong(f"it is nested deeper than {MAX_DEPTH} levels")
    try:
        value = _DECODER.decode(written)
    except json.JSONDecodeError as error:
        return Wrong(f"it is not JSON: line {error.lineno}, column {error.colno} cannot be read")
    except _NoValueError as error:
        return Wrong(str(error))
    # A half that is written as an escape is not in the text itself.
    if not is_utf8(written) or ("\\u" in written and not is_utf8(json.dumps(value, ensure_ascii=False))):
        return Wrong("it holds half a character")
    violation = schema.violation(value)
    return Accepted(value) if violation is None else Wrong(f"it breaks the rule {violation.rule}", printable(violation.place, 2 * _SHOWN))


def _without_fence(text: str) -> str:
    opening, newline, rest = text.partition("\n")
    fenced = newline and opening.startswith(_FENCE) and _FENCE not in opening[3:] and rest.endswith(_FENCE)
    return rest[: -len(_FENCE)] if fenced else text


def _is_deep(written: str) -> bool:
    """Tell whether a text opens too many brackets within each other; strings are passed over, also one that never ends."""
    if written.count("[") + written.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(written):
        if match[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif match[0] in "]}":
            depth -= 1
    return False


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = Counter(key for key, _ in pairs)
        twice = next(key for key, times in keys.items() if times > 1)
        raise _NoValueError(f"it has the key {printable(json.dumps(twice), _SHOWN)} twice")
    return found


def _integer(digits: str) -> int:
    # Python refuses to read thousands of digits, and says so with another error.
    value = int(digits) if len(digits) <= 20 else _LARGEST + 1
    if not _SMALLEST <= value <= _LARGEST:
        raise _NoValueError(f"it has a number that is too large to be kept exactly: {printable(digits, _SHOWN)}")
    return value


def _number(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise _NoValueError(f"it has a number that is too large: {printable(digits, _SHOWN)}")
    return value


def _constant(name: str) -> Any:
    raise _NoValueError(f"it has {name}, which is no JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant)
