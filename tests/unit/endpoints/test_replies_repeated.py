"""A server that refuses everything with the same words is wrong itself; different words are about what was sent."""

from asyncrun.aio.retry import FailureClass
from asyncrun.endpoints.classify import Verdict
from asyncrun.endpoints.replies import RepeatedRefusals
from asyncrun.errors import EndpointError


def add(refusals, words, failure=FailureClass.UNKNOWN):
    return refusals.add(words, Verdict(failure, words))


def test_the_third_refusal_with_the_same_words_is_about_the_endpoint():
    refusals = RepeatedRefusals()
    assert add(refusals, "bad request 17") is None
    assert add(refusals, "bad request 18") is None
    error = add(refusals, "bad request 19")
    assert isinstance(error, EndpointError)
    assert "the same for 3 texts" in str(error)


def test_other_words_or_a_text_that_is_too_long_are_not():
    refusals = RepeatedRefusals()
    for words in ("one", "two", "one", "two", "three", "three"):
        assert add(refusals, words) is None
    for _ in range(4):
        assert add(refusals, "too long", FailureClass.TOO_LONG) is None
    assert "three" in str(add(refusals, "three"))
