"""The filter language: a text such as `lang = 'en' and year >= 2024` parsed into a frozen tree that every store compiles for itself."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeAlias, cast

from asyncrun.errors import UsageError
from asyncrun.escape import printable

Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">="]
Value: TypeAlias = str | int | float | bool

MAX_DEPTH = 10
"""How deep parentheses and `not` may nest. SQLite before 3.46 parses with a stack of 100 entries (php-src#10135), and one level of
`(a = 1 or b = 2 and (` takes six of them."""
MAX_WORDS = 10_000
"""How many words a filter may have: its values stay below the 32,766 parameters that a SQL statement may carry."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`field operator value`; `field` holds the names along the path, outermost first.

    Unknown (neither true nor false) where the field is missing, null, or of another type than the value: text, number and
    truth value are three types.
    """

    field: tuple[str, ...]
    operator: Operator
    value: Value


@dataclass(frozen=True, slots=True)
class Membership:
    """`field in (values)`; unknown where the field is missing, null, or of a type that none of the values has."""

    field: tuple[str, ...]
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True where `term` is false; unknown stays unknown."""

    term: Filter


@dataclass(frozen=True, slots=True)
class And:
    """False where one of two or more terms is, else unknown where one of them is."""

    terms: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True where one of two or more terms is, else unknown where one of them is."""

    terms: tuple[Filter, ...]


Filter: TypeAlias = Comparison | Membership | Not | And | Or
"""What a filter means; a document passes where it is true."""


def fields_of(tree: Filter) -> Iterator[tuple[str, ...]]:
    """Yield the fields of a filter, in its order.

    >>> list(fields_of(parse_filter("lang = 'en' or not author.name in ('A')")))
    [('lang',), ('author', 'name')]
    """
    match tree:
        case Comparison() | Membership():
            yield tree.field
        case Not():
            yield from fields_of(tree.term)
        case And() | Or():
            for term in tree.terms:
                yield from fields_of(term)


class FilterError(UsageError):
    """What is wrong with a filter: `why`, and the `position` of the word in its text, from 1."""

    hint = "A filter reads like: lang = 'en' and (year >= 2024 or not draft = true); texts stand in single quotes."

    def __init__(self, text: str, position: int, why: str) -> None:
        super().__init__(f'filter "{printable(text, 100)}", position {position}: {why}')
        self.position = position
        self.why = why


def parse_filter(text: str) -> Filter:
    """Parse a filter.

    A field is a name or a dotted path of names; a value is a text in single quotes (`''` stands for one of them), a number, true or
    false; `and`, `or`, `not`, `in`, `true` and `false` may be written in capitals. `not` binds tightest, then `and`.

    >>> parse_filter("author.name = 'O''Hara'")
    Comparison(field=('author', 'name'), operator='=', value="O'Hara")

    Raises FilterError with the position (from 1) and what was expected there.
    """
    return _Parser(text).parse()


_TOKEN = re.compile(
    r"""(?P<text>'[^']*(?:''[^']*)*')
    | (?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![\w.]))
    | (?P<word>[^\W\d][\w-]*(?:\.[\w-]+)*)
    | (?P<operator><=|>=|!=|=|<|>)
    | (?P<mark>[(),])
    | (?P<other>\S)""",
    re.VERBOSE,
)
_KEYWORDS = frozenset({"and", "or", "not", "in", "true", "false"})
_VALUE = "a value ('text', a number, true or false)"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


def _tokens(text: str) -> list[_Token]:
    found = [_Token(match.lastgroup or "", match.group(), match.start() + 1) for match in _TOKEN.finditer(text)]
    for index, token in enumerate(found):
        if token.kind == "word" and token.text.lower() in _KEYWORDS:
            found[index] = _Token(token.text.lower(), token.text, token.position)
        elif token.kind == "mark":
            found[index] = _Token(token.text, token.text, token.position)
    return [*found, _Token("end", "", len(text) + 1)]


class _Parser:
    """Recursive descent, one method a rule."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._index = 0
        self._depth = 0

    def parse(self) -> Filter:
        if len(self._tokens) > MAX_WORDS:
            self._refuse(f"longer than {MAX_WORDS:,} words", self._tokens[MAX_WORDS])
        tree = self._any()
        if self._next.kind != "end":
            self._expected("'and', 'or' or the end")
        return tree

    @property
    def _next(self) -> _Token:
        return self._tokens[self._index]

    def _take(self, kind: str, expected: str) -> _Token:
        token = self._next
        if token.kind != kind:
            self._expected(expected)
        self._index += 1
        return token

    def _skip(self, kind: str) -> bool:
        if self._next.kind != kind:
            return False
        self._index += 1
        return True

    def _any(self) -> Filter:
        terms = self._list_of(self._all, "or")
        return terms[0] if len(terms) == 1 else Or(terms)

    def _all(self) -> Filter:
        terms = self._list_of(self._term, "and")
        return terms[0] if len(terms) == 1 else And(terms)

    def _list_of(self, rule: Callable[[], Filter], separator: str) -> tuple[Filter, ...]:
        terms = [rule()]
        while self._skip(separator):
            terms.append(rule())
        return tuple(terms)

    def _term(self) -> Filter:
        token = self._next
        if token.kind not in ("not", "("):
            return self._condition()
        if self._depth == MAX_DEPTH:
            self._refuse(f"nested deeper than {MAX_DEPTH}", token)
        self._index += 1
        self._depth += 1
        tree: Filter
        if token.kind == "not":
            tree = Not(self._term())
        else:
            tree = self._any()
            self._take(")", "'and', 'or' or ')'")
        self._depth -= 1
        return tree

    def _condition(self) -> Filter:
        field = tuple(self._take("word", "a field, 'not' or '('").text.split("."))
        if self._skip("in"):
            return Membership(field, self._values())
        if self._skip("not"):
            self._take("in", "'in'")
            return Not(Membership(field, self._values()))
        operator = self._take("operator", "= != < <= > >= or 'in'")
        value = self._value()
        if isinstance(value, bool) and operator.text not in ("=", "!="):
            self._refuse(f"true and false have no order: {operator.text!r} cannot compare them", operator)
        return Comparison(field, cast("Operator", operator.text), value)

    def _values(self) -> tuple[Value, ...]:
        self._take("(", "'('")
        values = [self._value()]
        while self._skip(","):
            values.append(self._value())
        self._take(")", "',' or ')'")
        return tuple(values)

    def _value(self) -> Value:
        token = self._next
        value: Value
        if token.kind == "text":
            value = token.text[1:-1].replace("''", "'")
        elif token.kind == "number":
            value = self._number(token)
        elif token.kind in ("true", "false"):
            value = token.kind == "true"
        else:
            self._expected(_VALUE)
        self._index += 1
        return value

    def _number(self, token: _Token) -> int | float:
        # 64 bits are what every store holds exactly; they have 19 digits at most.
        if token.text.lstrip("+-").isdigit() and len(token.text) <= 20 and -(2**63) <= int(token.text) < 2**63:
            return int(token.text)
        value = float(token.text)
        if not math.isfinite(value):
            self._refuse("a number too large", token)
        return value

    def _expected(self, what: str) -> NoReturn:
        token = self._next
        if token.text == "'":
            self._refuse("a text that is not closed", token)
        found = f"'{printable(token.text, 30)}'" if token.text else "the end"
        self._refuse(f"expected {what}, found {found}", token)

    def _refuse(self, why: str, token: _Token) -> NoReturn:
        raise FilterError(self._text, token.position, why)
