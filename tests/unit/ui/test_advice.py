"""Every reason why an item fails, and every way in which a job ends, has its advice."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import asyncrun
from asyncrun.aio.retry import FailureClass
from asyncrun.endpoints.classify import Verdict
from asyncrun.errors import AsyncrunError, Reason
from asyncrun.ui.advice import ADVICE, GOES_ON, advise, can_go_on

POSITIONS = {"EmbedFailure": 1, "BadRecord": 1, "BadItem": 2, "ItemFailure": 2, "ItemError": 1}
"""Where a reason stands among the arguments of what tells of a failed item."""


def reasons_given() -> Iterator[str]:
    """Yield every reason that the code writes as a text."""
    for path in Path(asyncrun.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node.func, "id", None) if isinstance(node, ast.Call) else None
            if not isinstance(node, ast.Call) or name not in POSITIONS:
                continue
            named = [each.value for each in node.keywords if each.arg == "reason"]
            for value in named or node.args[POSITIONS[name] : POSITIONS[name] + 1]:
                either = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
                yield from (each.value for each in either if isinstance(each, ast.Constant) and isinstance(each.value, str))


def errors(root: type[AsyncrunError] = AsyncrunError) -> Iterator[type[AsyncrunError]]:
    yield root
    for child in root.__subclasses__():
        yield from errors(child)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_advice(reason: Reason) -> None:
    [line] = advise([reason], " jobs.yaml")
    assert line.startswith(f"  {reason}: ")
    assert "{" not in line


def test_every_reason_that_the_code_gives_is_one_of_them() -> None:
    given = set(reasons_given())
    assert len(given) > 3, "the test has seen nothing"
    assert given <= set(Reason) and set(ADVICE) == set(Reason)


@pytest.mark.parametrize("failure", list(FailureClass))
def test_every_answer_of_a_server_has_a_reason(failure: FailureClass) -> None:
    assert Verdict(failure, "words").reason in ADVICE


@pytest.mark.parametrize("error", sorted(set(errors()), key=lambda error: error.__name__))
def test_every_error_has_a_hint_and_says_whether_a_run_goes_on(error: type[AsyncrunError]) -> None:
    assert error.hint
    assert error.exit_code in GOES_ON
    if error.hint.startswith("Run the same command"):
        assert can_go_on([error.exit_code])


@pytest.mark.parametrize("reason", ["too_long", "empty", "bad_record", "bad_text"])
def test_what_a_retry_cannot_help_is_not_to_be_retried(reason: str) -> None:
    (line,) = advise([reason], " jobs.yaml")
    assert line.startswith(f"  {reason}: ")
    assert "retry" not in line


@pytest.mark.parametrize("reason", ["refused", "bad_response"])
def test_what_a_server_has_answered_can_be_asked_again(reason: str) -> None:
    (line,) = advise([reason, reason], " 'my jobs.yaml'")
    assert line.startswith(f"  {reason}: ")
    assert "`asyncrun retry 'my jobs.yaml'`" in line


def test_what_failed_on_the_way_is_sent_by_the_next_run() -> None:
    assert advise(["server_error"], " jobs.yaml") == ["  server_error: the next `asyncrun run jobs.yaml` sends it again."]


def test_a_reason_of_a_plugin_has_no_advice_of_ours() -> None:
    assert advise(["odd\x1b[2J"], " jobs.yaml") == []
