"""A server that refuses everything with the same words is wrong itself; different words are about what was sent."""

import pytest

from asyncrun.aio.retry import FailureClass
from asyncrun.endpoints.classify import Verdict
from asyncrun.endpoints.exchange import RefusedError
from asyncrun.endpoints.refusals import Refusals
from asyncrun.errors import EndpointError


def refused(words, failure=FailureClass.UNKNOWN):
    return RefusedError(words, Verdict(failure, words))


def test_the_third_refusal_with_the_same_words_is_about_the_endpoint():
    refusals = Refusals()
    refusals.add(refused("bad request 17"))
    refusals.add(refused("bad request 18"))
    with pytest.raises(EndpointError, match="the same for 3 texts"):
        refusals.add(refused("bad request 19"))


def test_other_words_or_a_text_that_is_too_long_are_not():
    refusals = Refusals()
    for words in ("one", "two", "one", "two", "three", "three"):
        refusals.add(refused(words))
    for _ in range(4):
        refusals.add(refused("too long", FailureClass.TOO_LONG))
    with pytest.raises(EndpointError, match="three"):
        refusals.add(refused("three"))
