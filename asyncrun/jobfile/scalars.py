"""What a plain YAML scalar means: text, number, true or false, nothing; what two readers of YAML would read differently is refused."""

from __future__ import annotations

import math
import re

_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {form for word in ("true", "yes", "on") for form in (word, word.title(), word.upper())}
_FALSE = {form for word in ("false", "no", "off") for form in (word, word.title(), word.upper())}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*|0x[0-9a-fA-F_]*[0-9a-fA-F]|0o[0-7]+|0b[01_]*[01])")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9_]+")
_SIXTIES = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_FLOAT = re.compile(r"[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_MAX_DIGITS = 300


class UnclearScalarError(ValueError):
    """A plain scalar that YAML 1.1 and YAML 1.2 read differently, or that is no finite number."""


def read_plain(text: str) -> str | int | float | bool | None:
    """Return the value of a scalar without quotes.

    >>> [read_plain(text) for text in ("a", "5", "1e3", "no", "~", "1.5")]
    ['a', 5, 1000.0, False, None, 1.5]

    Raises UnclearScalarError for `0123` (83 or 123), `12:30` (750 or a text), `.inf`.
    """
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _LEADING_ZERO.fullmatch(text):
        raise UnclearScalarError(
            f'YAML reads {text} as a number in base 8 or in base 10; write it without the leading zero, or as "{text}"'
        )
    if _SIXTIES.fullmatch(text):
        seconds = _sixties(text)
        raise UnclearScalarError(f'YAML reads {text} as the number {seconds} (base 60); write {seconds}, or the text as "{text}"')
    integer, real = _INTEGER.fullmatch(text), _FLOAT.fullmatch(text)
    if (integer or real) and len(text) > _MAX_DIGITS:
        raise UnclearScalarError(f"a number of {len(text)} digits; write the text in quotes")
    if integer:
        return int(text.replace("_", ""), 0)
    if _NO_NUMBER.fullmatch(text) or (real and not math.isfinite(float(text.replace("_", "")))):
        raise UnclearScalarError(f'{text} is no finite number; write the text as "{text}"')
    return float(text.replace("_", "")) if real else text


def _sixties(text: str) -> str:
    total = 0.0
    for part in text.lstrip("+-").replace("_", "")[:_MAX_DIGITS].split(":"):
        total = total * 60 + float(part)
    return f"{-total if text.startswith('-') else total:g}"
