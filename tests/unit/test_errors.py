"""Which errors are ValueErrors as well, and that pydantic takes none of a job file's for its own."""

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
