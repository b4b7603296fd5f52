"""Which errors are ValueErrors as well, that pydantic takes none of a job file's for its own, and that all are copied and sent whole."""

import copy
import pickle
from collections.abc import Iterator

import pytest

from asyncrun import errors
from asyncrun.embedders import OpenAIEmbedding
from asyncrun.jobs import EmbedJob

OF_MODELS = ("ArgumentError", "MissingKeyError", "AuthError", "EndpointError", "QuotaError", "ThrottledError", "OutageError", "ItemError")


@pytest.mark.parametrize("name", OF_MODELS)
def test_what_an_embedder_or_a_chat_model_raises_is_a_value_error(name):
    assert issubclass(getattr(errors, name), ValueError)


def test_a_key_that_is_missing_and_an_address_that_is_none_are_value_errors():
    with pytest.raises(ValueError, match="no key for api"):
        OpenAIEmbedding("m", environ={}).check()
    with pytest.raises(ValueError, match="not an address"):
        OpenAIEmbedding("m", base_url="nowhere", environ={})


def test_a_wrong_job_is_told_in_the_words_of_a_job_file_and_not_in_those_of_pydantic():
    with pytest.raises(errors.JobFileError, match="input"):
        EmbedJob(name="notes", output="out.npy")
    assert not issubclass(errors.JobFileError, ValueError)


def tree(root: type[errors.AsyncrunError] = errors.AsyncrunError) -> Iterator[type[errors.AsyncrunError]]:
    yield root
    for branch in root.__subclasses__():
        yield from tree(branch)


def example(kind: type[errors.AsyncrunError]) -> errors.AsyncrunError:
    place = errors.Place("jobs.yaml", 3, 7)
    if issubclass(kind, errors.JobFileError):
        return kind([errors.Mistake("jobs[0].kind", "unknown kind 'embd'", "embed", "embed", place), errors.Mistake("jobs", "none")])
    if issubclass(kind, errors.ItemError):
        return kind("it is empty", reason=errors.Reason.EMPTY, place=place, hint="Write something.")
    return kind("it went wrong", place=place, hint="Do better.")


@pytest.mark.parametrize("kind", [each for each in tree() if each.__module__ == "asyncrun.errors"], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error, protocol=5))])
def test_every_error_comes_back_whole_from_a_copy_and_from_another_process(kind, again):
    error = example(kind)
    error.add_note("In the worker: ...")
    other = again(error)
    assert type(other) is kind
    assert other is not error
    assert (str(other), other.args, vars(other)) == (str(error), error.args, vars(error))
    assert (other.hint, other.exit_code) == (error.hint, error.exit_code)


def test_the_tree_that_is_tried_is_the_one_that_is_promised():
    assert {each.__name__ for each in tree() if each.__module__ == "asyncrun.errors"} == {
        name for name in errors.__all__ if isinstance(getattr(errors, name), type) and issubclass(getattr(errors, name), Exception)
    }
